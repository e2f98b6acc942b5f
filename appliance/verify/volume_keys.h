// The keys of machines' encrypted volumes, as operators gave them: one private file a machine (mode
// 0600) in a private folder of the appliance's state, beside the keys of its stores. They are used
// to look into a point's volumes, and are never shown, logged, or given to a program as an argument.
// Thread-safe: files are replaced as a whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "appliance/access/tenant_name.h"
#include "base/guarded.h"
#include "images/volumes/keys/volume_key.h"

namespace appliance::verify {

// What is shown of a key.
struct VolumeKeyEntry {
  std::string name;
  uint64_t added_ms = 0;  // UTC
};

class VolumeKeys {
 public:
  explicit VolumeKeys(std::string directory) : directory_(std::move(directory)) {}

  std::vector<images::volumes::VolumeKey> of(const access::TenantName& tenant,
                                             const std::string& machine_name);
  std::vector<VolumeKeyEntry> list(const access::TenantName& tenant,
                                   const std::string& machine_name);
  // Durable when it returns. A key of the same name is replaced. Throws invalid_argument for a name
  // or a secret that cannot be used, busy if there are images::volumes::kMaxKeys.
  void add(const access::TenantName& tenant, const std::string& machine_name,
           const images::volumes::VolumeKey& key);
  void remove(const access::TenantName& tenant, const std::string& machine_name,
              const std::string& key_name);  // throws not_found
  // All keys of a machine that is forgotten. No error if there are none.
  void forget(const access::TenantName& tenant, const std::string& machine_name);

 private:
  struct Kept {
    VolumeKeyEntry entry;
    base::Bytes secret;
  };
  std::string path_of(const access::TenantName& tenant, const std::string& machine_name) const;
  std::vector<Kept> read(const access::TenantName& tenant, const std::string& machine_name);
  void write(const access::TenantName& tenant, const std::string& machine_name,
             const std::vector<Kept>& keys);

  const std::string directory_;
  struct Nothing {};
  base::Guarded<Nothing> writing_;  // a change reads the file, and replaces it
};

}  // namespace appliance::verify
