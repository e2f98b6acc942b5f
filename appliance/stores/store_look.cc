#include "appliance/stores/store_look.h"

#include <fmt/format.h>

#include "base/enum_names.h"
#include "base/file_place.h"

namespace appliance::stores {
namespace {

using base::Error;
using base::ErrorCode;

constexpr auto kStates =
    base::enum_names<StoreState>("a state of a store", {{StoreState::ready, "ready"},
                                                        {StoreState::read_only, "read-only"},
                                                        {StoreState::held, "held"},
                                                        {StoreState::missing, "missing"},
                                                        {StoreState::foreign, "foreign"},
                                                        {StoreState::unclaimed, "unclaimed"},
                                                        {StoreState::locked, "locked"},
                                                        {StoreState::damaged, "damaged"},
                                                        {StoreState::full, "full"}});

StoreTrouble trouble(StoreState state, std::string sentence) {
  return {state, Error(ErrorCode::unavailable, std::move(sentence))};
}

bool is_vacant(base::FileSystem& files, const std::string& directory) {
  return !files.exists(directory) || files.list(directory).empty();
}

StoreTrouble missing(base::FileSystem& files, const std::string& directory, bool vacant) {
  if (!vacant)
    return trouble(
        StoreState::missing,
        fmt::format("the store is not in {}, which has other files: put its disk back, or "
                    "restore it from a copy",
                    directory));
  const char* what = files.exists(directory) ? "is empty" : "does not exist";
  return trouble(
      StoreState::missing,
      fmt::format("the store's folder {} {}: mount its disk; it is picked up automatically",
                  directory, what));
}

std::optional<StoreTrouble> trouble_with(base::FileSystem& files, const std::string& directory,
                                         const images::StoreIdentity& identity,
                                         const std::optional<images::StoreId>& expected,
                                         const std::string& key_path) {
  if (expected && identity.id != *expected) {
    return trouble(
        StoreState::foreign,
        fmt::format("{} has another store, {}, not {}: mount the right disk, or adopt that one: "
                    "muletto tenant adopt",
                    directory, identity.id.hex(), expected->hex()));
  }
  if (identity.encrypted && !files.exists(key_path)) {
    return trouble(StoreState::locked, fmt::format("the store in {} is encrypted and its key is "
                                                   "not in {}: put it back from your copy",
                                                   directory, key_path));
  }
  return look_whether_writable(directory);
}

}  // namespace

std::string_view store_state_name(StoreState state) { return kStates.name(state); }

StoreSeen look_at_store(base::FileSystem& files, const std::string& directory,
                        const std::optional<images::StoreId>& expected,
                        const std::string& key_path) {
  StoreSeen seen;
  try {
    seen.folder_is_vacant = is_vacant(files, directory);
    seen.identity = images::identify_store(files, directory);
    seen.trouble = trouble_with(files, directory, *seen.identity, expected, key_path);
  } catch (const Error& error) {
    seen.trouble = error.code() == ErrorCode::not_found
                       ? missing(files, directory, seen.folder_is_vacant)
                       : trouble_of_opening(directory, error);
  }
  return seen;
}

std::optional<StoreTrouble> look_whether_writable(const std::string& directory) {
  try {
    base::expect_writable_directory(directory);
    return std::nullopt;
  } catch (const Error& error) {
    return trouble(StoreState::read_only,
                   fmt::format("the store in {} can only be read: {}; points can be booted and "
                               "restored, none can be added or deleted",
                               directory, error.message()));
  }
}

StoreTrouble trouble_of_opening(const std::string& directory, const Error& error) {
  switch (error.code()) {
    case ErrorCode::busy:
      return trouble(
          StoreState::held,
          fmt::format("{}: points can be booted and restored, none can be added or deleted until "
                      "it has ended",
                      error.message()));
    case ErrorCode::unauthorized:
      return trouble(StoreState::locked, fmt::format("the store in {} cannot be opened: {}",
                                                     directory, error.message()));
    case ErrorCode::no_space:
      return trouble(
          StoreState::full,
          fmt::format("the store in {} cannot be opened: {}; free some space, then it is picked up "
                      "automatically",
                      directory, error.message()));
    default:
      return trouble(StoreState::damaged,
                     fmt::format("the store in {} cannot be opened: {}; see 'muletto store check "
                                 "{}'",
                                 directory, error.message(), directory));
  }
}

}  // namespace appliance::stores
