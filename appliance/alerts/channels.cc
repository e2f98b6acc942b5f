#include "appliance/alerts/channels.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "appliance/alerts/kinds.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/internal_errors.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace appliance::alerts {
namespace {

using nlohmann::json;

constexpr const char* kTimeout = "25";  // seconds, for a command and everything it started
constexpr const char* kKillAfter = "--kill-after=3";
constexpr std::chrono::seconds kPatience{35};

std::string time_of(const Message& message) {
  return base::format_time_ms(message.alert.closed_ms.value_or(message.alert.opened_ms));
}

// timeout(1) makes a process group of the command and ends all of it. The environment contains
// nothing of the daemon's.
void run_command(const std::string& command, const Message& message) {
  const AlertKind& kind = kind_of(message.alert.kind);
  base::run_checked(
      {"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
       "LANG=C.UTF-8", "HOME=/", "MULETTO_TENANT=" + message.alert.tenant.text(),
       fmt::format("MULETTO_SEVERITY={}", severity_name(kind.severity)),
       fmt::format("MULETTO_ADVICE={}", kind.advice), "timeout", kKillAfter, kTimeout, command,
       message.alert.kind, message.state, message.alert.subject, message.alert.message},
      kPatience);
}

// A quoted value in curl's config file.
std::string quoted(const std::string& value) {
  std::string text = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

// The URL is usually a secret, and everyone can see a command's arguments: so it is in a file that
// only root can read.
void post(const std::string& url, const Message& message) {
  const AlertKind& kind = kind_of(message.alert.kind);
  json body{{"kind", message.alert.kind},
            {"state", message.state},
            {"severity", severity_name(kind.severity)},
            {"tenant", message.alert.tenant.text()},
            {"subject", message.alert.subject},
            {"message", message.alert.message},
            {"advice", kind.advice},
            {"time", time_of(message)}};
  base::ScratchDirectory scratch("/tmp", "muletto-webhook");
  std::string body_path = scratch.path() + "/body", config_path = scratch.path() + "/config";
  base::FileSystem& files = base::real_file_system();
  base::write_file_durably(
      files, body_path, base::as_bytes(body.dump(-1, ' ', false, json::error_handler_t::replace)));
  base::write_file_durably(files, config_path,
                           base::as_bytes(fmt::format("url = {}\ndata-binary = {}\n", quoted(url),
                                                      quoted("@" + body_path))));
  try {
    base::run_checked(
        {"curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--proto", "=http,https",
         "--header", "Content-Type: application/json", "--config", config_path},
        kPatience);
  } catch (const base::Error& error) {
    // Some of curl's error messages contain the URL.
    std::string words = error.message();
    for (size_t at = words.find(url); at != std::string::npos; at = words.find(url))
      words.replace(at, url.size(), "the webhook");
    throw base::Error(error.code(), words);
  }
}

}  // namespace

AlertChannels::AlertChannels(const ChannelSettings& settings, const ChannelLimits& limits)
    : limits_(limits) {
  if (!settings.command.empty()) {
    add("command",
        [command = settings.command](const Message& message) { run_command(command, message); });
  }
  if (!settings.webhook.empty())
    add("webhook", [url = settings.webhook](const Message& message) { post(url, message); });
}

AlertChannels::~AlertChannels() {
  for (Channel& channel : channels_) {
    channel.state.lock()->stopping = true;
    channel.changed.notify_all();
  }
}

void AlertChannels::add(const std::string& name, Deliver deliver) {
  Channel& channel = channels_.emplace_back();
  channel.name = name;
  channel.deliver = std::move(deliver);
  channel.thread = base::GuardedThread("alerts: " + name, base::AfterFailure::begin_again,
                                       [this, &channel](const std::stop_token&) { run(channel); });
}

void AlertChannels::tell(const catalog::Alert& alert, AlertChange change) {
  for (Channel& channel : channels_) {
    auto state = channel.state.lock();
    if (state->queue.size() >= limits_.queue_size) {
      state->queue.pop_front();
      ++state->dropped_count;
    }
    state->queue.push_back(
        {{alert, change == AlertChange::opened ? "opened" : "closed"}, Clock::now()});
    channel.changed.notify_all();
  }
}

// Why it could not be delivered; empty if it was.
std::string AlertChannels::try_to_deliver(Channel& channel, const Message& message) {
  try {
    channel.deliver(message);
    return "";
  } catch (...) {
    std::string words = base::describe_exception(std::current_exception());
    return words.empty() ? "it failed" : words;
  }
}

void AlertChannels::run(Channel& channel) const {
  std::chrono::milliseconds pause = limits_.first_pause;
  while (true) {
    Waiting next;
    {
      auto state = channel.state.lock();
      state.wait(channel.changed, [&] { return state->stopping || !state->queue.empty(); });
      if (state->stopping) return;
      next = std::move(state->queue.front());
      state->queue.pop_front();
    }
    std::string error = try_to_deliver(channel, next.message);
    auto state = channel.state.lock();
    if (error.empty()) {
      pause = limits_.first_pause;
      if (state->failing_since_ms != 0)
        base::log().info("the {} for alerts works again", channel.name);
      state->failing_since_ms = 0;
      state->error.clear();
      continue;
    }
    if (state->error != error)
      base::log().error("the {} for alerts fails: {}", channel.name, error);
    state->error = error;
    if (state->failing_since_ms == 0) state->failing_since_ms = base::now_ms();
    if (Clock::now() - next.since > limits_.patience || state->queue.size() >= limits_.queue_size) {
      ++state->dropped_count;
      base::log().error("the {} was never notified of this alert: {}", channel.name,
                        next.message.alert.message);
    } else {
      state->queue.push_front(std::move(next));
    }
    state.wait_for(channel.changed, pause, [&] { return state->stopping; });
    pause = std::min(2 * pause, limits_.longest_pause);
  }
}

std::vector<ChannelTrouble> AlertChannels::troubles() {
  std::vector<ChannelTrouble> troubles;
  for (Channel& channel : channels_) {
    auto state = channel.state.lock();
    if (state->failing_since_ms == 0) continue;
    troubles.push_back({channel.name, state->failing_since_ms, state->error, state->queue.size(),
                        state->dropped_count});
  }
  return troubles;
}

std::vector<ChannelTest> AlertChannels::test() {
  Message message;
  message.state = "test";
  message.alert.kind = "test";
  message.alert.tenant = catalog::TenantName(catalog::kDefaultTenant);
  message.alert.subject = "muletto";
  message.alert.message = "a test of this channel; nothing is wrong";
  message.alert.opened_ms = base::now_ms();
  std::vector<ChannelTest> tests;
  for (Channel& channel : channels_)
    tests.push_back({channel.name, try_to_deliver(channel, message)});
  return tests;
}

}  // namespace appliance::alerts
