#include "appliance/verify/volume_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/private_file.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;
namespace volumes = images::volumes;

constexpr size_t kMaxFile = 2 << 20;

}  // namespace

// A machine's name may hold anything, and a tenant's, too.
std::string VolumeKeys::path_of(const access::TenantName& tenant,
                                const std::string& machine_name) const {
  std::string both = fmt::format("{}\n{}", tenant.text(), machine_name);
  return base::join_path(directory_, base::to_hex(base::sha256(base::as_bytes(both))));
}

std::vector<VolumeKeys::Kept> VolumeKeys::read(const access::TenantName& tenant,
                                               const std::string& machine_name) {
  std::vector<Kept> keys;
  std::string path = path_of(tenant, machine_name);
  if (!base::real_file_system().exists(path)) return keys;
  json parsed =
      base::parse_json(base::read_private_file(path, kMaxFile), "the file of volume keys");
  for (const json& each : base::find_list(parsed, "keys")) {
    Kept kept;
    kept.entry.name = base::find_text(each, "name").value_or("");
    kept.entry.added_ms = base::find_natural(each, "added_ms").value_or(0);
    std::string hex = base::find_text(each, "secret").value_or("");
    kept.secret = base::from_hex(hex, hex.size() / 2);
    keys.push_back(std::move(kept));
    if (keys.size() == volumes::kMaxKeys) break;
  }
  return keys;
}

void VolumeKeys::write(const access::TenantName& tenant, const std::string& machine_name,
                       const std::vector<Kept>& keys) {
  json list = json::array();
  for (const Kept& each : keys) {
    list.push_back({{"name", each.entry.name},
                    {"added_ms", each.entry.added_ms},
                    {"secret", base::to_hex(each.secret)}});
  }
  base::make_private_directory(directory_);
  base::write_private_file(
      path_of(tenant, machine_name),
      base::dump_text({{"tenant", tenant.text()}, {"machine", machine_name}, {"keys", list}}));
}

std::vector<volumes::VolumeKey> VolumeKeys::of(const access::TenantName& tenant,
                                               const std::string& machine_name) {
  std::vector<volumes::VolumeKey> keys;
  for (Kept& each : read(tenant, machine_name))
    keys.push_back({each.entry.name, std::move(each.secret)});
  return keys;
}

std::vector<VolumeKeyEntry> VolumeKeys::list(const access::TenantName& tenant,
                                             const std::string& machine_name) {
  std::vector<VolumeKeyEntry> entries;
  for (const Kept& each : read(tenant, machine_name)) entries.push_back(each.entry);
  return entries;
}

void VolumeKeys::add(const access::TenantName& tenant, const std::string& machine_name,
                     const volumes::VolumeKey& key) {
  base::check_name(key.name, "volume key's name");
  if (key.secret.empty() || key.secret.size() > volumes::kMaxSecret) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("the key '{}' is empty or longer than {}", key.name,
                            base::format_size(volumes::kMaxSecret)));
  }
  auto lock = writing_.lock();
  std::vector<Kept> keys = read(tenant, machine_name);
  std::erase_if(keys, [&](const Kept& each) { return each.entry.name == key.name; });
  if (keys.size() >= volumes::kMaxKeys) {
    throw Error(ErrorCode::busy, fmt::format("{} has {} keys already; remove one first: muletto "
                                             "verify key {} --remove NAME",
                                             machine_name, keys.size(), machine_name));
  }
  keys.push_back({{key.name, base::now_ms()}, key.secret});
  write(tenant, machine_name, keys);
}

void VolumeKeys::remove(const access::TenantName& tenant, const std::string& machine_name,
                        const std::string& key_name) {
  auto lock = writing_.lock();
  std::vector<Kept> keys = read(tenant, machine_name);
  size_t removed =
      std::erase_if(keys, [&](const Kept& each) { return each.entry.name == key_name; });
  if (removed == 0) {
    throw Error(ErrorCode::not_found,
                fmt::format("{} has no key '{}'; 'muletto verify key {}' lists them", machine_name,
                            key_name, machine_name));
  }
  write(tenant, machine_name, keys);
}

void VolumeKeys::forget(const access::TenantName& tenant, const std::string& machine_name) {
  auto lock = writing_.lock();
  std::string path = path_of(tenant, machine_name);
  if (base::real_file_system().exists(path)) base::real_file_system().remove(path);
}

}  // namespace appliance::verify
