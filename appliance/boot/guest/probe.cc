#include "appliance/boot/guest/probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <thread>

#include "base/error.h"
#include "base/guarded_thread.h"

namespace appliance::boot {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr auto kQuietTime = std::chrono::seconds(1);
constexpr uint64_t kBodyLimit = 1 << 20;

asio::awaitable<ServiceAnswer> ask_http(beast::tcp_stream& stream, const std::string& address,
                                        const Service& service) {
  http::request<http::empty_body> request(http::verb::get, service.path, 11);
  request.set(http::field::host, address);
  request.set(http::field::user_agent, "muletto");
  request.set(http::field::connection, "close");
  co_await http::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kBodyLimit);
  co_await http::async_read_header(stream, buffer, parser, asio::use_awaitable);
  unsigned int status = parser.get().result_int();
  co_return ServiceAnswer{status < 500, fmt::format("HTTP {}", status)};
}

// A forwarder without a listener closes at once; a service greets, or waits for the client.
asio::awaitable<ServiceAnswer> ask_tcp(beast::tcp_stream& stream) {
  std::array<char, 128> greeting{};
  stream.expires_after(kQuietTime);
  auto [error, count] =
      co_await stream.async_read_some(asio::buffer(greeting), asio::as_tuple(asio::use_awaitable));
  if (error == beast::error::timeout) co_return ServiceAnswer{true, "connected"};
  if (error) co_return ServiceAnswer{false, error.message()};
  std::string line(greeting.data(),
                   std::find_if(greeting.begin(), greeting.begin() + static_cast<ptrdiff_t>(count),
                                [](char c) { return c < ' '; }));
  co_return ServiceAnswer{true, line};
}

asio::ip::address_v4 parse_address(const std::string& text) {
  boost::system::error_code wrong;
  auto address = asio::ip::make_address_v4(text, wrong);
  if (wrong) throw base::Error(base::ErrorCode::invalid_argument, "the guest's address is invalid");
  return address;
}

asio::awaitable<ServiceAnswer> ask_once(asio::ip::address_v4 address, Service service,
                                        std::chrono::milliseconds timeout,
                                        std::shared_ptr<base::UniqueFd> socket) {
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  try {
    stream.socket().assign(asio::ip::tcp::v4(), socket->release());
    stream.expires_after(timeout);
    co_await stream.async_connect(asio::ip::tcp::endpoint(address, service.port),
                                  asio::use_awaitable);
    if (service.kind == Service::Kind::http)
      co_return co_await ask_http(stream, address.to_string(), service);
    co_return co_await ask_tcp(stream);
  } catch (const boost::system::system_error& error) {
    co_return ServiceAnswer{false, error.code().message()};
  }
}

}  // namespace

std::vector<ServiceAnswer> ask_all(const std::string& address, const std::vector<Service>& services,
                                   std::chrono::milliseconds timeout, const OpenSocket& open) {
  asio::ip::address_v4 place = parse_address(address);
  asio::io_context context;
  std::vector<ServiceAnswer> answers(services.size(), ServiceAnswer{false, "no answer"});
  for (size_t i = 0; i < services.size(); ++i) {
    asio::co_spawn(context,
                   ask_once(place, services[i], timeout, std::make_shared<base::UniqueFd>(open())),
                   [&answer = answers[i]](std::exception_ptr failure, ServiceAnswer result) {
                     if (!failure) answer = std::move(result);
                   });
  }
  context.run();
  return answers;
}

class Asker::Implementation {
 public:
  ~Implementation() {
    thread_.request_stop();
    context_.stop();
  }

  std::future<ServiceAnswer> ask(const std::string& address, const Service& service,
                                 std::chrono::milliseconds timeout, const OpenSocket& open) {
    asio::ip::address_v4 place = parse_address(address);
    auto socket = std::make_shared<base::UniqueFd>(open());
    auto promise = std::make_shared<std::promise<ServiceAnswer>>();
    std::future<ServiceAnswer> answer = promise->get_future();
    asio::co_spawn(context_, ask_once(place, service, timeout, std::move(socket)),
                   [promise](const std::exception_ptr& failure, ServiceAnswer result) {
                     if (failure) result = {false, "it could not be probed"};
                     promise->set_value(std::move(result));
                   });
    return answer;
  }

 private:
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ =
      asio::make_work_guard(context_);
  base::GuardedThread thread_{"asker", base::AfterFailure::begin_again,
                              [this](const std::stop_token& stop) {
                                if (!stop.stop_requested()) context_.run();
                              }};
};

Asker::Asker() : implementation_(std::make_unique<Implementation>()) {}
Asker::~Asker() = default;

std::future<ServiceAnswer> Asker::ask(const std::string& address, const Service& service,
                                      std::chrono::milliseconds timeout, const OpenSocket& open) {
  return implementation_->ask(address, service, timeout, open);
}

}  // namespace appliance::boot
