// The page for browsers. Anyone may read its files, which hold no secret: what it shows comes from the
// API, which asks who it is.
#include <memory>

#include "appliance/api/routes/page_files.h"
#include "appliance/api/routes/routes.h"
#include "base/file_system.h"

namespace appliance::api {

void add_page_routes(Router& router, Services& services) {
  auto page = std::make_shared<const PageFiles>(base::real_file_system(),
                                                page_folder(services.config.page_folder));
  router.add({"GET", "/", Privilege::none, Resource::nothing,
              [page](const Request& request) { return page->index(request); }});
  router.add(
      {"GET", "/page/{name}", Privilege::none, Resource::nothing,
       [page](const Request& request) { return page->file(request, request.path_value("name")); }});
}

}  // namespace appliance::api
