#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "appliance/backup/content.h"
#include "appliance/cli/appliance_commands.h"
#include "appliance/cli/present.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/private_file.h"
#include "base/text.h"
#include "images/store/store_key.h"

namespace appliance::cli {
namespace {

using base::Error;
using base::ErrorCode;
using base::options::value;

constexpr size_t kShortestPassphrase = 12;  // characters: the file may be tried for years

std::optional<std::string> given(const base::Arguments& arguments, const char* name) {
  return arguments.has(name) ? std::optional(arguments.get(name)) : std::nullopt;
}

int run_appliance_backup(const base::Arguments& arguments) {
  ConfigOverrides overrides;
  overrides.state_directory = given(arguments, "state-directory");
  Config config = load_config(given(arguments, "config"), overrides);
  backup::BackupKey key;
  key.passphrase = images::read_key_source(arguments.get("passphrase-file"), "").passphrase;
  if (key.passphrase.size() < kShortestPassphrase)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("the passphrase is too short: take at least {} characters, because the "
                            "file opens every host and store",
                            kShortestPassphrase));
  std::string path = arguments.get("FILE");
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0)
    throw Error(ErrorCode::already_exists, path + " exists: choose another name, or remove it");

  backup::Backup content =
      backup::collect_backup(config, config.settings_path, backup::StoreKeysIn::included);
  base::Bytes bytes = backup::encode_backup(content, key);
  base::write_private_file(path, base::as_text(bytes));
  // What cannot be read back is no backup.
  backup::decode_backup(base::read_file(base::real_file_system(), path, backup::kMaxBackupSize),
                        key);
  nlohmann::json outcome{{"file", path},
                         {"size", bytes.size()},
                         {"file_count", content.files.size()},
                         {"appliance", content.node.hex()},
                         {"time", base::format_time_ms(content.made_ms)}};
  if (!print_if_json(arguments, outcome))
    fmt::print("{} holds the catalog, settings and keys of this appliance: {}, sealed, read back\n",
               path, base::format_size(bytes.size()));
  return 0;
}

}  // namespace

base::Command appliance_backup_command() {
  base::Command command;
  command.name = "appliance backup";
  command.summary = "Write the appliance's catalog, settings and keys into a sealed file";
  command.positional = {"FILE"};
  command.declare_options = [](base::options::options_description_easy_init add) {
    add("passphrase-file", value<std::string>()->required()->value_name("FILE"),
        "its first line seals the backup, and opens it again");
    add("config", value<std::string>()->value_name("FILE"),
        "settings of mulettod (default: /etc/muletto/mulettod.toml, if it exists)");
    add("state-directory", value<std::string>()->value_name("DIR"), "as for mulettod");
  };
  command.notes =
      "Works on the appliance, as root, whether mulettod runs or not. With the file and the stores "
      "a "
      "new appliance goes on where this one stopped: 'muletto appliance restore'. Stores, the "
      "writes of "
      "instant VMs, reports and evidence are not in it.\n\n"
      "The daemon also puts such a backup into each store by itself, without the keys of stores.";
  command.run = run_appliance_backup;
  return command;
}

}  // namespace appliance::cli
