#include "appliance/cli/follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/error.h"
#include "base/guarded_thread.h"
#include "base/progress.h"
#include "base/stop_signals.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kShortestPause{20};
constexpr std::chrono::milliseconds kLongestPause{500};

// "compact moving records, 45 %"
std::string progress_of(const json& job) {
  const json& progress = job["progress"];
  uint64_t done = progress.value("done", uint64_t{0}), total = progress.value("total", uint64_t{0});
  std::string text = fmt::format("{} {}", text_of(job, "kind"), text_of(progress, "phase"));
  if (total > 0) {
    text +=
        fmt::format(", {:.0f} %", 100.0 * static_cast<double>(done) / static_cast<double>(total));
  } else if (done > 0) {
    text += ", " + base::format_size(done);
  }
  return printable(text);
}

int64_t print_new_lines(const ApiClient& client, const std::string& path, int64_t after) {
  json answer = client.get(fmt::format("{}/log?after={}", path, after));
  for (const json& line : answer["lines"]) {
    fmt::print("{}  {}\n", text_of(line, "time"), printable(text_of(line, "text")));
    after = line.value("sequence", after);
  }
  std::fflush(stdout);
  return after;
}

[[noreturn]] void throw_job_error(const json& job) {
  const json& error = job["error"];
  std::string message = error.is_object() ? text_of(error, "message") : "no reason given";
  std::string code = error.is_object() ? text_of(error, "code") : "io";
  throw base::Error(base::error_code_from_name(code), message);
}

// What a person has to know who stops waiting: the appliance does not stop.
[[noreturn]] void throw_still_running(const json& job, int64_t id) {
  std::string words = fmt::format(
      "the command waits no longer, but the job {0} ({1}) continues in the appliance. Follow it: "
      "muletto job follow {0}. End it: muletto job cancel {0}",
      id, text_of(job, "kind"));
  const json& figures = job["figures"];
  if (figures.is_object() && figures.contains("boot") && figures["boot"].is_string())
    words += fmt::format(". Its instant VM: muletto boot stop {}", text_of(figures, "boot"));
  throw base::Error(base::ErrorCode::cancelled, words);
}

}  // namespace

json follow_job(const ApiClient& client, int64_t id, FollowOutput output) {
  std::string path = fmt::format("/jobs/{}", id);
  base::StopSignals signals;
  base::TerminalLine progress;
  int64_t last_line = 0;
  auto begin = std::chrono::steady_clock::now();
  while (true) {
    json job = client.get(path)["job"];
    std::string state = text_of(job, "state");
    bool over = state != "queued" && state != "running";
    progress.clear();
    if (output == FollowOutput::log) last_line = print_new_lines(client, path, last_line);
    if (over && state == "succeeded") return job;
    if (over) throw_job_error(job);
    progress.show(progress_of(job));
    // The end is measured with an accuracy of one hundredth.
    auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - begin);
    if (!base::sleep_unless_stopped(signals.token(),
                                    std::clamp(elapsed / 100, kShortestPause, kLongestPause))) {
      progress.clear();
      throw_still_running(job, id);
    }
  }
}

json follow_accepted(const ApiClient& client, const json& answer, FollowOutput output) {
  return follow_job(client, answer["job"].value("id", int64_t{0}), output);
}

}  // namespace appliance::cli
