#include <fmt/format.h>

#include <cstdio>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::Error;
using base::ErrorCode;
using base::options::value;

constexpr size_t kMaxSecret = 64 << 10;  // bytes

void declare_verify_key(base::options::options_description_easy_init add) {
  add("add", value<std::string>()->value_name("NAME"),
      "give the appliance a key under this name; replaces one of the same name")(
      "passphrase-file", value<std::string>()->value_name("FILE"),
      "file with the passphrase or recovery key, in its first line; -: standard input")(
      "key-file", value<std::string>()->value_name("FILE"), "file that is the key as a whole")(
      "remove", value<std::string>()->value_name("NAME"), "remove a key");
  declare_connection(add);
}

std::string first_line_of(const std::string& path) {
  std::string text;
  if (path == "-") {
    int c;
    while (text.size() <= kMaxSecret && (c = std::getchar()) != EOF && c != '\n')
      text += static_cast<char>(c);
  } else {
    base::Bytes bytes = base::read_file(base::real_file_system(), path, kMaxSecret);
    text = base::as_text(bytes);
  }
  return text.substr(0, text.find_first_of("\r\n"));
}

// Secrets are read from files: arguments can be seen by every user of this computer.
nlohmann::json order_of(const base::Arguments& arguments) {
  nlohmann::json order{{"name", arguments.get("add")}};
  if (arguments.has("passphrase-file") == arguments.has("key-file")) {
    throw Error(ErrorCode::invalid_argument,
                "--add needs the key: either --passphrase-file or --key-file");
  }
  if (arguments.has("passphrase-file")) {
    order["secret"] = first_line_of(arguments.get("passphrase-file"));
  } else {
    order["secret_hex"] = base::to_hex(
        base::read_file(base::real_file_system(), arguments.get("key-file"), kMaxSecret));
  }
  return order;
}

int run_verify_key(const base::Arguments& arguments) {
  if (arguments.has("add") && arguments.has("remove"))
    throw Error(ErrorCode::invalid_argument, "either --add or --remove, not both");
  if (!arguments.has("add") && (arguments.has("passphrase-file") || arguments.has("key-file")))
    throw Error(ErrorCode::invalid_argument, "a key needs a name: --add NAME");
  std::string machine = arguments.get("MACHINE");
  std::string path = fmt::format("/machines/{}/volume-keys", base::encode_percent(machine));
  nlohmann::json order;
  if (arguments.has("add")) order = order_of(arguments);
  ApiClient client(arguments);
  nlohmann::json answer;
  if (arguments.has("add")) {
    answer = client.post(path, order);
  } else if (arguments.has("remove")) {
    answer = client.remove(path + "/" + base::encode_percent(arguments.get("remove")));
  } else {
    answer = client.get(path);
  }
  if (print_if_json(arguments, answer)) return 0;
  if (answer["keys"].empty()) {
    fmt::print("The appliance has no key of {}: its encrypted volumes are not looked into.\n",
               printable(machine));
    return 0;
  }
  for (const nlohmann::json& each : answer["keys"]) {
    fmt::print("{}  added {}\n", printable(each["name"].get<std::string>()),
               each["added"].get<std::string>());
  }
  return 0;
}

}  // namespace

base::Command verify_key_command() {
  base::Command command;
  command.name = "verify key";
  command.summary = "List, give or remove the keys of a machine's encrypted volumes";
  command.positional = {"MACHINE"};
  command.declare_options = declare_verify_key;
  command.run = run_verify_key;
  command.notes =
      "With a key, test boots also check what is in LUKS and BitLocker volumes. A key is a "
      "passphrase, a key file, or BitLocker's recovery key (48 digits); each is tried on each "
      "encrypted volume. The appliance keeps it beside the keys of its stores and never shows "
      "it.\n\n"
      "A start that asks for a passphrase still waits for a person.";
  return command;
}

}  // namespace appliance::cli
