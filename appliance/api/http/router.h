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

using access::Privilege;

// What a route is about. It determines how the caller's scope limits the route.
enum class Resource {
  nothing,      // the same for everybody: the kinds of alerts, the console's page
  appliance,    // belongs to all tenants: needs the scope of all tenants
  host_itself,  // the calling host
  // Looked up within the request's tenant, which the router has checked:
  tenant,
  machine,
  point,
  policy,
  verification,
  report,
  // Looked up by an id that is unique in the appliance: the handler looks only in the scope.
  vm,
  job,
  alert,
  host,
  token,
  user,  // by name
  session,
};

struct Route {
  std::string method;
  // "/api/v1/machines/{name}": a {word} stands for one non-empty segment, a final {word...} for all
  // remaining ones.
  std::string pattern;
  Privilege needs;
  Resource about;
  Handler handler;  // runs only for callers with the privilege, within their scope
};

class Router {
 public:
  void add(Route route);
  const std::vector<Route>& routes() const { return routes_; }

  // Called before a handler runs, when it is settled that it may. What it throws becomes the answer.
  using Before = std::function<void(const Route&, const Request&)>;
  // The answer to any request: errors become JSON. Fills in path values and query of `request`.
  // Never throws.
  Response handle(Request request, const Before& before = {}) const;

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
