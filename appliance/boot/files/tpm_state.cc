#include "appliance/boot/files/tpm_state.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/file_system.h"

namespace appliance::boot {
namespace {

namespace fs = std::filesystem;

// libvirt's layout and modes: swtpm's user must get through to a folder of its own.
constexpr mode_t kPassableMode = 0711;
constexpr mode_t kPrivateMode = 0700;

void make_folder(const std::string& path, mode_t mode) {
  std::error_code error;
  bool is_new = fs::create_directories(path, error);
  if (error || (is_new && ::chmod(path.c_str(), mode) != 0))
    throw base::system_error(error ? error.value() : errno, "cannot make the folder " + path);
}

}  // namespace

std::string tpm_folder(const std::string& tpm_directory, const std::string& domain_uuid) {
  return base::join_path(tpm_directory, domain_uuid);
}

void install_tpm_state(const std::string& folder, base::ByteView state) {
  if (fs::exists(folder))
    throw base::Error(base::ErrorCode::already_exists,
                      "there is already a TPM in " + folder + " already");
  std::string private_folder = base::join_path(folder, "tpm2");
  make_folder(base::parent_path(folder), kPassableMode);
  make_folder(folder, kPassableMode);
  make_folder(private_folder, kPrivateMode);
  base::FileSystem& files = base::real_file_system();
  base::write_file_durably(files, base::join_path(private_folder, "tpm2-00.permall"), state);
  files.sync_directory(folder);
  files.sync_directory(base::parent_path(folder));
}

void remove_tpm_folder(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) throw base::system_error(error.value(), "cannot remove " + folder);
}

}  // namespace appliance::boot
