#include "agent/state_layout.h"

#include <filesystem>
#include <system_error>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/private_file.h"

namespace agent {
namespace {

// QEMU's user must be able to pass through to a folder made for it; secret files have modes of
// their own.
constexpr auto kPassable = std::filesystem::perms::group_exec | std::filesystem::perms::others_exec;

void make_directory(const std::string& path) {
  base::make_passable_directory(path);
  std::error_code failed;
  std::filesystem::permissions(path, kPassable, std::filesystem::perm_options::add, failed);
  if (failed) throw base::system_error(failed.value(), "cannot set the mode of " + path);
}

std::string machine_path(const std::string& state_directory, std::string_view machine_name,
                         std::string_view suffix) {
  return state_directory + "/machines/" + machine_file_name(machine_name) + std::string(suffix);
}

}  // namespace

std::string enrollment_path(const std::string& state_directory) {
  return state_directory + "/enrollment.json";
}

std::string contact_path(const std::string& state_directory) {
  return state_directory + "/contact.json";
}

std::string machine_file_name(std::string_view machine_name) {
  constexpr size_t kShownBytes = 12;
  return base::to_hex(
      base::ByteView(base::sha256(base::as_bytes(machine_name))).first(kShownBytes));
}

std::string tracking_path(const std::string& state_directory, std::string_view machine_name) {
  return machine_path(state_directory, machine_name, ".tracking");
}

std::string frozen_path(const std::string& state_directory, std::string_view machine_name) {
  return machine_path(state_directory, machine_name, ".frozen");
}

std::string bitmaps_path(const std::string& state_directory, std::string_view machine_name) {
  return machine_path(state_directory, machine_name, ".bitmaps");
}

std::string server_path(const std::string& state_directory, std::string_view machine_name) {
  return machine_path(state_directory, machine_name, ".server");
}

std::string home_record_path(const std::string& state_directory, std::string_view machine_name) {
  return machine_path(state_directory, machine_name, ".home");
}

std::string kept_off_path(const std::string& state_directory, std::string_view machine_name) {
  return machine_path(state_directory, machine_name, ".kept-off");
}

std::string lock_path(const std::string& state_directory, std::string_view machine_name) {
  return machine_path(state_directory, machine_name, ".lock");
}

std::string scratch_parent(const std::string& state_directory) {
  return state_directory + "/scratch";
}

void make_agent_directories(const std::string& state_directory, const std::string& run_directory) {
  make_directory(state_directory);
  make_directory(state_directory + "/machines");
  make_directory(scratch_parent(state_directory));
  make_directory(run_directory);
}

}  // namespace agent
