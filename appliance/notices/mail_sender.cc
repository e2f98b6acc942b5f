#include <fmt/format.h>

#include <ctime>

#include "appliance/notices/curl_call.h"
#include "appliance/notices/senders.h"
#include "appliance/notices/targets.h"
#include "base/bytes.h"
#include "base/clean_text.h"
#include "base/text.h"

namespace appliance::notices {
namespace {

constexpr uint16_t kSubmissionPort = 587, kTlsPort = 465;

std::string base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t at = 0; at < text.size(); at += 3) {
    uint32_t block = 0;
    size_t count = std::min<size_t>(3, text.size() - at);
    for (size_t i = 0; i < 3; ++i)
      block = block << 8 | (i < count ? static_cast<uint8_t>(text[at + i]) : 0u);
    for (size_t i = 0; i < 4; ++i) out += i <= count ? kDigits[block >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

// RFC 2047: words of at most 75 characters, none of which cuts a character of UTF-8 in two.
std::string encoded_header(const std::string& text) {
  constexpr size_t kWordSize = 45;
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.size(), at + kWordSize);
    while (end < text.size() && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
    out += fmt::format("{}=?UTF-8?B?{}?=", out.empty() ? "" : "\r\n ",
                       base64(std::string_view(text).substr(at, end - at)));
    at = end;
  }
  return out;
}

// "Sat, 28 Nov 2026 20:15:00 +0000", whatever the locale.
std::string mail_date(uint64_t now_ms) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  auto seconds = static_cast<std::time_t>(now_ms / 1000);
  std::tm time{};
  ::gmtime_r(&seconds, &time);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} +0000", kDays[time.tm_wday], time.tm_mday,
                     kMonths[time.tm_mon], 1900 + time.tm_year, time.tm_hour, time.tm_min,
                     time.tm_sec);
}

}  // namespace

std::string mail_text(const ChannelSpec& spec, const std::string& host_name, const Notice& notice,
                      uint64_t now_ms) {
  std::string mail = fmt::format("From: Muletto <{}>\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\n",
                                 spec.from, fmt::join(spec.to, ",\r\n "),
                                 encoded_header(title_of(notice)), mail_date(now_ms));
  mail +=
      fmt::format("Message-ID: <{}@{}>\r\nMuletto-Notice: {}\r\nAuto-Submitted: auto-generated\r\n",
                  notice.id, host_name.empty() ? "muletto.invalid" : host_name, notice.id);
  mail +=
      "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
      "Content-Transfer-Encoding: base64\r\n\r\n";
  std::string body = base64(letter_of(notice));
  constexpr size_t kLine = 76;
  for (size_t at = 0; at < body.size(); at += kLine) mail += body.substr(at, kLine) + "\r\n";
  return mail;
}

void send_mail(const ChannelSpec& spec, const SenderOptions& options, const Notice& notice) {
  bool is_tls = spec.security == MailSecurity::tls;
  HostPort place = split_server(spec.server, is_tls ? kTlsPort : kSubmissionPort);
  std::string host =
      place.host.find(':') == std::string::npos ? place.host : "[" + place.host + "]";
  std::string mail = mail_text(spec, options.host_name, notice, base::now_ms());
  CurlCall call(fmt::format("{}://{}:{}/{}", is_tls ? "smtps" : "smtp", host, place.port,
                            base::encode_percent(options.host_name)),
                "smtp,smtps", spec.authority, options.may_be_local);
  if (spec.security != MailSecurity::none)
    call.set(CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
  if (!spec.user.empty()) call.set(CURLOPT_USERNAME, spec.user.c_str());
  if (!spec.password.empty()) call.set(CURLOPT_PASSWORD, spec.password.c_str());
  std::string from = "<" + spec.from + ">";
  call.set(CURLOPT_MAIL_FROM, from.c_str());
  for (const std::string& each : spec.to) call.add_recipient("<" + each + ">");
  call.set_upload(mail);
  call.run("the mail server");
}

}  // namespace appliance::notices
