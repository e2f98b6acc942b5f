#include <fmt/format.h>
#include <sys/stat.h>

#include "appliance/backup/backups_in_store.h"
#include "appliance/backup/content.h"
#include "appliance/cli/appliance_commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"
#include "images/store/place/open_place.h"

namespace appliance::cli {
namespace {

using base::options::value;

std::optional<std::string> given(const base::Arguments& arguments, const char* name) {
  return arguments.has(name) ? std::optional(arguments.get(name)) : std::nullopt;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

images::KeySource key_source(const base::Arguments& arguments) {
  return images::read_key_source(arguments.get_or<std::string>("passphrase-file", ""),
                                 arguments.get_or<std::string>("key-file", ""));
}

backup::Backup of_store(const std::string& directory, const base::Arguments& arguments) {
  auto place = images::open_place(directory);
  std::optional<access::NodeId> node;
  if (arguments.has("node")) node = access::NodeId::from_hex(arguments.get("node"));
  backup::StoredBackup chosen = backup::choose_backup(backup::backups_in(*place), node);
  base::Bytes bytes = place->blobs().get(chosen.name, backup::kMaxBackupSize);
  backup::BackupKey key;
  if (backup::sealing_of(bytes) == backup::Sealing::store_key)
    key.store_key = backup::store_backup_key(*place, key_source(arguments));
  return backup::decode_backup(bytes, key);
}

backup::Backup of_file(const std::string& path, const base::Arguments& arguments) {
  base::Bytes bytes = base::read_file(base::real_file_system(), path, backup::kMaxBackupSize);
  backup::BackupKey key;
  if (backup::sealing_of(bytes) == backup::Sealing::passphrase)
    key.passphrase = key_source(arguments).passphrase;
  return backup::decode_backup(bytes, key);
}

int run_appliance_restore(const base::Arguments& arguments) {
  ConfigOverrides overrides;
  overrides.state_directory = given(arguments, "state-directory");
  Config config = load_config(given(arguments, "config"), overrides);
  std::string from = arguments.get("FROM");
  backup::Backup content =
      is_directory(from) ? of_store(from, arguments) : of_file(from, arguments);
  backup::restore_backup(config, content);
  nlohmann::json outcome{{"state_directory", config.state_directory},
                         {"appliance", content.node.hex()},
                         {"host_name", content.host_name},
                         {"version", content.version},
                         {"time", base::format_time_ms(content.made_ms)}};
  if (!print_if_json(arguments, outcome)) {
    fmt::print("{} is the appliance of {} again, as it was on {}.\n", config.state_directory,
               printable(content.host_name), base::format_time_ms(content.made_ms));
    fmt::print(
        "Its settings are in {}/mulettod.toml. Put the stores' disks in their old places, or say "
        "where they are\nwith 'muletto tenant adopt' once mulettod runs. Never let the old one "
        "run again beside it.\n",
        config.state_directory);
  }
  return 0;
}

}  // namespace

base::Command appliance_restore_command() {
  base::Command command;
  command.name = "appliance restore";
  command.summary = "Make the appliance again, from a sealed file or from a store";
  command.positional = {"FROM"};
  command.values = {{"FROM", "FILE"}};
  command.declare_options = [](base::options::options_description_easy_init add) {
    add("passphrase-file", value<std::string>()->value_name("FILE"),
        "the passphrase of a sealed file, or of an encrypted store");
    add("key-file", value<std::string>()->value_name("FILE"), "the key of an encrypted store");
    add("node", value<std::string>()->value_name("ID"),
        "which appliance's, if the store holds backups of several");
    add("config", value<std::string>()->value_name("FILE"),
        "settings of mulettod (default: /etc/muletto/mulettod.toml, if it exists)");
    add("state-directory", value<std::string>()->value_name("DIR"), "as for mulettod");
  };
  command.notes =
      "FROM is a file of 'muletto appliance backup', or the folder of a store, which holds a "
      "backup that "
      "the daemon put there. The state folder must have no appliance; mulettod must not run.\n\n"
      "Agents go on without being enrolled again if the new appliance has the old address. Points "
      "that "
      "are newer than the backup are found in the stores. The keys of encrypted stores are only in "
      "the "
      "file: with a store's backup, give each with 'muletto tenant adopt --key-file'.";
  command.run = run_appliance_restore;
  return command;
}

}  // namespace appliance::cli
