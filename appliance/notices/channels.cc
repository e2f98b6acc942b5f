#include "appliance/notices/channels.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/internal_errors.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::notices {
namespace {

using nlohmann::json;

constexpr uint32_t kSteps = 200;   // handed out at once
constexpr uint32_t kSetAside = 5;  // failures, after which the next notice goes first
constexpr size_t kMaxUrgent = 10;  // of each channel

Notice test_notice() {
  Notice notice{.id = fmt::format("test-{}", base::now_ms()), .state = kTest, .alert = {}};
  notice.alert.kind = "test";
  notice.alert.tenant = catalog::TenantName(catalog::kDefaultTenant);
  notice.alert.subject = "muletto";
  notice.alert.message = "a test of this channel; nothing is wrong";
  notice.alert.opened_ms = base::now_ms();
  return notice;
}

ChannelSpec spec_of_file(const char* name, ChannelKind kind) {
  ChannelSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.is_from_file = true;
  return spec;
}

}  // namespace

Channels::Channels(catalog::NoticeRecords& records, ChannelSettings settings,
                   const ChannelLimits& limits)
    : records_(records), settings_(std::move(settings)), limits_(limits) {
  if (!settings_.command.empty()) {
    ChannelSpec spec = spec_of_file("command", ChannelKind::command);
    spec.program = settings_.command;
    add(spec, make_sender(spec, settings_.sending));
  }
  if (!settings_.webhook.empty()) {
    ChannelSpec spec = spec_of_file("webhook", ChannelKind::webhook);
    spec.url = settings_.webhook;
    add(spec, make_sender(spec, settings_.sending));
  }
  for (const catalog::ChannelRow& row : records_.channels()) {
    try {
      json text = base::parse_json(row.settings, "a channel's settings");
      ChannelSpec spec = parse_channel(text);
      auto channel = std::make_shared<Channel>();
      channel->shown = shown_channel(text);
      channel->spec = spec;
      channel->send = make_sender(spec, settings_.sending);
      start(channel);
    } catch (const base::Error& error) {
      // Said in standings(), by a channel that only fails.
      ChannelSpec spec;
      spec.name = row.name;
      add(spec, [words = error.message()](const Notice&) {
        throw base::Error(
            base::ErrorCode::corrupt,
            "this version cannot use its settings, delete it and make it again: " + words);
      });
    }
  }
}

Channels::~Channels() {
  for (const Pointer& each : all()) request_stop(*each);
}

std::vector<Channels::Pointer> Channels::all() { return *channels_.lock(); }

void Channels::request_stop(Channel& channel) {
  channel.state.lock()->stopping = true;
  channel.changed.notify_all();
}

void Channels::add(const ChannelSpec& spec, Sender sender) {
  auto channel = std::make_shared<Channel>();
  channel->spec = spec;
  channel->shown = {{"name", spec.name}, {"kind", channel_kind_name(spec.kind)}};
  if (!spec.url.empty()) channel->shown["url"] = shown_url(spec.url);
  if (!spec.program.empty()) channel->shown["program"] = spec.program;
  channel->send = std::move(sender);
  start(channel);
}

void Channels::start(const Pointer& channel) {
  // The thread is part of the channel, which therefore outlives it.
  Channel* raw = channel.get();
  channel->thread =
      base::GuardedThread("notices: " + channel->spec.name, base::AfterFailure::begin_again,
                          [this, raw](const std::stop_token& stop) { run(*raw, stop); });
  channels_.lock()->push_back(channel);
}

void Channels::create(const json& text, uint64_t now_ms) {
  ChannelSpec spec = parse_channel(text);
  if (all().size() >= kMaxChannels) {
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("there are {} channels already, which is the limit", kMaxChannels));
  }
  records_.add_channel({spec.name, base::dump_text(text), now_ms});
  auto channel = std::make_shared<Channel>();
  channel->shown = shown_channel(text);
  channel->spec = spec;
  channel->send = make_sender(spec, settings_.sending);
  start(channel);
}

