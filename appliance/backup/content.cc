#include "appliance/backup/content.h"

#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "appliance/catalog/catalog_copy.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/private_file.h"
#include "base/text.h"

namespace appliance::backup {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::ErrorCode;

constexpr const char* kCatalog = "catalog.sqlite";
constexpr const char* kNode = "node-id";
constexpr const char* kSettings = "mulettod.toml";
constexpr std::string_view kKeys = "keys/";
constexpr std::array kPki{"pki/ca.crt", "pki/ca.key", "pki/server.crt", "pki/server.key"};
constexpr uint64_t kMaxSmallFile = 1 << 20;

std::string machine_name() {
  char name[HOST_NAME_MAX + 1] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

BackupFile file_at(const std::string& path, std::string name, uint64_t limit) {
  return {std::move(name), base::read_file(base::real_file_system(), path, limit)};
}

BackupFile catalog_of(const Config& config) {
  std::string copy = fmt::format("{}/.backup-{}.sqlite", config.state_directory,
                                 base::to_hex(base::random_array<6>()));
  catalog::copy_catalog(config.catalog_path(), copy);
  try {
    BackupFile file = file_at(copy, kCatalog, kMaxContentSize);
    ::unlink(copy.c_str());
    return file;
  } catch (const Error&) {
    ::unlink(copy.c_str());
    throw;
  }
}

void add_store_keys(const Config& config, Backup& backup) {
  std::string folder = base::join_path(config.state_directory, "keys");
  if (!base::real_file_system().exists(folder)) return;
  for (const std::string& name : base::real_file_system().list(folder)) {
    if (name.starts_with('.') || name.ends_with(".tmp")) continue;
    backup.files.push_back(
        file_at(base::join_path(folder, name), std::string(kKeys) + name, kMaxSmallFile));
  }
}

// A file's name in a folder, and nothing that leads elsewhere.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= NAME_MAX &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool is_known(const std::string& name) {
  if (name == kCatalog || name == kNode || name == kSettings) return true;
  if (std::find(kPki.begin(), kPki.end(), name) != kPki.end()) return true;
  return name.starts_with(kKeys) && is_plain_name(std::string_view(name).substr(kKeys.size()));
}

const BackupFile* find(const Backup& backup, std::string_view name) {
  auto found = std::find_if(backup.files.begin(), backup.files.end(),
                            [&](const BackupFile& file) { return file.name == name; });
  return found == backup.files.end() ? nullptr : &*found;
}

void require_sound(const Backup& backup) {
  for (const BackupFile& file : backup.files) {
    if (!is_known(file.name))
      throw Error(ErrorCode::corrupt, "the backup holds a file that does not belong into one");
    if (std::count_if(backup.files.begin(), backup.files.end(),
                      [&](const BackupFile& other) { return other.name == file.name; }) != 1)
      throw Error(ErrorCode::corrupt, "the backup holds a file twice: " + file.name);
  }
  for (const char* name : {kCatalog, kPki[0], kPki[1]}) {
    if (find(backup, name) == nullptr)
      throw Error(ErrorCode::corrupt, fmt::format("the backup has no {}", name));
  }
}

// The keys of this very backup may be there: a restore that ended between keys and catalog.
bool has_these_keys(const Config& config, const Backup& backup) {
  std::string path = base::join_path(config.state_directory, kPki[0]);
  const BackupFile* mine = find(backup, kPki[0]);
  return base::real_file_system().exists(path) &&
         file_at(path, kPki[0], kMaxSmallFile).bytes == mine->bytes;
}

void require_empty(const Config& config, const Backup& backup) {
  for (const std::string& path : {config.catalog_path(), config.pki_directory()}) {
    if (!base::real_file_system().exists(path)) continue;
    if (path == config.pki_directory() && has_these_keys(config, backup)) continue;
    throw Error(ErrorCode::already_exists,
                fmt::format("{} exists, so there is an appliance in {}: a backup is restored only "
                            "where there is none",
                            path, config.state_directory));
  }
}

}  // namespace

Backup collect_backup(const Config& config, const std::string& settings_path, StoreKeysIn keys) {
  Backup backup;
  backup.made_ms = base::now_ms();
  backup.host_name = machine_name();
  backup.version = MULETTO_VERSION;
  backup.files.push_back(catalog_of(config));
  backup.files.push_back(file_at(config.node_path(), kNode, kMaxSmallFile));
  backup.node = access::open_node_id(config.node_path(), std::nullopt);
  for (const char* name : kPki)
    backup.files.push_back(
        file_at(base::join_path(config.state_directory, name), name, kMaxSmallFile));
  if (keys == StoreKeysIn::included) add_store_keys(config, backup);
  if (!settings_path.empty() && base::real_file_system().exists(settings_path))
    backup.files.push_back(file_at(settings_path, kSettings, kMaxSmallFile));
  return backup;
}

void restore_backup(const Config& config, const Backup& backup) {
  require_sound(backup);
  require_empty(config, backup);
  base::make_passable_directory(config.state_directory);
  // What has the name of an appliance's part appears last: keys under another name, then the catalog.
  std::string unfinished = config.pki_directory() + ".restoring";
  std::error_code ignored;
  fs::remove_all(unfinished, ignored);
  base::make_private_directory(unfinished);
  base::make_private_directory(base::join_path(config.state_directory, "keys"));
  for (const BackupFile& file : backup.files) {
    if (file.name == kCatalog) continue;
    std::string path = base::join_path(config.state_directory, file.name);
    if (file.name.starts_with("pki/"))
      path = base::join_path(unfinished, file.name.substr(std::string_view("pki/").size()));
    base::write_private_file(path, base::as_text(file.bytes));
  }
  std::string catalog = config.catalog_path(), part = catalog + ".restoring";
  base::write_private_file(part, base::as_text(find(backup, kCatalog)->bytes));
  if (catalog::catalog_version(part) > catalog::newest_catalog_version())
    throw Error(ErrorCode::unsupported,
                "the backup's catalog is of a newer version; install that version of Muletto");
  base::FileSystem& files = base::real_file_system();
  for (const char* suffix : {"-wal", "-shm"}) fs::remove(part + suffix, ignored);
  fs::remove_all(config.pki_directory(), ignored);
  files.rename(unfinished, config.pki_directory());
  files.rename(part, catalog);
  files.sync_directory(config.state_directory);
}

}  // namespace appliance::backup
