#include "appliance/cli/boot_waiting.h"

#include "appliance/cli/present.h"

namespace appliance::cli {

void declare_wait(base::options::options_description_easy_init add) {
  using base::options::value;
  add("http", value<std::string>()->value_name("[:PORT]PATH"),
      "wait until an HTTP request is answered, such as /health or :8080/health (default: until the "
      "guest has an address)")("tcp", value<std::string>()->value_name("PORT"),
                               "wait until this TCP port sends a greeting or keeps a connection")(
      "timeout", value<std::string>()->value_name("DURATION"),
      "fail after this time, such as 90s (default: 5m)");
}

nlohmann::json wait_body(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (arguments.has("http")) body["http"] = arguments.get("http");
  if (auto port = number_option(arguments, "tcp", 1, 65535)) body["tcp"] = *port;
  if (arguments.has("timeout")) body["timeout"] = arguments.get("timeout");
  return body;
}

}  // namespace appliance::cli
