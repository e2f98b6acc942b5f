#include "appliance/notices/channel_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "appliance/alerts/kinds.h"
#include "base/enum_names.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::notices {
namespace {

using nlohmann::json;

constexpr size_t kMaxText = 2048, kMaxLong = 64 * 1024;  // bytes
constexpr size_t kMaxEntries = 100;
constexpr uint64_t kShortestBeat_ms = 10'000, kLongest_ms = 30ull * 24 * 3'600'000;

constexpr auto kKinds =
    base::enum_names<ChannelKind>("a kind of channel", {{ChannelKind::command, "command"},
                                                        {ChannelKind::webhook, "webhook"},
                                                        {ChannelKind::mail, "mail"},
                                                        {ChannelKind::syslog, "syslog"},
                                                        {ChannelKind::snmp, "snmp"},
                                                        {ChannelKind::heartbeat, "heartbeat"}});
constexpr auto kFormats =
    base::enum_names<WebFormat>("a webhook's format", {{WebFormat::json, "json"},
                                                       {WebFormat::teams, "teams"},
                                                       {WebFormat::slack, "slack"},
                                                       {WebFormat::sms, "sms"},
                                                       {WebFormat::custom, "custom"}});
constexpr auto kSecurities = base::enum_names<MailSecurity>("a mail server's security",
                                                            {{MailSecurity::starttls, "starttls"},
                                                             {MailSecurity::tls, "tls"},
                                                             {MailSecurity::none, "none"}});
constexpr std::array<std::string_view, 5> kSecrets{"secret", "password", "community",
                                                   "privacy_password", "authority"};

[[noreturn]] void refuse(const std::string& problem) {
  throw base::Error(base::ErrorCode::invalid_argument, problem);
}

// Reads each field once, and knows which were not read.
class Fields {
 public:
  explicit Fields(const json& text) : text_(text) {
    if (!text.is_object()) refuse("a channel must be a JSON object");
  }

  std::string text(const char* name, size_t max = kMaxText) {
    known_.insert(name);
    const json* field = base::find_field(text_, name);
    if (field == nullptr) return "";
    std::string value = base::expect_text(text_, name, max);
    bool has_control = std::any_of(value.begin(), value.end(), [&](char c) {
      return static_cast<unsigned char>(c) < 0x20 &&
             !(max == kMaxLong && (c == '\n' || c == '\r' || c == '\t'));
    });
    if (has_control) refuse(fmt::format("'{}' contains control characters", name));
    return value;
  }
  std::string required(const char* name, size_t max = kMaxText) {
    std::string value = text(name, max);
    if (value.empty()) refuse(fmt::format("'{}' is needed for this kind of channel", name));
    return value;
  }
  std::vector<std::string> texts(const char* name) {
    known_.insert(name);
    std::vector<std::string> values;
    if (base::find_field(text_, name) == nullptr) return values;
    for (const json& each : base::expect_list(text_, name, kMaxEntries)) {
      if (!each.is_string()) refuse(fmt::format("'{}' must be a list of texts", name));
      values.push_back(each.get_ref<const std::string&>().substr(0, kMaxText));
    }
    return values;
  }
  bool flag(const char* name, bool fallback) {
    known_.insert(name);
    return base::find_field(text_, name) == nullptr ? fallback : base::expect_flag(text_, name);
  }
  uint64_t duration_ms(const char* name, uint64_t fallback, uint64_t min) {
    std::string value = text(name);
    if (value.empty()) return fallback;
    uint64_t duration = base::parse_duration_ms(value);
    if (duration < min || duration > kLongest_ms)
      refuse(fmt::format("'{}' must be from {} to 30 d", name, base::format_duration_ms(min)));
    return duration;
  }
  void require_no_more() const {
    for (const auto& [name, value] : text_.items()) {
      if (!known_.contains(name))
        refuse(fmt::format("this kind of channel has no field '{}'", name.substr(0, 80)));
    }
  }

