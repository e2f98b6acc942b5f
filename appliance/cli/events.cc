#include <fmt/format.h>

#include <cstdio>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/json_access.h"

namespace appliance::cli {
namespace {

void declare_events(base::options::options_description_easy_init add) {
  add("follow", "print what happens from now on, until Ctrl+C is pressed")(
      "after", base::options::value<std::string>()->value_name("SEQUENCE"),
      "with --follow: begin after the event of this number instead of now");
  declare_connection(add);
}

// "2026-11-22T08:00:04Z  job-ended     sync web succeeded"
void print_event(const nlohmann::json& event) {
  std::string words;
  for (const char* field : {"kind", "subject", "state", "message"}) {
    if (event.contains(field) && event[field].is_string())
      words += (words.empty() ? "" : " ") + event[field].get<std::string>();
  }
  fmt::print("{}  {:<13}  {}\n", text_of(event, "time"), printable(text_of(event, "event")),
             printable(words));
}

void follow(const ApiClient& client, const base::Arguments& arguments) {
  std::string path = "/events/stream";
  if (auto after = number_option(arguments, "after", 0, INT64_MAX))
    path += fmt::format("?after={}", *after);
  bool has_begun = false, is_lost = false;
  auto on_event = [&](const nlohmann::json& event) {
    std::string kind = text_of(event, "event");
    has_begun = true;
    is_lost = kind == "lost";
    if (arguments.json()) {
      fmt::print("{}\n", base::dump_text(event));
    } else if (kind != "begin" && kind != "alive" && kind != "lost") {
      print_event(event);
    }
    std::fflush(stdout);
    return !is_lost;
  };
  std::string reason = "it was ended by the appliance";
  try {
    client.follow(path, on_event);
  } catch (const base::Error& error) {
    if (!has_begun || error.code() != base::ErrorCode::unavailable) throw;
    reason = error.message();
  }
  if (is_lost) reason = "some events were missed, because this program did not read them in time";
  throw base::Error(base::ErrorCode::unavailable,
                    fmt::format("the stream of the appliance's events has ended: {}. What happened "
                                "since then is in the lists (muletto status); then follow again",
                                reason));
}

int run_events(const base::Arguments& arguments) {
  ApiClient client(arguments);
  if (arguments.has("follow")) {
    follow(client, arguments);
    return 0;
  }
  if (arguments.has("after"))
    throw base::Error(base::ErrorCode::invalid_argument, "--after goes with --follow");
  nlohmann::json answer = client.get("/events");
  if (print_if_json(arguments, answer)) return 0;
  for (const nlohmann::json& event : answer["events"]) print_event(event);
  if (answer["events"].empty()) fmt::print("Nothing has happened since the daemon started.\n");
  return 0;
}

}  // namespace

base::Command events_command() {
  base::Command command;
  command.name = "events";
  command.summary = "Print what has happened lately: jobs, alerts, instant VMs, points";
  command.declare_options = declare_events;
  command.run = run_events;
  command.notes =
      "The appliance keeps its last 1000 events until it is restarted. With --follow each event is "
      "printed when it happens; with --output json as one line of JSON, and among them lines "
      "'begin' and, every 15 seconds, 'alive'.";
  return command;
}

}  // namespace appliance::cli
