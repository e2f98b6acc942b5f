// Finds the handler of a request by method and path pattern. Routes are added at start by one
// thread; then find() and handle() are thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/api/http/http.h"

namespace appliance::api {

// Runs on a thread that may block. Throws base::Error, which becomes the answer.
using Handler = std::function<Response(const Request&)>;

struct Route {
  std::string method;
  // "/api/v1/machines/{name}": a {word} stands for one non-empty segment, a final {word...} for all
  // remaining ones.
  std::string pattern;
  Access access;
  Handler handler;
};

class Router {
 public:
  void add(Route route);
  const std::vector<Route>& routes() const { return routes_; }

  // The answer to any request: errors become JSON. Fills in path values and query of `request`.
  // Never throws.
  Response handle(Request request) const;

 private:
  struct Entry {
    std::vector<std::string> segments;
    size_t route;
  };
  const Route& find(Request& request, std::string_view path, std::string& allowed) const;
  std::vector<Route> routes_;
  std::vector<Entry> entries_;
};

}  // namespace appliance::api
