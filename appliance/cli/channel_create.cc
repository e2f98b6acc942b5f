#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/notice_commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/file_system.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr uint64_t kMaxFile = 64 * 1024;  // bytes

// An option and the field that it sets.
struct Field {
  const char* option;
  const char* field;
  const char* value_name;
  const char* help;
};
constexpr Field kTexts[] = {
    {"url", "url", "URL", "webhook, heartbeat: where it is"},
    {"format", "format", "FORMAT", "webhook: json (default), teams, slack, sms or custom"},
    {"phone", "phone", "NUMBER", "webhook, format sms: who gets it"},
    {"content-type", "content_type", "TYPE", "webhook, format custom: the body's type"},
    {"server", "server", "HOST[:PORT]",
     "mail, syslog, snmp: the server; syslog without one: /dev/log"},
    {"security", "security", "HOW", "mail: starttls (default), tls or none"},
    {"user", "user", "NAME", "mail, snmp version 3: who signs in"},
    {"from", "from", "ADDRESS", "mail: the sender"},
    {"severity", "severity", "SEVERITY", "only alerts that are at least warning or critical"},
    {"timezone", "timezone", "ZONE", "of --hours, such as Europe/Rome; default: UTC"},
    {"escalation-after", "escalation_after", "DURATION",
     "only alerts that nobody has acknowledged for so long"},
    {"every", "every", "DURATION", "heartbeat: how often; default: 1m"},
};
constexpr Field kFiles[] = {
    {"secret-file", "secret", "FILE", "webhook: holds the key of the signature"},
    {"password-file", "password", "FILE", "mail, snmp version 3: holds the password"},
    {"privacy-password-file", "privacy_password", "FILE",
     "snmp version 3: encrypts with what it holds"},
    {"community-file", "community", "FILE", "snmp version 2c: holds the community"},
    {"authority-file", "authority", "FILE",
     "the server's authorities (PEM); default: the system's"},
    {"body-file", "body", "FILE", "webhook, format custom: the template"},
};
constexpr Field kLists[] = {
    {"to", "to", "ADDRESS", "mail: who gets it; can be repeated"},
    {"only-tenant", "tenants", "TENANT", "only alerts of this tenant; can be repeated"},
    {"alert-kind", "kinds", "KIND", "only alerts of this kind; can be repeated"},
    {"hours", "hours", "WINDOW", "only then, such as 'mon-fri 8-18'; can be repeated"},
};

void declare_channel_create(base::options::options_description_easy_init add) {
  for (const Field& each : kTexts)
    add(each.option, value<std::string>()->value_name(each.value_name), each.help);
  for (const Field& each : kFiles)
    add(each.option, value<std::string>()->value_name(each.value_name), each.help);
  for (const Field& each : kLists)
    add(each.option, value<std::vector<std::string>>()->value_name(each.value_name), each.help);
  add("tcp", "syslog: over TCP instead of UDP");
  add("without-receipt", "snmp: send a trap, which nobody confirms, instead of an inform");
  declare_connection(add);
}

// Without the line feed at its end.
std::string content_of(const std::string& path, bool is_secret) {
  base::Bytes bytes = base::read_file(base::real_file_system(), path, kMaxFile);
  std::string text(base::as_text(bytes));
  while (is_secret && !text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  if (text.empty())
    throw base::Error(base::ErrorCode::invalid_argument, fmt::format("{} is empty", path));
  return text;
}

int run_channel_create(const base::Arguments& arguments) {
  nlohmann::json body{{"name", arguments.get("NAME")}, {"kind", arguments.get("KIND")}};
  for (const Field& each : kTexts)
    if (arguments.has(each.option)) body[each.field] = arguments.get(each.option);
  for (const Field& each : kFiles) {
    if (!arguments.has(each.option)) continue;
    bool is_line =
        std::string_view(each.field) != "authority" && std::string_view(each.field) != "body";
    body[each.field] = content_of(arguments.get(each.option), is_line);
  }
  for (const Field& each : kLists)
    if (arguments.has(each.option)) body[each.field] = arguments.list(each.option);
  if (arguments.has("tcp")) body["tcp"] = true;
  if (arguments.has("without-receipt")) body["receipt"] = false;
  nlohmann::json answer = ApiClient(arguments).post("/channels", body);
  if (!print_if_json(arguments, answer)) {
    fmt::print("Channel {} made. Try it: muletto channel test {}\n",
               printable(arguments.get("NAME")), printable(arguments.get("NAME")));
  }
  return 0;
}

}  // namespace

base::Command channel_create_command() {
  base::Command command;
  command.name = "channel create";
  command.summary = "Make a channel that notifies people of alerts";
  command.positional = {"NAME", "KIND"};
  command.declare_options = declare_channel_create;
  command.run = run_channel_create;
  command.notes =
      "KIND is webhook, mail, syslog, snmp or heartbeat. Secrets are read from files, and are "
      "never "
      "shown again. A channel without conditions is notified of every alert that opens or closes. "
      "Outside of its hours notices wait; an alert that is over by then is not told. A heartbeat "
      "is "
      "sent as long as the appliance carries out its duties, so that a monitor outside notices "
      "when "
      "it does not.\n\n"
      "  muletto channel create mail-us mail --server mail.example.com --from backup@example.com "
      "\\\n"
      "      --to on-call@example.com --user backup --password-file mail.password\n"
      "  muletto channel create chief mail … --escalation-after 30m --severity critical\n"
      "  muletto channel create tickets webhook --url https://tickets.example.com/hook \\\n"
      "      --secret-file hook.secret";
  return command;
}

}  // namespace appliance::cli
