// What a host needs before it is enrolled: the script that installs the agent, and packages. Without
// credentials, because a host has none yet: neither holds a secret. The line that fetches them pins the
// appliance's key.
#include <memory>

#include "appliance/api/install/install_script.h"
#include "appliance/api/install/package_shelf.h"
#include "appliance/api/routes/routes.h"

namespace appliance::api {
namespace {

Response text_response(std::string body, const char* type) {
  Response response;
  response.content_type = type;
  response.body = std::move(body);
  response.headers["X-Content-Type-Options"] = "nosniff";
  return response;
}

Response install_script(Services&, const Request&) {
  return text_response(std::string(kInstallScript), "text/x-shellscript");
}

Response package(const PackageShelf& shelf, const Request& request) {
  PackageShelf::Package found = shelf.open(request.path_value("name"));
  Response response = text_response("", "application/vnd.debian.binary-package");
  response.stream = std::move(found.read);
  response.stream_size = found.size;
  return response;
}

}  // namespace

void add_install_routes(Router& router, Services& services) {
  auto shelf = std::make_shared<PackageShelf>(services.config.packages_directory);
  add_routes(router, services,
             {{"GET", "/install", Privilege::none, Resource::nothing, install_script}});
  router.add({"GET", "/packages/list", Privilege::none, Resource::nothing,
              [shelf](const Request&) { return text_response(shelf->list(), "text/plain"); }});
  router.add({"GET", "/packages/{name}", Privilege::none, Resource::nothing,
              [shelf](const Request& request) { return package(*shelf, request); }});
}

}  // namespace appliance::api
