#include "appliance/notices/notice.h"

#include <fmt/format.h>

#include <array>
#include <map>

#include "appliance/alerts/kinds.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::notices {
namespace {

using nlohmann::json;

constexpr size_t kMaxTitle = 200, kMaxLine = 300, kMaxText = 4000;  // bytes

std::string value_of(const Notice& notice, std::string_view name) {
  const catalog::Alert& alert = notice.alert;
  if (name == "kind") return alert.kind;
  if (name == "state") return notice.state;
  if (name == "severity") return severity_of(notice);
  if (name == "tenant") return alert.tenant.text();
  if (name == "subject") return alert.subject;
  if (name == "message") return base::clean_text(alert.message, kMaxText);
  if (name == "advice") return advice_of(notice);
  if (name == "time") return base::format_time_ms(notice.time_ms());
  if (name == "notice") return notice.id;
  if (name == "title") return title_of(notice);
  return line_of(notice);
}

constexpr std::array<std::string_view, 11> kPlaceholders{"kind",    "state",   "severity", "tenant",
                                                         "subject", "message", "advice",   "time",
                                                         "notice",  "title",   "line"};

bool is_placeholder(std::string_view name) {
  return std::find(kPlaceholders.begin(), kPlaceholders.end(), name) != kPlaceholders.end();
}

std::string escaped(const std::string& value, Escape escape) {
  switch (escape) {
    case Escape::none: return value;
    case Escape::form: return base::encode_percent(value);
    case Escape::json: break;
  }
  std::string quoted = base::dump_text(json(value));
  return quoted.substr(1, quoted.size() - 2);
}

// The place after "{name}" if a placeholder begins at `at`.
bool placeholder_at(const std::string& text, size_t at, std::string& name) {
  size_t end = at + 1;
  while (end < text.size() && text[end] >= 'a' && text[end] <= 'z') ++end;
  if (end == at + 1 || end >= text.size() || text[end] != '}') return false;
  name = text.substr(at + 1, end - at - 1);
  return true;
}

std::string state_sentence(const Notice& notice) {
  if (notice.state == kClosed) return "It is over.";
  if (notice.state == kEscalated) return "Nobody has acknowledged it yet.";
  if (notice.state == kReminded) return "Its silence is over, and it is still so.";
  return "";
}

}  // namespace

std::string notice_id(const std::string& node, int64_t alert, const std::string& state) {
  return fmt::format("{}-{}-{}", node, alert, state);
}

std::string notice_body(const Notice& notice) {
  const catalog::Alert& alert = notice.alert;
  json body{{"id", notice.id},          {"state", notice.state},
            {"alert", alert.id},        {"tenant", alert.tenant.text()},
            {"kind", alert.kind},       {"subject", alert.subject},
            {"message", alert.message}, {"opened", alert.opened_ms}};
  if (alert.closed_ms) body["closed"] = *alert.closed_ms;
  return base::dump_text(body);
}

Notice notice_from_body(const std::string& text) {
  auto body = base::find_json(text);
  auto field = [&](const char* name) {
    auto value = body ? base::find_text(*body, name) : std::nullopt;
    if (!value)
      throw base::Error(base::ErrorCode::corrupt, "a notice that waits in the catalog is damaged");
    return *value;
  };
  Notice notice{.id = field("id"), .state = field("state"), .alert = {}};
  notice.alert.id = base::find_integer(*body, "alert").value_or(0);
  notice.alert.tenant = catalog::TenantName(field("tenant"));
  notice.alert.kind = field("kind");
  notice.alert.subject = field("subject");
  notice.alert.message = field("message");
  notice.alert.opened_ms = base::find_natural(*body, "opened").value_or(0);
  if (auto closed = base::find_natural(*body, "closed")) notice.alert.closed_ms = closed;
  return notice;
}

std::string severity_of(const Notice& notice) {
  if (notice.state == kTest) return "warning";
  return std::string(alerts::severity_name(alerts::kind_of(notice.alert.kind).severity));
}

std::string advice_of(const Notice& notice) {
  if (notice.state == kTest) return "Nothing needs to be done.";
  return std::string(alerts::kind_of(notice.alert.kind).advice);
}

std::string title_of(const Notice& notice) {
  std::string state = notice.state == kOpened ? severity_of(notice) : notice.state;
  return base::clean_text(fmt::format("[Muletto] {}: {}: {} ({})", state, notice.alert.kind,
                                      notice.alert.subject, notice.alert.tenant.text()),
                          kMaxTitle);
}

std::string letter_of(const Notice& notice) {
  const alerts::AlertKind& kind = alerts::kind_of(notice.alert.kind);
  std::string letter = base::clean_text(notice.alert.message, kMaxText) + "\n\n";
  if (auto sentence = state_sentence(notice); !sentence.empty()) letter += sentence + "\n\n";
  letter += fmt::format(
      "Tenant:    {}\nSubject:   {}\nKind:      {}\nSeverity:  {}\nSince:     {}\n",
      notice.alert.tenant.text(), base::clean_text(notice.alert.subject, 255), notice.alert.kind,
      severity_of(notice), base::format_time_ms(notice.alert.opened_ms));
  if (notice.alert.closed_ms)
    letter += fmt::format("Until:     {}\n", base::format_time_ms(*notice.alert.closed_ms));
  if (!kind.meaning.empty()) letter += fmt::format("\nWhat it means: {}.\n", kind.meaning);
  letter += fmt::format("What to do: {}\n", advice_of(notice));
  return letter + fmt::format("\nNotice {}, attempt {}\n", notice.id, notice.attempt);
}

std::string line_of(const Notice& notice) {
  return base::clean_text(
      fmt::format("{}: {}: {}", notice.state, notice.alert.tenant.text(), notice.alert.message),
      kMaxLine);
}

std::string json_of(const Notice& notice) {
  json body{{"attempt", notice.attempt}};
  for (const char* name :
       {"kind", "state", "severity", "tenant", "subject", "message", "advice", "time", "notice"})
    body[name] = value_of(notice, name);
  return base::dump_text(body);
}

std::string fill_template(const std::string& text, const Notice& notice, Escape escape) {
  std::string filled, name;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '{' && placeholder_at(text, at, name) && is_placeholder(name)) {
      filled += escaped(value_of(notice, name), escape);
      at += name.size() + 2;
    } else {
      filled += text[at++];
    }
  }
  return filled;
}

void check_template(const std::string& text) {
  std::string name;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '{' || !placeholder_at(text, at, name) || is_placeholder(name)) continue;
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("a template cannot contain {{{}}}; choose from {{{}}}",
                                  name.substr(0, 40), fmt::join(kPlaceholders, "}, {")));
  }
}

}  // namespace appliance::notices
