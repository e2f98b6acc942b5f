#include "appliance/notices/curl_call.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "appliance/notices/targets.h"
#include "base/clean_text.h"
#include "base/error.h"

namespace appliance::notices {
namespace {

constexpr long kConnectTimeout = 10, kTimeout = 25;  // seconds
constexpr size_t kMaxAnswer = 1 << 20;               // bytes
constexpr size_t kMaxWords = 300;

void begin_once() {
  static std::once_flag begun;
  std::call_once(begun, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

CurlCall::CurlCall(const std::string& url, const char* protocols, const std::string& authority,
                   bool may_be_local)
    : url_(url), may_be_local_(may_be_local) {
  begin_once();
  curl_.reset(curl_easy_init());
  if (!curl_) throw base::Error(base::ErrorCode::unavailable, "libcurl has no memory");
  set(CURLOPT_URL, url_.c_str());
  set(CURLOPT_PROTOCOLS_STR, protocols);
  set(CURLOPT_ERRORBUFFER, words_);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_CONNECTTIMEOUT, kConnectTimeout);
  set(CURLOPT_TIMEOUT, kTimeout);
  set(CURLOPT_USERAGENT, "mulettod");
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_OPENSOCKETFUNCTION, &CurlCall::open_socket);
  set(CURLOPT_OPENSOCKETDATA, this);
  set(CURLOPT_WRITEFUNCTION, &CurlCall::drop_answer);
  set(CURLOPT_WRITEDATA, this);
  if (!authority.empty()) {
    curl_blob blob{const_cast<char*>(authority.data()), authority.size(), CURL_BLOB_COPY};
    set(CURLOPT_CAINFO_BLOB, &blob);
  }
}

void CurlCall::check(CURLcode code) {
  if (code == CURLE_OK) return;
  throw base::Error(base::ErrorCode::unavailable,
                    fmt::format("libcurl refuses: {}", curl_easy_strerror(code)));
}

void CurlCall::add_header(const std::string& line) {
  curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
  if (longer == nullptr) throw base::Error(base::ErrorCode::unavailable, "libcurl has no memory");
  static_cast<void>(headers_.release());
  headers_.reset(longer);
  set(CURLOPT_HTTPHEADER, headers_.get());
}

void CurlCall::add_recipient(const std::string& address) {
  curl_slist* longer = curl_slist_append(recipients_.get(), address.c_str());
  if (longer == nullptr) throw base::Error(base::ErrorCode::unavailable, "libcurl has no memory");
  static_cast<void>(recipients_.release());
  recipients_.reset(longer);
  set(CURLOPT_MAIL_RCPT, recipients_.get());
}

void CurlCall::set_upload(std::string_view text) {
  upload_ = text;
  set(CURLOPT_UPLOAD, 1L);
  set(CURLOPT_READFUNCTION, &CurlCall::read_upload);
  set(CURLOPT_READDATA, this);
}

size_t CurlCall::read_upload(char* out, size_t size, size_t count, void* self) {
  std::string_view& rest = static_cast<CurlCall*>(self)->upload_;
  size_t taken = std::min(size * count, rest.size());
  std::memcpy(out, rest.data(), taken);
  rest.remove_prefix(taken);
  return taken;
}

size_t CurlCall::drop_answer(char*, size_t size, size_t count, void* self) {
  size_t& answered = static_cast<CurlCall*>(self)->answered_;
  answered += size * count;
  return answered > kMaxAnswer ? 0 : size * count;
}

// Here the address is known that is connected to, whatever the name's server answers next time.
curl_socket_t CurlCall::open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto* call = static_cast<CurlCall*>(self);
  if (!call->may_be_local_ && is_local_target(address->addr)) {
    call->was_refused_ = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void CurlCall::run(const std::string& name) {
  CURLcode code = curl_easy_perform(curl_.get());
  long status = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
  std::string words = words_[0] != 0 ? words_ : curl_easy_strerror(code);
  // Some of libcurl's messages contain the URL.
  for (size_t at = words.find(url_); at != std::string::npos; at = words.find(url_))
    words.replace(at, url_.size(), name);
  if (code != CURLE_OK && was_refused_) words = kLocalRefused;
  if (code != CURLE_OK) {
    throw base::Error(base::ErrorCode::unavailable,
                      fmt::format("{}: {}", name, base::clean_text(words, kMaxWords)));
  }
  bool is_web = url_.starts_with("http");
  if (is_web && status >= 300)
    throw base::Error(base::ErrorCode::unavailable,
                      fmt::format("{} answered with status {}", name, status));
}

}  // namespace appliance::notices
