// Webhooks and heartbeats.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/notices/curl_call.h"
#include "appliance/notices/senders.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::notices {
namespace {

using nlohmann::json;

// Of a Teams workflow "when a webhook request is received": an adaptive card.
std::string teams_body(const Notice& notice) {
  auto block = [](const std::string& text, bool is_title) {
    json result{{"type", "TextBlock"}, {"text", text}, {"wrap", true}};
    if (is_title) result["weight"] = "Bolder";
    return result;
  };
  auto fact = [](const char* title, const std::string& value) {
    return json{{"title", title}, {"value", value}};
  };
  json facts{
      {"type", "FactSet"},
      {"facts",
       {fact("Tenant", notice.alert.tenant.text()), fact("Severity", severity_of(notice)),
        fact("State", notice.state), fact("Since", base::format_time_ms(notice.alert.opened_ms)),
        fact("Notice", notice.id)}}};
  json card{{"type", "AdaptiveCard"},
            {"version", "1.4"},
            {"body",
             {block(title_of(notice), true), block(notice.alert.message, false), facts,
              block(advice_of(notice), false)}}};
  json attachment{{"contentType", "application/vnd.microsoft.card.adaptive"}, {"content", card}};
  return base::dump_text(json{{"type", "message"}, {"attachments", json::array({attachment})}});
}

// Slack reads &, < and > as its own marks.
std::string slack_words(const std::string& text) {
  std::string words;
  for (char c : text) {
    if (c == '&') words += "&amp;";
    else if (c == '<') words += "&lt;";
    else if (c == '>') words += "&gt;";
    else words += c;
  }
  return words;
}

std::string slack_body(const Notice& notice) {
  return base::dump_text(
      json{{"text", slack_words(fmt::format("{}\n{}\n{}\n{}", title_of(notice),
                                            notice.alert.message, advice_of(notice), notice.id))}});
}

}  // namespace

WebBody web_body(const ChannelSpec& spec, const Notice& notice) {
  switch (spec.format) {
    case WebFormat::json: break;
    case WebFormat::teams: return {teams_body(notice), "application/json"};
    case WebFormat::slack: return {slack_body(notice), "application/json"};
    case WebFormat::sms:
      return {fmt::format("to={}&text={}", base::encode_percent(spec.phone),
                          base::encode_percent(line_of(notice))),
              "application/x-www-form-urlencoded"};
    case WebFormat::custom: {
      Escape escape = Escape::none;
      if (spec.content_type.find("json") != std::string::npos) escape = Escape::json;
      if (spec.content_type.find("urlencoded") != std::string::npos) escape = Escape::form;
      return {fill_template(spec.body, notice, escape), spec.content_type};
    }
  }
  return {json_of(notice), "application/json"};
}

std::string web_signature(const std::string& secret, const std::string& body, uint64_t now_ms) {
  std::string signed_text = fmt::format("{}.{}", now_ms / 1000, body);
  base::Sha256 mac = base::hmac_sha256(base::as_bytes(secret), base::as_bytes(signed_text));
  std::string hex;
  for (uint8_t byte : mac) hex += fmt::format("{:02x}", byte);
  return fmt::format("t={},v1={}", now_ms / 1000, hex);
}

void send_to_web(const ChannelSpec& spec, const SenderOptions& options, const Notice& notice) {
  WebBody body = web_body(spec, notice);
  CurlCall call(spec.url, "http,https", spec.authority, options.may_be_local || spec.is_from_file);
  call.set(CURLOPT_POSTFIELDS, body.text.c_str());
  call.set(CURLOPT_POSTFIELDSIZE, static_cast<long>(body.text.size()));
  call.add_header("Content-Type: " + body.content_type);
  call.add_header("Expect:");
  call.add_header("Muletto-Notice: " + notice.id);
  call.add_header(fmt::format("Muletto-Attempt: {}", notice.attempt));
  if (!spec.secret.empty())
    call.add_header("Muletto-Signature: " + web_signature(spec.secret, body.text, base::now_ms()));
  call.run("the webhook");
}

void send_heartbeat(const ChannelSpec& spec, const SenderOptions& options) {
  CurlCall call(spec.url, "http,https", spec.authority, options.may_be_local);
  call.run("the heartbeat's URL");
}

}  // namespace appliance::notices
