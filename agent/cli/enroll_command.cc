#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/enrollment.h"
#include "agent/host_name.h"
#include "agent/state_layout.h"
#include "base/json_access.h"
#include "base/private_file.h"
#include "base/text.h"

namespace agent::cli {
namespace {

using base::Arguments;

constexpr size_t kMaxTokenFile = 4096;  // bytes

// Arguments on a command line can be read by every user of this host; a typed line cannot.
std::string token_of_standard_input() {
  if (::isatty(STDIN_FILENO) == 1) fmt::print(stderr, "Token: ");
  std::string line;
  for (char c; std::cin.get(c) && c != '\n' && line.size() < kMaxTokenFile;) line += c;
  line = base::trim(line);
  if (line.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "give the token on standard input, or in a file: --token-file FILE");
  }
  return line;
}

std::string token_of(const Arguments& arguments) {
  if (arguments.has("token") && arguments.has("token-file")) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "--token and --token-file do not go together");
  }
  if (arguments.has("token")) return arguments.get("token");
  if (arguments.get_or<std::string>("token-file", "-") == "-") return token_of_standard_input();
  return base::trim(base::read_private_file(arguments.get("token-file"), kMaxTokenFile));
}

int run_enroll(const Arguments& arguments) {
  Config config = common_config(arguments);
  EnrollOptions options;
  options.appliance = base::parse_endpoint(arguments.get("HOST:PORT"), kAppliancePort);
  options.token = token_of(arguments);
  options.fingerprint = arguments.get("fingerprint");
  options.host_name = arguments.get_or("name", host_name());
  if (is_enrolled(config.state_directory) && !arguments.has("replace")) {
    throw base::Error(base::ErrorCode::already_exists,
                      "this host is enrolled already; --replace forgets that appliance");
  }
  // Before the token is used: if a folder cannot be created, the token must not be lost.
  make_agent_directories(config.state_directory, config.run_directory);
  Enrollment enrollment = enroll(options);
  save_enrollment(config.state_directory, enrollment);

  std::string expires = base::format_time_ms(
      base::describe_certificate(enrollment.credentials.certificate_pem).not_after_ms);
  if (arguments.json()) {
    nlohmann::json result{{"host", {{"id", enrollment.host_id}, {"name", enrollment.host_name}}},
                          {"tenant", enrollment.tenant},
                          {"appliance", enrollment.appliance.text()},
                          {"expires", expires}};
    fmt::print("{}\n", base::dump_text(result, 2));
  } else {
    fmt::print("enrolled at {} as '{}' ({}); the certificate is valid until {}\n",
               enrollment.appliance.text(), enrollment.host_name, enrollment.host_id, expires);
  }
  return 0;
}

}  // namespace

base::Command enroll_command() {
  base::Command command;
  command.name = "enroll";
  command.summary = "Enrol this host at an appliance";
  command.positional = {"HOST:PORT"};
  command.declare_options = [](base::options::options_description_easy_init add) {
    using base::options::value;
    add("token-file", value<std::string>()->value_name("FILE"),
        "file with the one-time token of 'muletto token create'; - is standard input (default: -)");
    add("token", value<std::string>()->value_name("TOKEN"),
        "the token itself; every user of this host can read it while the command runs");
    add("fingerprint", value<std::string>()->required()->value_name("HEX"),
        "fingerprint of the appliance's authority, shown with the token");
    add("name", value<std::string>()->value_name("NAME"),
        "what the appliance calls this host (default: its host name)");
    add("replace", "enrol even if this host is enrolled already");
    declare_common_options(add);
  };
  command.notes =
      "The token is sent only to the appliance whose authority has the fingerprint. The private "
      "key is created here and never leaves this host. The port is 7443 if none is given.";
  command.run = run_enroll;
  return command;
}

}  // namespace agent::cli
