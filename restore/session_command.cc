// muletto-restore session: a rescue code becomes the token with which points are read.
#include <fmt/format.h>

#include "base/certificates.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/private_file.h"
#include "base/text.h"
#include "restore/appliance_store.h"
#include "restore/commands.h"

namespace restore {
namespace {

using base::options::value;

constexpr uint64_t kMaxCodeFile = 1024;  // bytes

void declare_session(base::options::options_description_easy_init add) {
  add("appliance", value<std::string>()->required()->value_name("HOST:PORT"), "the appliance");
  add("fingerprint", value<std::string>()->required()->value_name("HEX"),
      "fingerprint of the appliance's authority");
  add("code-file", value<std::string>()->required()->value_name("FILE"),
      "file with the code that 'muletto rescue code' printed");
  add("to", value<std::string>()->required()->value_name("FILE"),
      "the file for the token, which only its owner can read");
}

int run_session(const base::Arguments& arguments) {
  base::Bytes code =
      base::read_file(base::real_file_system(), arguments.get("code-file"), kMaxCodeFile);
  std::string token = exchange_rescue_code(
      base::parse_endpoint(arguments.get("appliance"), kAppliancePort),
      base::normalize_fingerprint(arguments.get("fingerprint")), base::trim(base::as_text(code)));
  base::write_private_file(arguments.get("to"), token + "\n");
  fmt::print("{} holds the session's token, which is good for a day\n", arguments.get("to"));
  return 0;
}

}  // namespace

base::Command session_command() {
  base::Command command;
  command.name = "session";
  command.summary = "Exchange a rescue code for a token that reads the points of its machines";
  command.declare_options = declare_session;
  command.run = run_session;
  command.notes =
      "The code is made on the appliance, with 'muletto rescue code MACHINE', and is good once. "
      "The "
      "other commands take the file as --token-file.";
  return command;
}

}  // namespace restore
