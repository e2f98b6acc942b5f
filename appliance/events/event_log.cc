#include "appliance/events/event_log.h"

#include <utility>

#include "base/clean_text.h"
#include "base/enum_names.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::events {
namespace {

constexpr auto kKinds =
    base::enum_names<EventKind>("an event", {{EventKind::alert_opened, "alert-opened"},
                                             {EventKind::alert_closed, "alert-closed"},
                                             {EventKind::job_begun, "job-begun"},
                                             {EventKind::job_ended, "job-ended"},
                                             {EventKind::boot_begun, "boot-begun"},
                                             {EventKind::boot_ended, "boot-ended"},
                                             {EventKind::point_arrived, "point-arrived"}});

constexpr std::chrono::seconds kFollowedFor{5};

}  // namespace

std::string_view event_kind_name(EventKind kind) { return kKinds.name(kind); }

EventLog::EventLog(uint64_t start) { state_.lock()->newest = start; }

void EventLog::add(Event event) noexcept {
  try {
    for (std::string* text : {&event.kind, &event.subject, &event.id, &event.state, &event.message})
      *text = base::clean_text(*text, kMaxText);
    event.time_ms = base::now_ms();
    auto state = state_.lock();
    event.sequence = state->newest + 1;
    state->events.push_back(std::move(event));
    ++state->newest;
    if (state->events.size() > kMaxKept) state->events.pop_front();
  } catch (const std::exception& error) {  // no memory
    base::log().warn("an event is not shown to those who follow: {}", error.what());
  }
}

uint64_t EventLog::newest() const { return state_.lock()->newest; }

void EventLog::collect(const State& state, const access::TenantScope& scope, size_t limit,
                       Piece& piece) {
  // Sequence numbers have no gaps, so the place of the first one is known.
  uint64_t first = state.newest - state.events.size() + 1;
  for (uint64_t each = piece.next + 1; each <= state.newest; ++each) {
    if (piece.events.size() == limit) return;
    piece.next = each;
    const Event& event = state.events[static_cast<size_t>(each - first)];
    if (scope.sees(event.tenant)) piece.events.push_back(event);
  }
}

EventLog::Piece EventLog::after(uint64_t after, const access::TenantScope& scope,
                                size_t limit) const {
  auto state = state_.lock();
  state->last_read = Clock::now();
  Piece piece{{}, after, after > state->newest || after < state->newest - state->events.size()};
  if (!piece.is_lost) collect(*state, scope, limit, piece);
  return piece;
}

EventLog::Piece EventLog::all(const access::TenantScope& scope) const {
  auto state = state_.lock();
  Piece piece{{}, state->newest - state->events.size(), false};
  collect(*state, scope, kMaxKept, piece);
  return piece;
}

bool EventLog::is_followed() const {
  auto state = state_.lock();
  return state->last_read && Clock::now() - *state->last_read < kFollowedFor;
}

}  // namespace appliance::events
