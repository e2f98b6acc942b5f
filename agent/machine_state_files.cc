#include "agent/machine_state_files.h"

#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"

namespace agent {
namespace {

constexpr uint64_t kMaxStateFileSize = 16u << 20;

// Where libvirt lets swtpm keep a TPM 2.0's permanent state. swtpm replaces the file as a whole, so
// it can be read at any time.
std::string tpm_path(const std::string& tpm_directory, const std::string& domain_uuid) {
  return tpm_directory + "/" + domain_uuid + "/tpm2/tpm2-00.permall";
}

}  // namespace

std::vector<std::pair<std::string, base::Bytes>> read_state_files(
    const DomainFacts& facts, const std::string& domain_uuid, const std::string& tpm_directory) {
  std::vector<std::pair<std::string, base::Bytes>> files;
  auto take = [&](const std::string& name, const std::string& path) {
    try {
      files.emplace_back(name, base::read_file(base::real_file_system(), path, kMaxStateFileSize));
    } catch (const base::Error& error) {
      base::log().warn("the machine's {} is not captured: {}", name, error.message());
    }
  };
  if (!facts.nvram_path.empty()) take("nvram", facts.nvram_path);
  if (facts.has_tpm) take("tpm", tpm_path(tpm_directory, domain_uuid));
  return files;
}

}  // namespace agent
