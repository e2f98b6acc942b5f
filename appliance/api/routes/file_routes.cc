#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/file_streams.h"
#include "appliance/api/routes/routes.h"
#include "base/error.h"
#include "images/files/name_text.h"
#include "images/files/node_json.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using files::FileLook;
using nlohmann::json;
namespace reading = images::files;

constexpr uint64_t kPage = 1000, kMaxPage = 5000;  // entries of a list

images::PointId point_of(Services& services, const Request& request, const std::string& selector) {
  return services.stores.writer(request.tenant())->reader().find_point(selector);
}

// The look that the request names with `look`, else the shared one of the point. A look into another
// point is not found.
std::shared_ptr<FileLook> look_of(Services& services, const Request& request,
                                  const images::PointId& point, const char* parameter = "look") {
  std::string id = request.query_value(parameter);
  if (id.empty()) return services.looks->shared(request.tenant(), point, request.requester());
  std::shared_ptr<FileLook> look = services.looks->find(request.tenant(), id);
  if (look->point().id != point)
    throw Error(ErrorCode::not_found, "this look is into the files of another point");
  return look;
}

AskedFile asked_file(const std::shared_ptr<FileLook>& look, const Request& request) {
  reading::FilePlace place = reading::place_of(request.query_value("path"));
  uint32_t number = reading::choose(look->found(), place);
  place.volume = look->found().file_systems[number].name;
  return {look->borrow(), number, std::move(place)};
}

AskedFile asked_file(Services& services, const Request& request) {
  if (request.query_value("path").empty())
    throw Error(ErrorCode::invalid_argument, "say which file: path=VOLUME:/PATH");
  images::PointId point = point_of(services, request, request.path_value("point"));
  return asked_file(look_of(services, request, point), request);
}

json look_json(const FileLook& look) {
  json fields = reading::found_json(look.found());
  fields["id"] = look.id();
  fields["point"] = look.point().id.hex();
  fields["machine"] = look.point().machine_name;
  return fields;
}

Response open_look(Services& services, const Request& request) {
  images::PointId point = point_of(services, request, request.path_value("point"));
  BodyFields body(request.body);
  std::vector<images::volumes::VolumeKey> keys;
  for (const std::string& each : body.texts("secrets", images::volumes::kMaxKeys))
    keys.push_back({"passphrase", base::Bytes(each.begin(), each.end())});
  for (const std::string& each : body.texts("secrets_hex", images::volumes::kMaxKeys))
    keys.push_back({"key", base::from_hex(each, each.size() / 2)});
  body.require_no_more();
  if (keys.size() > images::volumes::kMaxKeys)
    throw Error(ErrorCode::invalid_argument,
                fmt::format("at most {} keys can be given", images::volumes::kMaxKeys));
  std::shared_ptr<FileLook> look =
      keys.empty()
          ? services.looks->shared(request.tenant(), point, request.requester())
          : services.looks->open(request.tenant(), point, std::move(keys), request.requester());
  return json_response({{"look", look_json(*look)}}, 201);
}

Response end_look(Services& services, const Request& request) {
  point_of(services, request, request.path_value("point"));
  services.looks->end(request.tenant(), request.path_value("look"));
  return json_response(json::object());
}

// Without a path the file systems, with one the folder's content, a page of it.
Response list_files(Services& services, const Request& request) {
  images::PointId point = point_of(services, request, request.path_value("point"));
  std::shared_ptr<FileLook> look = look_of(services, request, point);
  if (request.query_value("path").empty()) return json_response({{"look", look_json(*look)}});
  auto limit = static_cast<uint32_t>(request.query_number("limit", kPage, kMaxPage));
  uint64_t cursor = request.query_number("after", 0, UINT64_MAX);
  AskedFile asked = asked_file(look, request);
  look->note(request.requester(), "lists " + text_of(asked.place));
  reading::FilePage page =
      asked.process->list(asked.file_system, asked.place.path, cursor, std::max(limit, 1u));
  json list = json::array(), problems = json::array();
  for (const reading::Entry& each : page.entries)
    list.push_back(reading::node_json(each.path, each.node));
  for (const reading::Problem& each : page.problems)
    problems.push_back({{"name", reading::text_of_name(each.path)}, {"reason", each.why}});
  return json_response(
      {{"path", text_of(asked.place)},
       {"files", list},
       {"problems", problems},
       {"next", page.has_more ? json(std::to_string(page.cursor)) : json(nullptr)}});
}

