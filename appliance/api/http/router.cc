#include "appliance/api/http/router.h"

#include <fmt/format.h>

#include <optional>

#include "appliance/api/http/errors.h"
#include "appliance/people/people.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using PathValues = std::map<std::string, std::string>;

bool is_word(const std::string& segment) { return segment.starts_with('{'); }

// Literal segments are compared as they were sent; only the values of {words} are decoded, so "%2F"
// is not a separator.
std::optional<PathValues> match(const std::vector<std::string>& pattern,
                                const std::vector<std::string>& path) {
  bool takes_rest = pattern.back().ends_with("...}");
  if (takes_rest && path.size() >= pattern.size() && path[pattern.size() - 1].empty())
    return std::nullopt;
  if (pattern.size() != path.size() && !(takes_rest && path.size() > pattern.size()))
    return std::nullopt;
  PathValues values;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (takes_rest && i + 1 == pattern.size()) {
      std::string rest;
      for (size_t j = i; j < path.size(); ++j) rest += (j > i ? "/" : "") + decode_percent(path[j]);
      values[pattern[i].substr(1, pattern[i].size() - 5)] = rest;
      break;
    }
    if (!is_word(pattern[i])) {
      if (pattern[i] != path[i]) return std::nullopt;
    } else if (path[i].empty()) {
      return std::nullopt;
    } else {
      values[pattern[i].substr(1, pattern[i].size() - 2)] = decode_percent(path[i]);
    }
  }
  return values;
}

// Throws unauthorized if what the route is about is outside the principal's scope.
void require_reach(const Request& request, Resource about) {
  if (about == Resource::nothing || about == Resource::host_itself) return;
  if (about == Resource::appliance && !request.scope().is_all()) {
    std::optional<access::TenantName> only = request.scope().only();
    throw base::Error(base::ErrorCode::unauthorized,
                      fmt::format("{} is only for the tenant '{}'", request.principal.name,
                                  only.value_or(access::TenantName()).text()));
  }
  if (!request.query_value("tenant").empty()) request.tenant();  // throws for another one
}

}  // namespace

void Router::add(Route route) {
  entries_.push_back({base::split(route.pattern, '/'), routes_.size()});
  routes_.push_back(std::move(route));
}

// An earlier route takes precedence, so "jobs/all" may precede "jobs/{id}".
const Route& Router::find(Request& request, std::string_view path, std::string& allowed) const {
  std::vector<std::string> segments = base::split(path, '/');
  for (const Entry& entry : entries_) {
    auto values = match(entry.segments, segments);
    if (!values) continue;
    const Route& route = routes_[entry.route];
    if (route.method == request.method) {
      request.path_values = std::move(*values);
      return route;
    }
    // A path that fits two patterns may have a method twice.
    bool is_known = (", " + allowed + ",").find(", " + route.method + ",") != std::string::npos;
    if (!is_known) allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (!allowed.empty()) {
    throw base::Error(
        base::ErrorCode::invalid_argument,
        fmt::format("{} is not possible on {}; possible: {}", request.method, path, allowed));
  }
  throw base::Error(base::ErrorCode::not_found, fmt::format("there is nothing at {}", path));
}

Response Router::handle(Request request, const Before& before) const {
  std::string allowed;
  try {
    Target target = parse_target(request.target);
    request.query = std::move(target.query);
    const Route& route = find(request, target.path, allowed);
    allowed.clear();
    require_privilege(request.principal, route.needs);
    require_reach(request, route.about);
    if (before) before(route, request);
    return route.handler(request);
  } catch (const MissingCredentials& error) {
    return challenge(error);
  } catch (const people::WrongCredentials& error) {
    return challenge(error, error.reason);
  } catch (const people::MustWait& error) {
    return come_back_later(error, error.wait_ms);
  } catch (const base::Error& error) {
    if (allowed.empty()) return error_response(error);
    Response response = error_response(error);
    response.status = 405;
    response.headers["Allow"] = allowed;
    return response;
  } catch (const std::exception& error) {
    base::log().error("{} {}: unexpected failure: {}", request.method,
                      request.target.substr(0, request.target.find('?')), error.what());
    return error_response(
        base::Error(base::ErrorCode::io, "unexpected failure; see the daemon's log"));
  }
}

}  // namespace appliance::api
