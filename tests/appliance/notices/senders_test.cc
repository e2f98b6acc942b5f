// What is sent, byte by byte, and what a channel may be.
#include "appliance/notices/senders.h"

#include <arpa/inet.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <nlohmann/json.hpp>

#include "appliance/alerts/conditions.h"
#include "appliance/notices/targets.h"
#include "base/error.h"
#include "base/json_access.h"

namespace appliance::notices {
namespace {

using nlohmann::json;

Notice sample() {
  Notice notice{.id = "n1-7-opened", .state = kOpened, .alert = {}};
  notice.alert.id = 7;
  notice.alert.kind = alerts::kMachineOverdue;
  notice.alert.tenant = catalog::TenantName("bakery");
  notice.alert.subject = "web]\"\\\r\nBcc: x@example.com";
  notice.alert.message = "Brötchen & <b>\"late\"</b> {kind}";
  notice.alert.opened_ms = 1'795'372'800'000;
  return notice;
}

bool is_local(const char* text) {
  sockaddr_storage storage{};
  auto* ipv4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
    storage.ss_family = AF_INET;
  } else {
    storage.ss_family = AF_INET6;
    REQUIRE(::inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1);
  }
  return is_local_target(*reinterpret_cast<const sockaddr*>(&storage));
}

}  // namespace

TEST_CASE("channels of the API do not reach this machine or its link", "[alerts]") {
  for (const char* text : {"127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "224.0.0.1",
                           "255.255.255.255", "::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1",
                           "::ffff:169.254.169.254", "64:ff9b::7f00:1", "::127.0.0.1"}) {
    INFO(text);
    CHECK(is_local(text));
  }
  for (const char* text : {"192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", "fd00::1"}) {
    INFO(text);
    CHECK_FALSE(is_local(text));
  }
  CHECK_THROWS_WITH(resolve_target("localhost:25", 25, SOCK_STREAM, false),
                    Catch::Contains("alerts.local_targets"));
  CHECK(resolve_target("127.0.0.1", 162, SOCK_DGRAM, true).text == "127.0.0.1:162");
}

TEST_CASE("servers are HOST or HOST:PORT", "[alerts]") {
  CHECK(split_server("a.example", 25).host == "a.example");
  CHECK(split_server("a.example:587", 25).port == 587);
  CHECK(split_server("[2001:db8::1]:587", 25).host == "2001:db8::1");
  CHECK(split_server("[2001:db8::1]:587", 25).port == 587);
  CHECK(split_server("2001:db8::1", 25).host == "2001:db8::1");
  CHECK(split_server("2001:db8::1", 25).port == 25);
  CHECK_THROWS_AS(split_server("a:0", 25), base::Error);
  CHECK_THROWS_AS(split_server("a:99999", 25), base::Error);
}

TEST_CASE("a webhook's body is valid whatever the alert says", "[alerts]") {
  ChannelSpec spec;
  Notice notice = sample();
  json body = base::parse_json(web_body(spec, notice).text, "the body");
  CHECK(body["message"] == "Brötchen & <b>\"late\"</b> {kind}");
  CHECK(body["tenant"] == "bakery");
  CHECK(body["severity"] == "critical");
  CHECK(body["notice"] == "n1-7-opened");
  CHECK(body["time"] == "2026-11-22T18:40:00Z");
  spec.format = WebFormat::teams;
  body = base::parse_json(web_body(spec, notice).text, "the body");
  CHECK(body["attachments"][0]["content"]["type"] == "AdaptiveCard");
  spec.format = WebFormat::slack;
  body = base::parse_json(web_body(spec, notice).text, "the body");
  CHECK_THAT(body["text"].get<std::string>(), Catch::Contains("&amp; &lt;b&gt;"));
  spec.format = WebFormat::sms;
  spec.phone = "+49 30 1";
  CHECK_THAT(web_body(spec, notice).text, Catch::StartsWith("to=%2B49%2030%201&text=opened"));
  spec.format = WebFormat::custom;
  spec.content_type = "application/json";
  spec.body = R"({"t": "{message}", "other": {}, "k": "{kind}"})";
  body = base::parse_json(web_body(spec, notice).text, "the body");
  CHECK(body["t"] == "Brötchen & <b>\"late\"</b> {kind}");
  CHECK(body["k"] == "machine-overdue");
  CHECK_THROWS_WITH(check_template("{password}"), Catch::Contains("{password}"));
}