Response show_file(Services& services, const Request& request) {
  AskedFile asked = asked_file(services, request);
  reading::Node node = asked.process->look(asked.file_system, asked.place.path);
  json file = reading::node_json(asked.place.path, node);
  file.erase("name");
  file["path"] = text_of(asked.place);
  json attributes = json::array();
  for (const reading::ExtendedAttribute& each : node.attributes)
    attributes.push_back({{"name", reading::text_of_name(each.name)},
                          {"value_hex", base::to_hex(base::as_bytes(each.value))}});
  file["attributes"] = attributes;
  return json_response({{"file", file}});
}

Response show_content(Services& services, const Request& request) {
  return download_file(services.jobs, asked_file(services, request), request.range,
                       request.requester());
}

Response show_archive(Services& services, const Request& request) {
  std::string format = request.query_value("format");
  if (!format.empty() && format != "tar" && format != "zip")
    throw Error(ErrorCode::invalid_argument, "format is tar or zip");
  return download_archive(
      services.jobs, asked_file(services, request),
      format == "zip" ? reading::ArchiveFormat::zip : reading::ArchiveFormat::tar,
      request.requester());
}

Response search(Services& services, const Request& request) {
  SearchOrder order;
  order.pattern = reading::name_of_text(request.query_value("name"));
  if (order.pattern.empty() || order.pattern.size() > 1000)
    throw Error(ErrorCode::invalid_argument, "say what to look for: name=*.xlsx");
  order.ignores_case = request.query_value("ignore_case") == "true";
  AskedFile asked = asked_file(services, request);
  asked.process.look().note(request.requester(),
                            fmt::format("searches {} for '{}'", text_of(asked.place),
                                        reading::text_of_name(order.pattern)));
  return search_files(std::move(asked), order);
}

Response compare(Services& services, const Request& request) {
  std::string since = request.query_value("since");
  if (since.empty())
    throw Error(ErrorCode::invalid_argument, "say which point to compare with: since=POINT");
  images::PointId old_point = point_of(services, request, since);
  images::PointId new_point = point_of(services, request, request.path_value("point"));
  std::shared_ptr<FileLook> before = look_of(services, request, old_point, "since_look");
  std::shared_ptr<FileLook> after = look_of(services, request, new_point);
  if (request.query_value("path").empty())
    throw Error(ErrorCode::invalid_argument, "say which folder: path=VOLUME:/PATH");
  AskedFile old_side = asked_file(before, request), new_side = asked_file(after, request);
  after->note(request.requester(),
              fmt::format("compares {} with point {}", text_of(new_side.place), old_point.hex()));
  return compare_files(std::move(old_side), std::move(new_side));
}

}  // namespace

void add_file_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"GET", "/api/v1/points/{point}/files", Privilege::file_view, Resource::point,
                  list_files},
                 {"GET", "/api/v1/points/{point}/files/details", Privilege::file_view,
                  Resource::point, show_file},
                 {"GET", "/api/v1/points/{point}/files/search", Privilege::file_view,
                  Resource::point, search},
                 {"GET", "/api/v1/points/{point}/files/changes", Privilege::file_view,
                  Resource::point, compare},
                 {"GET", "/api/v1/points/{point}/files/content", Privilege::file_download,
                  Resource::point, show_content},
                 {"GET", "/api/v1/points/{point}/files/archive", Privilege::file_download,
                  Resource::point, show_archive},
                 {"POST", "/api/v1/points/{point}/files/looks", Privilege::file_view,
                  Resource::point, open_look},
                 {"DELETE", "/api/v1/points/{point}/files/looks/{look}", Privilege::file_view,
                  Resource::point, end_look},
             });
}

}  // namespace appliance::api
