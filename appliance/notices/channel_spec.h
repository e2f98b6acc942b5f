// What a channel is: how it reaches people, and of what it notifies them. Written by administrators
// as JSON (docs/api/openapi.yaml, Channel), kept so in the catalog. Values; thread-safe once made.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "appliance/notices/notice.h"
#include "appliance/policy/time_zone.h"
#include "appliance/policy/window.h"

namespace appliance::notices {

enum class ChannelKind {
  command,    // a program of this machine: only from the settings file
  webhook,    // HTTP
  mail,       // SMTP
  syslog,     // RFC 5424
  snmp,       // a trap, or an inform
  heartbeat,  // a URL that is asked for as long as the appliance works
};
std::string_view channel_kind_name(ChannelKind kind);

enum class WebFormat { json, teams, slack, sms, custom };
enum class MailSecurity { starttls, tls, none };

// Which alerts. Everything that is empty matches all.
struct Match {
  std::set<std::string> tenants, kinds;
  bool only_critical = false;
  std::vector<policy::Window> hours;  // outside of these, notices wait
  std::string timezone = "UTC";
  // Not 0: only alerts that nobody has acknowledged for so long.
  uint64_t escalation_after_ms = 0;

  bool wants(const catalog::Alert& alert) const;
  // `now_ms`, or when the hours begin next. UTC.
  uint64_t due_ms(uint64_t now_ms) const;
};

struct ChannelSpec {
  std::string name;
  ChannelKind kind = ChannelKind::webhook;
  Match match;
  // Settings of an administrator at the machine itself may reach the machine itself.
  bool is_from_file = false;

  std::string program;  // command
  std::string url;      // webhook, heartbeat
  WebFormat format = WebFormat::json;
  std::string secret;              // webhook: key of the signature; empty: none
  std::string body, content_type;  // webhook, format custom
  std::string phone;               // webhook, format sms
  std::string server;              // mail, syslog, snmp: HOST or HOST:PORT; syslog: empty: local
  MailSecurity security = MailSecurity::starttls;
  std::string authority;       // PEM; empty: the system's authorities
  std::string user, password;  // mail, snmp version 3
  std::string from;
  std::vector<std::string> to;
  bool over_tcp = false;         // syslog; otherwise UDP
  std::string community;         // snmp version 2c; empty: version 3
  std::string privacy_password;  // snmp version 3
  bool wants_receipt = true;     // snmp: an inform, which is repeated until it is confirmed
  uint64_t every_ms = 60'000;    // heartbeat
};

// Throws invalid_argument with the field's name; also for a field that the kind does not have.
ChannelSpec parse_channel(const nlohmann::json& text);
// The same JSON without secrets: each is replaced by true, a URL by its scheme and host.
nlohmann::json shown_channel(const nlohmann::json& text);

// "https://example.com/…"
std::string shown_url(const std::string& url);

constexpr size_t kMaxChannels = 50;

}  // namespace appliance::notices
