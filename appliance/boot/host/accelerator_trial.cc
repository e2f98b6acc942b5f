#include "appliance/boot/host/accelerator_trial.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/subprocess.h"
#include "base/text.h"

extern "C" const uint8_t muletto_trial_sector[512];

namespace appliance::boot {
namespace {

constexpr int kSuccess = 67;  // see accelerator_payload.S
constexpr auto kDeadline = std::chrono::seconds(4);
constexpr const char* kQemu = "qemu-system-x86_64";
constexpr const char* kCacheName = "accelerator";

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

AcceleratorVerdict run_trial(const std::string& disk_path) {
  std::vector<std::string> command{kQemu,
                                   "-nodefaults",
                                   "-no-user-config",
                                   "-display",
                                   "none",
                                   "-machine",
                                   "pc,accel=kvm",
                                   "-m",
                                   "16",
                                   "-device",
                                   "isa-debug-exit,iobase=0xf4,iosize=4",
                                   "-drive",
                                   "if=ide,format=raw,readonly=off,snapshot=on,file=" + disk_path};
  base::CommandResult result;
  auto begin = std::chrono::steady_clock::now();
  try {
    result = base::run_command(command, kDeadline);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::unavailable) throw;
    return {Accelerator::tcg,
            "/dev/kvm exists, but a trial guest did not end within 4 s under KVM."};
  }
  auto duration = std::chrono::steady_clock::now() - begin;
  if (result.status != kSuccess) {
    return {Accelerator::tcg,
            fmt::format("A trial guest failed under KVM: {}", base::trim(result.errors))};
  }
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return {Accelerator::kvm, fmt::format("A trial guest ran under KVM in {}.",
                                        base::format_duration_ms(static_cast<uint64_t>(ms)))};
}

// Another boot of the appliance, or another QEMU, requires another trial.
std::string cache_key() {
  std::error_code ignored;
  std::string boot = base::machine_boot_id();
  struct stat status {};
  for (const char* directory : {"/usr/bin/", "/usr/local/bin/"}) {
    if (::stat((std::string(directory) + kQemu).c_str(), &status) == 0) break;
  }
  return fmt::format("{} {} {}", boot, status.st_size, status.st_mtime);
}

}  // namespace

AcceleratorVerdict try_kvm(const std::string& scratch_directory) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0)
    return {Accelerator::tcg, "This appliance has no /dev/kvm."};
  std::string path = base::join_path(
      scratch_directory, fmt::format("kvm-trial-{}.img", base::to_hex(base::random_array<4>())));
  try {
    base::write_file_durably(base::real_file_system(), path,
                             base::ByteView(muletto_trial_sector, 512));
    AcceleratorVerdict verdict = run_trial(path);
    ::unlink(path.c_str());
    return verdict;
  } catch (const base::Error& error) {
    ::unlink(path.c_str());
    return {Accelerator::tcg, fmt::format("KVM could not be tried: {}.", error.message())};
  }
}

AcceleratorVerdict choose_accelerator(Accelerator wanted, const std::string& run_directory) {
  if (wanted != Accelerator::automatic) {
    return {wanted, fmt::format("The configuration requires {}.", accelerator_name(wanted))};
  }
  std::string path = base::join_path(run_directory, kCacheName);
  std::string key = cache_key();
  std::vector<std::string> lines = base::split(read_text(path), '\n');
  if (lines.size() >= 3 && lines[0] == key && (lines[1] == "kvm" || lines[1] == "tcg")) {
    return {accelerator_from_name(lines[1]), lines[2]};
  }
  AcceleratorVerdict verdict = try_kvm(run_directory);
  std::string reason = verdict.reason;
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  std::string text =
      fmt::format("{}\n{}\n{}\n", key, accelerator_name(verdict.accelerator), reason);
  try {
    base::write_file_durably(base::real_file_system(), path, base::as_bytes(text));
  } catch (const base::Error&) {
    // Without the file the next call tries again.
  }
  return verdict;
}

}  // namespace appliance::boot
