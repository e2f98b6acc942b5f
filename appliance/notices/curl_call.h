// One call of libcurl, with what is true of all: a deadline, no proxies from the environment, no
// redirects, only addresses that are allowed, bounded answers. One thread.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace appliance::notices {

class CurlCall {
 public:
  // `protocols`: "http,https". `authority`: PEM, empty: the system's. Throws unavailable.
  CurlCall(const std::string& url, const char* protocols, const std::string& authority,
           bool may_be_local);

  template <typename Value>
  void set(CURLoption option, Value value) {
    check(curl_easy_setopt(curl_.get(), option, value));
  }
  void add_header(const std::string& line);
  // Sent as the body of a mail; must outlive run().
  void set_upload(std::string_view text);
  void add_recipient(const std::string& address);

  // Throws unavailable with libcurl's words, or for a status from 300. `name` stands in place of the
  // URL in them.
  void run(const std::string& name);

 private:
  struct Free {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  static void check(CURLcode code);
  static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address);
  static size_t read_upload(char* out, size_t size, size_t count, void* self);
  static size_t drop_answer(char*, size_t size, size_t count, void* self);

  const std::string url_;
  const bool may_be_local_;
  bool was_refused_ = false;
  std::string_view upload_;
  size_t answered_ = 0;
  std::unique_ptr<CURL, Free> curl_;
  std::unique_ptr<curl_slist, Free> headers_, recipients_;
  char words_[CURL_ERROR_SIZE] = {};
};

}  // namespace appliance::notices
