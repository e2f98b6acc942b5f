#include "agent/machine_state_files.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "images/sources/image_file_source.h"
#include "images/sources/image_headers.h"

namespace agent {
namespace {

constexpr uint64_t kMaxStateFileSize = 16u << 20;

// Where libvirt lets swtpm keep a TPM 2.0's permanent state. swtpm replaces the file as a whole, so
// it can be read at any time.
std::string tpm_path(const std::string& tpm_directory, const std::string& domain_uuid) {
  return tpm_directory + "/" + domain_uuid + "/tpm2/tpm2-00.permall";
}

// Where the variables are: as stated, or where libvirt puts them if the firmware is chosen by it.
// None if the machine has not made any yet.
std::optional<std::string> nvram_path(const DomainFacts& facts, const std::string& domain_name,
                                      const std::string& directory) {
  if (!facts.nvram_path.empty()) return facts.nvram_path;
  for (const char* ending : {"_VARS.fd", "_VARS.qcow2"}) {
    std::string path = directory + "/" + domain_name + ending;
    if (base::real_file_system().exists(path)) return path;
  }
  return std::nullopt;
}

base::Bytes read_plain(const std::string& path) {
  return base::read_file(base::real_file_system(), path, kMaxStateFileSize);
}

// The chip's content. QEMU may be writing single variables meanwhile, as it may with a plain file.
base::Bytes read_nvram(const std::string& path, const CaptureSettings& settings) {
  if (images::qcow2_version(path) == 0) return read_plain(path);
  images::ImageSource image =
      images::open_image_source(path, {.format = "qcow2",
                                       .runtime_directory = settings.run_directory,
                                       .allowed = settings.allowed_files,
                                       .share_with_writers = true,
                                       .connection_count = 1});
  if (image.disk->size() > kMaxStateFileSize) {
    throw base::Error(base::ErrorCode::unsupported,
                      fmt::format("{} is larger than UEFI variables can be", path));
  }
  base::Bytes content(image.disk->size());
  image.disk->read(0, content);
  return content;
}

}  // namespace

MachineStateFiles read_state_files(const DomainFacts& facts, const std::string& domain_name,
                                   const std::string& domain_uuid,
                                   const CaptureSettings& settings) {
  MachineStateFiles state;
  auto take = [&](const std::string& name, const std::string& what, auto read) {
    try {
      state.files.emplace_back(name, read());
    } catch (const base::Error& error) {
      base::log().warn("the machine's {} are not captured: {}", what, error.message());
      state.missing.push_back(fmt::format("{} ({})", what, error.message()));
    }
  };
  if (facts.has_uefi_variables) {
    auto path = nvram_path(facts, domain_name, settings.nvram_directory);
    if (path) take("nvram", "UEFI variables", [&] { return read_nvram(*path, settings); });
    else
      state.missing.push_back(fmt::format("UEFI variables (none in {})", settings.nvram_directory));
  }
  if (facts.has_tpm) {
    take("tpm", "TPM's contents",
         [&] { return read_plain(tpm_path(settings.tpm_directory, domain_uuid)); });
  }
  return state;
}

}  // namespace agent
