// Shows an instant VM to people: its screen in a browser, as a picture or for a VNC program, and
// the log of its serial line.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "appliance/api/console/console_page.h"
#include "appliance/api/console/console_tickets.h"
#include "appliance/api/console/vnc_screens.h"
#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr uint64_t kMaxSerialChunk = 256 * 1024;  // bytes
constexpr uint64_t kMaxPageFile = 4 << 20;        // bytes, of noVNC

Response take_screenshot(Services& services, const Request& request) {
  boot::Screenshot picture = services.boots.screenshot(find_boot(services, request).id);
  Response response;
  response.content_type = picture.mime_type;
  response.body = std::string(base::as_text(picture.bytes));
  return response;
}

boot::InstantVm require_console(Services& services, boot::InstantVm vm) {
  if (vm.console.vnc_port != 0) return vm;
  std::string owner = services.boots.owner_elsewhere(vm);
  if (!owner.empty())
    throw Error(ErrorCode::busy, fmt::format("{} belongs to {}", vm.machine_name, owner));
  throw Error(ErrorCode::busy,
              fmt::format("{} is not running, so it has no console", vm.machine_name));
}

Response show_console(Services& services, const Request& request) {
  return json_response(
      {{"console", console_json(require_console(services, find_boot(services, request)).console)}});
}

Response show_serial(Services& services, const Request& request) {
  uint64_t offset = request.query_number("offset", 0, INT64_MAX);
  boot::BootId id = find_boot(services, request).id;
  if (offset > services.boots.serial_size(id)) {
    throw base::Error(
        base::ErrorCode::not_found,
        fmt::format("the serial log has no byte {}: it was restarted because it had become too "
                    "long; read it from offset 0",
                    offset));
  }
  Response response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = services.boots.serial_log(id, offset, kMaxSerialChunk);
  return response;
}

// The ticket follows '#', which browsers do not send: it is in no log.
Response issue_ticket(Services& services, ConsoleTickets& tickets, const Request& request) {
  BodyFields(request.body).require_no_more();
  boot::InstantVm vm = require_console(services, find_boot(services, request));
  std::string ticket = tickets.issue(vm.id);
  json result{
      {"ticket", ticket},
      {"expires",
       base::format_time_ms(base::now_ms() + std::chrono::milliseconds(kTicketLifetime).count())},
      {"url", fmt::format("https://{}/console/{}#ticket={}&machine={}", services.public_address(),
                          vm.id.hex(), ticket, base::encode_percent(vm.machine_name))}};
  return json_response({{"ticket", result}}, 201);
}

// A ticket is a credential of its own, for one VM.
boot::InstantVm redeem(Services& services, ConsoleTickets& tickets, const Request& request) {
  // A wrong ticket must reveal nothing about what runs here, so the id must be complete.
  boot::BootId id;
  try {
    id = boot::BootId::from_hex(request.path_value("boot"));
  } catch (const Error&) {
    throw Error(ErrorCode::unauthorized, "a ticket must be for a VM's full id");
  }
  if (!tickets.redeem(id, request.query_value("ticket"))) {
    throw Error(
        ErrorCode::unauthorized,
        "this link was already used or is too old: 'muletto boot console' prints a new one");
  }
  return services.boots.get(id);
}

Response open_socket(Services& services, ConsoleTickets& tickets, const VncScreens& screens,
                     const Request& request) {
  bool is_by_right = request.principal.privileges.has(Privilege::vm_console);
  bool has_ticket = !request.query_value("ticket").empty();
  if (!is_by_right && !has_ticket) require_privilege(request.principal, Privilege::vm_console);
  boot::InstantVm vm =
      is_by_right ? find_boot(services, request) : redeem(services, tickets, request);
  boot::VmConsole console = require_console(services, std::move(vm)).console;
  Response response;
  response.takeover = screens.open({console.host, console.vnc_port, console.password});
  return response;
}

std::string type_of(const std::string& path) {
  static const std::map<std::string, std::string> kTypes{{".html", "text/html; charset=utf-8"},
                                                         {".js", "text/javascript"},
                                                         {".css", "text/css"},
                                                         {".json", "application/json"},
                                                         {".svg", "image/svg+xml"},
                                                         {".png", "image/png"},
                                                         {".ico", "image/x-icon"}};
  auto found = kTypes.find(std::filesystem::path(path).extension().string());
  return found == kTypes.end() ? "application/octet-stream" : found->second;
}

Response page_response(std::string_view body, const std::string& type) {
  Response response;
  response.content_type = type;
  response.body = std::string(body);
  response.headers["Content-Security-Policy"] =
      "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
      "frame-ancestors 'none'";
  response.headers["X-Content-Type-Options"] = "nosniff";
  response.headers["Referrer-Policy"] = "no-referrer";
  return response;
}

// Files of noVNC, which contain no secrets: anyone may read them.
Response novnc_file(Services& services, const Request& request) {
  std::string path = request.path_value("path");
  for (const std::string& segment : base::split(path, '/')) {
    if (segment.empty() || segment.starts_with('.'))
      throw Error(ErrorCode::not_found, "there is no such file");
  }
  const std::string& directory = services.config.novnc_directory;
  if (!base::real_file_system().exists(directory)) {
    throw Error(ErrorCode::unsupported,
                fmt::format("there is no noVNC in {}: install the package novnc", directory));
  }
  base::Bytes bytes =
      base::read_file(base::real_file_system(), base::join_path(directory, path), kMaxPageFile);
  return page_response(base::as_text(bytes), type_of(path));
}

Response console_page(Services&, const Request&) {
  return page_response(kConsolePage, "text/html; charset=utf-8");
}

Response console_asset(Services&, const Request& request) {
  const std::string& name = request.path_value("name");
  if (name == "console.js") return page_response(kConsoleScript, "text/javascript");
  if (name == "console.css") return page_response(kConsoleStyle, "text/css");
  throw Error(ErrorCode::not_found, "there is no such file");
}

}  // namespace

void add_console_routes(Router& router, Services& services) {
  auto tickets = std::make_shared<ConsoleTickets>();
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/boots/{boot}/screenshot", Privilege::vm_console, Resource::vm,
           take_screenshot},
          {"GET", "/api/v1/boots/{boot}/serial", Privilege::vm_console, Resource::vm, show_serial},
          {"GET", "/api/v1/boots/{boot}/console", Privilege::vm_console, Resource::vm,
           show_console},
          {"GET", "/console/{boot}", Privilege::none, Resource::nothing, console_page},
          {"GET", "/assets/{name}", Privilege::none, Resource::nothing, console_asset},
          {"GET", "/novnc/{path...}", Privilege::none, Resource::nothing, novnc_file},
      });
  router.add({"POST", "/api/v1/boots/{boot}/console/ticket", Privilege::vm_console, Resource::vm,
              [&services, tickets](const Request& request) {
                return issue_ticket(services, *tickets, request);
              }});
  // Without a privilege: the ticket may be the proof.
  router.add({"GET", "/api/v1/boots/{boot}/console/ws", Privilege::none, Resource::vm,
              [&services, tickets, screens = VncScreens()](const Request& request) {
                return open_socket(services, *tickets, screens, request);
              }});
}

}  // namespace appliance::api