 private:
  const json& text_;
  std::set<std::string> known_;
};

void check_address(const std::string& address) {
  size_t at = address.find('@');
  bool is_good = at != std::string::npos && at > 0 && at + 1 < address.size() &&
                 address.size() <= 254 &&
                 std::all_of(address.begin(), address.end(), [](unsigned char c) {
                   return c > 0x20 && c < 0x7f && c != '<' && c != '>' && c != '"' && c != ',';
                 });
  if (!is_good) refuse(fmt::format("'{}' is not a mail address", address.substr(0, 80)));
}

// HOST or HOST:PORT, without anything that is more than a name for curl or snmptrap.
std::string checked_server(std::string server) {
  bool is_good = !server.empty() && server.size() <= 255 && server.front() != '-' &&
                 std::all_of(server.begin(), server.end(), [](unsigned char c) {
                   return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':' ||
                          c == '[' || c == ']';
                 });
  if (!is_good) refuse(fmt::format("'{}' is not HOST or HOST:PORT", server.substr(0, 80)));
  return server;
}

std::string checked_url(std::string url) {
  if (!url.starts_with("https://") && !url.starts_with("http://"))
    refuse("a 'url' must begin with https:// or http://");
  return url;
}

Match read_match(Fields& fields) {
  Match match;
  for (const std::string& each : fields.texts("tenants")) match.tenants.insert(each);
  for (const std::string& each : fields.texts("kinds")) {
    auto all = alerts::alert_kinds();
    if (std::none_of(all.begin(), all.end(), [&](const auto& kind) { return kind.name == each; }))
      refuse(fmt::format("there is no kind of alerts '{}'; see 'muletto alert kinds'",
                         each.substr(0, 80)));
    match.kinds.insert(each);
  }
  std::string severity = fields.text("severity");
  if (severity != "" && severity != "warning" && severity != "critical")
    refuse("'severity' must be warning (and what is worse) or critical");
  match.only_critical = severity == "critical";
  for (const std::string& each : fields.texts("hours"))
    match.hours.push_back(policy::parse_window(policy::words_of(each)));
  if (std::string zone = fields.text("timezone"); !zone.empty()) match.timezone = zone;
  policy::TimeZone known(match.timezone);
  match.escalation_after_ms = fields.duration_ms("escalation_after", 0, 60'000);
  return match;
}

void read_webhook(ChannelSpec& spec, Fields& fields) {
  spec.url = checked_url(fields.required("url"));
  std::string format = fields.text("format");
  if (!format.empty()) spec.format = kFormats.value(format);
  spec.secret = fields.text("secret");
  spec.authority = fields.text("authority", kMaxLong);
  if (spec.format == WebFormat::sms) spec.phone = fields.required("phone");
  if (spec.format == WebFormat::custom) {
    spec.body = fields.required("body", kMaxLong);
    spec.content_type = fields.required("content_type");
    check_template(spec.body);
  }
}

void read_mail(ChannelSpec& spec, Fields& fields) {
  spec.server = checked_server(fields.required("server"));
  std::string security = fields.text("security");
  if (!security.empty()) spec.security = kSecurities.value(security);
  spec.authority = fields.text("authority", kMaxLong);
  spec.user = fields.text("user");
  spec.password = fields.text("password");
  if (!spec.password.empty() && spec.security == MailSecurity::none)
    refuse("a password must not be sent unencrypted: choose 'security' starttls or tls");
  spec.from = fields.required("from");
  spec.to = fields.texts("to");
  check_address(spec.from);
  for (const std::string& each : spec.to) check_address(each);
  if (spec.to.empty()) refuse("'to' must name at least one mail address");
}

void read_snmp(ChannelSpec& spec, Fields& fields) {
  spec.server = checked_server(fields.required("server"));
  spec.community = fields.text("community");
  spec.user = fields.text("user");
  spec.password = fields.text("password");
  spec.privacy_password = fields.text("privacy_password");
  spec.wants_receipt = fields.flag("receipt", true);
  if (spec.community.empty() == spec.user.empty())
    refuse("give either 'community' (SNMP version 2c) or 'user' (version 3)");
  if (!spec.user.empty() && spec.password.size() < 8)
    refuse("SNMP version 3 needs a 'password' of at least 8 characters");
  for (const std::string* each :
       {&spec.community, &spec.user, &spec.password, &spec.privacy_password}) {
    if (each->find_first_of("\"'\\# ") != std::string::npos)
      refuse("SNMP's secrets must not contain spaces, quotes, backslashes or #");
  }
}

}  // namespace

std::string_view channel_kind_name(ChannelKind kind) { return kKinds.name(kind); }

bool Match::wants(const catalog::Alert& alert) const {
  if (!tenants.empty() && !tenants.contains(alert.tenant.text())) return false;
  if (!kinds.empty() && !kinds.contains(alert.kind)) return false;
  return !only_critical || alerts::kind_of(alert.kind).severity == alerts::Severity::critical;
}

uint64_t Match::due_ms(uint64_t now_ms) const {
  if (hours.empty()) return now_ms;
  policy::TimeZone zone(timezone);
  constexpr uint64_t kStep = 60'000, kWeek = 8ull * 24 * 3'600'000;
  auto is_inside = [&](uint64_t time_ms) {
    int64_t local = zone.local_of(static_cast<int64_t>(time_ms));
    return std::any_of(hours.begin(), hours.end(),
                       [&](const policy::Window& window) { return window.contains(local); });
  };
  if (is_inside(now_ms)) return now_ms;
  // Windows begin at full minutes.
  for (uint64_t time_ms = now_ms - now_ms % kStep + kStep; time_ms < now_ms + kWeek;
       time_ms += kStep) {
    if (is_inside(time_ms)) return time_ms;
  }
  return now_ms;
}

ChannelSpec parse_channel(const json& text) {
  Fields fields(text);
  ChannelSpec spec;
  spec.name = fields.required("name");
  base::check_name(spec.name, "a channel's name");
  if (spec.name == "command" || spec.name == "webhook")
    refuse("the names 'command' and 'webhook' are those of the channels of mulettod.toml");
  spec.kind = kKinds.value(fields.required("kind"));
  if (spec.kind != ChannelKind::heartbeat) spec.match = read_match(fields);
  switch (spec.kind) {
    case ChannelKind::command:
      refuse("a program can only be named in mulettod.toml: alerts.command");
    case ChannelKind::webhook: read_webhook(spec, fields); break;
    case ChannelKind::mail: read_mail(spec, fields); break;
    case ChannelKind::syslog:
      if (std::string server = fields.text("server"); !server.empty())
        spec.server = checked_server(server);
      spec.over_tcp = fields.flag("tcp", false);
      break;
    case ChannelKind::snmp: read_snmp(spec, fields); break;
    case ChannelKind::heartbeat:
      spec.url = checked_url(fields.required("url"));
      spec.authority = fields.text("authority", kMaxLong);
      spec.every_ms = fields.duration_ms("every", 60'000, kShortestBeat_ms);
      break;
  }
  fields.require_no_more();
  return spec;
}

json shown_channel(const json& text) {
  json shown = text;
  for (std::string_view name : kSecrets) {
    if (shown.contains(name)) shown[std::string(name)] = true;
  }
  if (shown.contains("url") && shown["url"].is_string())
    shown["url"] = shown_url(shown["url"].get<std::string>());
  return shown;
}

// Without what is before an @, which may be a password.
std::string shown_url(const std::string& url) {
  size_t begin = url.find("://");
  if (begin == std::string::npos) return "…";
  size_t end = url.find_first_of("/?#", begin + 3);
  std::string host = url.substr(begin + 3, end == std::string::npos ? end : end - begin - 3);
  if (size_t at = host.rfind('@'); at != std::string::npos) host = host.substr(at + 1);
  return url.substr(0, begin + 3) + host + "/…";
}

}  // namespace appliance::notices
