#include "appliance/api/routes/event_routes.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "appliance/api/http/live_answer.h"
#include "appliance/api/routes/json_values.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using events::Event;
using events::EventKind;
using events::EventLog;
using nlohmann::json;

constexpr size_t kMaxPiece = 100;  // events

json event_json(const Event& event) {
  return {{"sequence", event.sequence},
          {"time", base::format_time_ms(event.time_ms)},
          {"event", events::event_kind_name(event.event)},
          {"tenant", event.tenant.text()},
          {"kind", text_or_null(event.kind)},
          {"subject", event.subject},
          {"id", text_or_null(event.id)},
          {"state", text_or_null(event.state)},
          {"message", text_or_null(event.message)}};
}

// A line about the stream itself.
std::string own_line(const char* word, uint64_t sequence) {
  return base::dump_text(json{{"sequence", sequence},
                              {"time", base::format_time_ms(base::now_ms())},
                              {"event", word}}) +
         "\n";
}

Privilege needed_for(EventKind kind) {
  switch (kind) {
    case EventKind::alert_opened:
    case EventKind::alert_closed: return Privilege::alert_view;
    case EventKind::job_begun:
    case EventKind::job_ended: return Privilege::job_view;
    case EventKind::boot_begun:
    case EventKind::boot_ended: return Privilege::vm_view;
    case EventKind::point_arrived: break;
  }
  return Privilege::point_view;
}

// ?tenant= narrows what the caller may see.
access::TenantScope scope_of(const Request& request) {
  if (request.query_value("tenant").empty()) return request.scope();
  return request.tenant();
}

Response list_events(const EventLog& log, const Request& request) {
  EventLog::Piece piece = log.all(scope_of(request));
  json list = json::array();
  for (const Event& event : piece.events) {
    if (request.principal.privileges.has(needed_for(event.event)))
      list.push_back(event_json(event));
  }
  return json_response({{"events", list}, {"newest", piece.next}});
}

// One client's place in the log.
class Follower {
 public:
  Follower(const EventLog& log, const Request& request, uint64_t place)
      : log_(log), scope_(scope_of(request)), privileges_(request.principal.privileges),
        place_(place) {}

  std::optional<std::string> take() {
    if (is_over_) return std::nullopt;
    std::string lines;
    if (!std::exchange(has_begun_, true)) lines = own_line("begin", place_);
    EventLog::Piece piece = log_.after(place_, scope_, kMaxPiece);
    is_over_ = piece.is_lost;
    if (is_over_) return lines + own_line("lost", place_);
    place_ = piece.next;
    for (const Event& event : piece.events) {
      if (privileges_.has(needed_for(event.event)))
        lines += base::dump_text(event_json(event)) + "\n";
    }
    return lines;
  }

  std::string sign_of_life() const { return own_line("alive", place_); }

 private:
  const EventLog& log_;
  const access::TenantScope scope_;
  const access::Privileges privileges_;
  uint64_t place_;
  bool has_begun_ = false, is_over_ = false;
};

LiveBody body_of(const EventLog& log, const Request& request) {
  uint64_t place = request.query_number("after", log.newest(), INT64_MAX);
  if (log.after(place, scope_of(request), 0).is_lost) {
    throw base::Error(base::ErrorCode::not_found,
                      "the events after this number are no longer known: read the lists, and "
                      "follow without 'after'");
  }
  auto follower = std::make_shared<Follower>(log, request, place);
  return {"application/x-ndjson", [follower] { return follower->take(); },
          [follower] { return follower->sign_of_life(); }};
}

Response follow_events(const EventLog& log, const Request& request) {
  Response response;
  response.takeover = make_live_answer(body_of(log, request));
  return response;
}

Response follow_by_socket(const EventLog& log, const Request& request) {
  Response response;
  response.takeover = make_live_socket(
      body_of(log, request), "some events were missed: read the lists, then follow again");
  return response;
}

}  // namespace

void add_event_routes(Router& router, EventLog& log) {
  router.add({"GET", "/api/v1/events", Privilege::status_view, Resource::tenant,
              [&log](const Request& request) { return list_events(log, request); }});
  router.add({"GET", "/api/v1/events/stream", Privilege::status_view, Resource::tenant,
              [&log](const Request& request) { return follow_events(log, request); }});
  router.add({"GET", "/api/v1/events/ws", Privilege::status_view, Resource::tenant,
              [&log](const Request& request) { return follow_by_socket(log, request); }});
}

}  // namespace appliance::api
