#include "agent/homeward/restore_report.h"

#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/clean_text.h"
#include "base/json_access.h"

namespace agent::homeward {
namespace {

using nlohmann::json;

constexpr size_t kMaxNotes = 64;
constexpr size_t kMaxNote = 500;            // bytes
constexpr size_t kMaxReportFile = 1 << 18;  // bytes

}  // namespace

json standing_json(const RestoreStanding& standing) {
  const RestoreFigures& figures = standing.figures;
  bool is_verifying = figures.verified > 0;
  uint64_t rate = standing.duration_ms == 0 ? 0 : figures.compared * 1000 / standing.duration_ms;
  uint64_t rest = figures.total - std::min(figures.compared, figures.total);
  json report{{"doing", standing.doing},
              {"done", is_verifying ? figures.verified : figures.compared},
              {"total", figures.total},
              {"compared", figures.compared},
              {"differing", figures.differing},
              {"written", figures.written},
              {"verified", figures.verified},
              {"received", standing.received},
              {"rate", rate},
              {"duration_ms", standing.duration_ms},
              {"notes", json::array()}};
  if (standing.home_start != HomeStart::none)
    report["home_start"] = static_cast<uint64_t>(standing.home_start);
  if (rate > 0 && rest > 0) report["left_ms"] = rest * 1000 / rate;
  for (const std::string& note : standing.notes) {
    if (report["notes"].size() < kMaxNotes)
      report["notes"].push_back(base::clean_text(note, kMaxNote));
  }
  return report;
}

void write_report_file(const std::string& path, const json& report) {
  std::string fresh = path + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << base::dump_text(report);
    if (!file.flush()) return;
  }
  static_cast<void>(std::rename(fresh.c_str(), path.c_str()));
}

json read_report_file(const std::string& path) {
  std::ifstream file(path);
  std::string text(kMaxReportFile, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  json report = base::find_json(text).value_or(json::object());
  return report.is_object() ? report : json::object();
}

}  // namespace agent::homeward