void Channels::remove(const std::string& name) {
  records_.delete_channel(name);
  auto channels = channels_.lock();
  auto found = std::find_if(channels->begin(), channels->end(), [&](const Pointer& each) {
    return each->spec.name == name && !each->spec.is_from_file;
  });
  if (found == channels->end()) return;
  request_stop(**found);
  retired_.lock()->push_back(*found);  // an attempt in progress may take half a minute
  channels->erase(found);
}

std::vector<json> Channels::list() {
  std::vector<json> list;
  for (const Pointer& each : all()) {
    list.push_back(each->shown);
    list.back()["from_file"] = each->spec.is_from_file;
  }
  return list;
}

// ---- handing out

void Channels::add_notice(Channel& channel, const catalog::Alert& alert, const char* state,
                          uint64_t now_ms, catalog::HandOut& result) {
  Notice notice{.id = notice_id(settings_.node, alert.id, state), .state = state, .alert = alert};
  if (state != std::string(kClosed)) notice.alert.closed_ms.reset();
  result.notices.push_back({.id = 0,
                            .channel = channel.spec.name,
                            .notice = notice.id,
                            .alert = alert.id,
                            .state = state,
                            .body = notice_body(notice),
                            .added_ms = now_ms,
                            .due_ms = channel.spec.match.due_ms(now_ms)});
}

void Channels::hand_out_step(Channel& channel, const catalog::AlertStepRow& step, uint64_t now_ms,
                             catalog::HandOut& result) {
  const catalog::Alert& alert = step.alert;
  const Match& match = channel.spec.match;
  if (channel.spec.kind == ChannelKind::heartbeat || !match.wants(alert)) return;
  if (step.step == catalog::AlertStep::opened) {
    bool is_silenced = alert.silenced_until_ms && *alert.silenced_until_ms > now_ms;
    // Escalations and the end of a silence are looked for apart: see remind().
    if (!is_silenced && match.escalation_after_ms == 0)
      add_notice(channel, alert, kOpened, now_ms, result);
    return;
  }
  if (match.escalation_after_ms != 0 &&
      !records_.was_reminded({channel.spec.name, alert.id, kEscalated}))
    return;
  // What waits for the channel's hours, and is over before they begin, need not be told at all.
  std::vector<int64_t> held;
  for (const catalog::NoticeRow& row : records_.waiting_notices(channel.spec.name, alert.id)) {
    if (row.attempt_count == 0 && row.due_ms > now_ms) held.push_back(row.id);
  }
  std::erase_if(result.notices, [&](const catalog::NoticeRow& row) {
    bool is_held = row.channel == channel.spec.name && row.alert == alert.id && row.due_ms > now_ms;
    if (is_held) held.push_back(0);
    return is_held;
  });
  if (held.empty()) add_notice(channel, alert, kClosed, now_ms, result);
  for (int64_t id : held)
    if (id != 0) result.withdrawn.push_back(id);
}

void Channels::remind(Channel& channel, uint64_t now_ms, catalog::HandOut& result) {
  const Match& match = channel.spec.match;
  if (match.escalation_after_ms == 0 || now_ms < match.escalation_after_ms) return;
  for (const catalog::Alert& alert : records_.unanswered_alerts(
           channel.spec.name, kEscalated, now_ms - match.escalation_after_ms, now_ms, kSteps)) {
    if (match.wants(alert)) add_notice(channel, alert, kEscalated, now_ms, result);
    result.reminders.push_back({channel.spec.name, alert.id, kEscalated});
  }
}