TEST_CASE("a webhook's signature is HMAC-SHA-256 over time and body", "[alerts]") {
  // printf '1795372800.{}' | openssl dgst -sha256 -hmac key
  CHECK(web_signature("key", "{}", 1'795'372'800'999) ==
        "t=1795372800,v1=7f179a6f08ab4e67674495fc70f34f38fc440bbbbce57f53c28767c36be1730e");
}

TEST_CASE("a mail has no line that an alert's text could add", "[alerts]") {
  ChannelSpec spec;
  spec.from = "backup@example.com";
  spec.to = {"a@example.com", "b@example.com"};
  std::string mail = mail_text(spec, "cellar", sample(), 1'795'372'800'000);
  std::string head = mail.substr(0, mail.find("\r\n\r\n"));
  CHECK_THAT(head, Catch::StartsWith("From: Muletto <backup@example.com>\r\nTo: a@example.com,\r\n "
                                     "b@example.com\r\nSubject: =?UTF-8?B?"));
  CHECK_THAT(head, Catch::Contains("Date: Sun, 22 Nov 2026 18:40:00 +0000"));
  CHECK_THAT(head, Catch::Contains("Message-ID: <n1-7-opened@cellar>"));
  CHECK(head.find("Bcc") == std::string::npos);
  for (size_t at = 0; at < mail.size();) {
    size_t end = mail.find("\r\n", at);
    REQUIRE(end != std::string::npos);
    CHECK(end - at <= 100);
    CHECK(mail.substr(at, end - at).find('\n') == std::string::npos);
    at = end + 2;
  }
}

TEST_CASE("a message for syslog is one line of RFC 5424", "[alerts]") {
  std::string text = syslog_text("cellar", sample(), 1'795'372'800'000);
  CHECK_THAT(text,
             Catch::StartsWith("<130>1 2026-11-22T18:40:00Z cellar mulettod - machine-overdue "
                               "[muletto@32473 notice=\"n1-7-opened\" state=\"opened\" "
                               "severity=\"critical\" tenant=\"bakery\" "
                               "subject=\"web\\]\\\"\\\\  Bcc: x@example.com\"] \xEF\xBB\xBF"
                               "opened: Brötchen"));
  CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("a channel that could not work, or says too much, is refused", "[alerts]") {
  auto refusal = [](const json& text) -> std::string {
    try {
      parse_channel(text);
      return "";
    } catch (const base::Error& error) {
      return error.message();
    }
  };
  json mail{{"name", "m"},
            {"kind", "mail"},
            {"server", "mail.example.com"},
            {"from", "a@example.com"},
            {"to", {"b@example.com"}}};
  CHECK(refusal(mail).empty());
  auto with = [](json text, const char* field, const json& value) {
    text[field] = value;
    return text;
  };
  CHECK_THAT(refusal(with(mail, "kind", "command")), Catch::Contains("mulettod.toml"));
  CHECK_THAT(refusal(with(mail, "kind", "pigeon")), Catch::Contains("pigeon"));
  CHECK_THAT(refusal(with(mail, "name", "webhook")), Catch::Contains("mulettod.toml"));
  CHECK_THAT(refusal(with(mail, "program", "/bin/sh")), Catch::Contains("program"));
  CHECK_THAT(refusal(with(mail, "server", "-oProxy")), Catch::Contains("-oProxy"));
  CHECK_THAT(refusal(with(mail, "server", "a/b")), Catch::Contains("a/b"));
  CHECK_THAT(refusal(with(mail, "from", "a@b>\r\nX: y")), Catch::Contains("control"));
  CHECK_THAT(refusal(with(mail, "to", json::array())), Catch::Contains("'to'"));
  CHECK_THAT(refusal(with(mail, "kinds", {"nonsense"})), Catch::Contains("nonsense"));
  CHECK_THAT(refusal(with(mail, "timezone", "Mars/Base")), Catch::Contains("Mars"));
  CHECK_THAT(refusal(with(mail, "severity", "dire")), Catch::Contains("severity"));
  json secret = with(with(mail, "security", "none"), "password", "hunter2");
  CHECK_THAT(refusal(secret), Catch::Contains("unencrypted"));
  json hook{{"name", "h"}, {"kind", "webhook"}, {"url", "file:///etc/passwd"}};
  CHECK_THAT(refusal(hook), Catch::Contains("https://"));
  json trap{{"name", "t"}, {"kind", "snmp"}, {"server", "nms"}, {"community", "pub lic"}};
  CHECK_THAT(refusal(trap), Catch::Contains("spaces"));
  CHECK_THAT(refusal(json::array()), Catch::Contains("object"));
}

}  // namespace appliance::notices
