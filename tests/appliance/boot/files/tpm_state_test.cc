#include "appliance/boot/files/tpm_state.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"

namespace appliance::boot {

TEST_CASE("a TPM's state is put where libvirt looks, and nobody else's is touched", "[boot]") {
  base::ScratchDirectory scratch(std::filesystem::temp_directory_path().string(), "muletto-tpm");
  std::string folder =
      tpm_folder(scratch.path() + "/swtpm", "5d6a2f4e-2f5f-4d4e-9b0a-0c6d5e8f1a2b");
  base::Bytes state{1, 2, 3};
  install_tpm_state(folder, state);
  CHECK(base::read_file(base::real_file_system(), folder + "/tpm2/tpm2-00.permall", 100) == state);
  CHECK_THROWS_AS(install_tpm_state(folder, state), base::Error);
  remove_tpm_folder(folder);
  CHECK(!std::filesystem::exists(folder));
  remove_tpm_folder(folder);
}

}  // namespace appliance::boot