void Channels::hand_out(uint64_t now_ms) {
  std::vector<Pointer> channels = all();
  catalog::HandOut result;
  for (const catalog::AlertStepRow& step : records_.next_steps(kSteps)) {
    for (const Pointer& each : channels) hand_out_step(*each, step, now_ms, result);
    result.steps.push_back(step.id);
  }
  for (const catalog::Alert& alert : records_.silences_over(now_ms, kSteps)) {
    for (const Pointer& each : channels) {
      const ChannelSpec& spec = each->spec;
      if (spec.kind != ChannelKind::heartbeat && spec.match.escalation_after_ms == 0 &&
          spec.match.wants(alert)) {
        // An alert may be silenced several times.
        std::string state = fmt::format("{}-{}", kReminded, *alert.silenced_until_ms);
        add_notice(*each, alert, kReminded, now_ms, result);
        result.notices.back().notice = notice_id(settings_.node, alert.id, state);
      }
    }
    result.ended_silences.push_back(alert.id);
  }
  for (const Pointer& each : channels) remind(*each, now_ms, result);
  bool is_empty = result.steps.empty() && result.ended_silences.empty() && result.reminders.empty();
  if (!is_empty) {
    records_.hand_out(result);
    for (const Pointer& each : channels) {
      uint64_t dropped = records_.shorten_queue(each->spec.name, limits_.queue_size);
      if (dropped > 0) {
        base::log().error("{} notices for the channel '{}' are dropped: too many waited", dropped,
                          each->spec.name);
        each->state.lock()->dropped_count += dropped;
      }
      each->changed.notify_all();
    }
  }
  // Outside of the lock: ended threads are joined.
  std::list<Pointer> ended;
  auto retired = retired_.lock();
  for (auto each = retired->begin(); each != retired->end();) {
    auto next = std::next(each);
    if ((*each)->has_ended) ended.splice(ended.end(), *retired, each);
    each = next;
  }
}

void Channels::tell_at_once(const catalog::Alert& alert) {
  Notice notice{.id = fmt::format("{}-unrecorded-{}", settings_.node, alert.opened_ms),
                .state = kOpened,
                .alert = alert};
  for (const Pointer& each : all()) {
    if (each->spec.kind == ChannelKind::heartbeat) continue;
    auto state = each->state.lock();
    if (state->urgent.size() >= kMaxUrgent) state->urgent.pop_front();
    state->urgent.push_back(notice);
    each->changed.notify_all();
  }
}

// ---- on a channel's thread

// False: the channel is to stop.
bool Channels::wait(Channel& channel, std::chrono::milliseconds duration) {
  auto state = channel.state.lock();
  state.wait_for(channel.changed, duration,
                 [&] { return state->stopping || !state->urgent.empty(); });
  return !state->stopping;
}

// Why it could not be delivered; empty if it was.
std::string Channels::attempt(Channel& channel, const Notice& notice) {
  std::string error;
  try {
    channel.send(notice);
  } catch (...) {
    error = base::describe_exception(std::current_exception());
    if (error.empty()) error = "it failed";
  }
  auto state = channel.state.lock();
  if (error.empty()) {
    if (state->failing_since_ms != 0)
      base::log().info("the channel '{}' works again", channel.spec.name);
    state->failing_since_ms = 0;
    state->error.clear();
    ++state->sent_count;
    state->sent_ms = base::now_ms();
    return error;
  }
  if (state->error != error)
    base::log().error("the channel '{}' fails: {}", channel.spec.name, error);
  state->error = error;
  if (state->failing_since_ms == 0) state->failing_since_ms = base::now_ms();
  return error;
}

void Channels::put_off(Channel& channel, const catalog::NoticeRow& row) {
  uint64_t now_ms = base::now_ms();
  auto patience_ms = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(limits_.patience).count());
  // From when it was due: what waited for the channel's hours has its day, too.
  if (now_ms > std::max(row.added_ms, row.attempt_count == 0 ? row.due_ms : 0) + patience_ms) {
    records_.remove_notice(row.id);
    ++channel.state.lock()->dropped_count;
    base::log().error("the channel '{}' was never told: {}", channel.spec.name, row.body);
    return;
  }
  uint32_t count = row.attempt_count + 1;
  uint64_t due_ms = count < kSetAside
                        ? row.due_ms
                        : now_ms + static_cast<uint64_t>(limits_.longest_pause.count());
  records_.postpone_notice(row.id, count, due_ms);
}

// False: there was nothing to send, or it failed; `pause` is how long to wait.
bool Channels::send_next(Channel& channel, std::chrono::milliseconds& pause) {
  std::optional<Notice> urgent;
  {
    auto state = channel.state.lock();
    if (!state->urgent.empty()) {
      urgent = std::move(state->urgent.front());
      state->urgent.pop_front();
    }
  }
  if (urgent) return attempt(channel, *urgent).empty();
  auto row = records_.next_notice(channel.spec.name, base::now_ms());
  if (!row) {
    pause = limits_.look;
    return false;
  }
  Notice notice = notice_from_body(row->body);
  notice.id = row->notice;
  notice.attempt = row->attempt_count + 1;
  bool was_sent = attempt(channel, notice).empty();
  if (!was_sent) {
    put_off(channel, *row);
    return false;
  }
  // A full disk must not make this one be sent every second: it is crossed off first of all.
  while (true) {
    try {
      records_.remove_notice(row->id);
      return true;
    } catch (const base::Error& error) {
      base::log().warn("a notice that was sent cannot be crossed off: {}", error.message());
      if (!wait(channel, limits_.first_pause)) return false;
    }
  }
}

void Channels::beat(Channel& channel) {
  std::string trouble = settings_.trouble ? settings_.trouble() : "";
  if (trouble.empty()) {
    attempt(channel, test_notice());
    return;
  }
  // The monitor outside notices that nothing comes.
  base::log().info("no heartbeat is sent: {}", trouble);
}

void Channels::run(Channel& channel, const std::stop_token& stop) {
  std::shared_ptr<void> end(nullptr, [&](void*) { channel.has_ended = true; });
  channel.has_ended = false;
  std::chrono::milliseconds retry = limits_.first_pause;
  while (!stop.stop_requested()) {
    if (channel.spec.kind == ChannelKind::heartbeat) {
      beat(channel);
      if (!wait(channel, std::chrono::milliseconds(channel.spec.every_ms))) return;
      continue;
    }
    std::chrono::milliseconds pause{0};
    if (send_next(channel, pause)) {
      retry = limits_.first_pause;
      if (!wait(channel, std::chrono::milliseconds(0))) return;
      continue;
    }
    if (pause.count() == 0) {
      pause = retry;
      retry = std::min(2 * retry, limits_.longest_pause);
    }
    if (!wait(channel, pause)) return;
  }
}

std::vector<ChannelStanding> Channels::standings() {
  std::vector<ChannelStanding> standings;
  for (const Pointer& each : all()) {
    ChannelStanding standing;
    standing.name = each->spec.name;
    standing.kind = channel_kind_name(each->spec.kind);
    standing.queue = records_.queue_of(each->spec.name);
    auto state = each->state.lock();
    standing.failing_since_ms = state->failing_since_ms;
    standing.error = state->error;
    standing.sent_count = state->sent_count;
    standing.dropped_count = state->dropped_count;
    standing.sent_ms = state->sent_ms;
    standings.push_back(std::move(standing));
  }
  return standings;
}

std::vector<ChannelTest> Channels::test(const std::string& name) {
  std::vector<ChannelTest> tests;
  for (const Pointer& each : all()) {
    if (!name.empty() && each->spec.name != name) continue;
    tests.push_back({each->spec.name, attempt(*each, test_notice())});
  }
  if (tests.empty() && !name.empty())
    throw base::Error(base::ErrorCode::not_found, fmt::format("there is no channel '{}'", name));
  return tests;
}

}  // namespace appliance::notices
