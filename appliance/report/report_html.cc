#include "appliance/report/report_html.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "appliance/policy/time_zone.h"
#include "base/markup_text.h"
#include "base/text.h"

namespace appliance::report {
namespace {

constexpr size_t kMaxAlerts = 100;
constexpr size_t kMaxReasons = 6;

constexpr std::string_view kStyle = R"css(
@page { size: A4; margin: 16mm 15mm 18mm; @bottom-right { content: counter(page) " / " counter(pages);
  font: 8pt "DejaVu Sans", sans-serif; color: #667; } }
* { box-sizing: border-box; }
body { font: 10pt/1.45 "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; color: #1d2430; margin: 0 auto;
  max-width: 190mm; padding: 8mm 4mm; }
@media print { body { padding: 0; max-width: none; } }
h1 { font-size: 20pt; margin: 0; letter-spacing: -.3pt; } h2 { font-size: 13pt; margin: 9mm 0 3mm; }
h3 { font-size: 12pt; margin: 0; display: inline-block; overflow-wrap: anywhere; }
header { border-bottom: 2pt solid #1f4e79; padding-bottom: 4mm; } .sub { color: #566; margin-top: 1mm; }
.summary { background: #f2f6fa; border-left: 3pt solid #1f4e79; padding: 4mm 5mm; margin: 6mm 0; }
.summary p { margin: 0 0 1.5mm; } .summary .lead { font-size: 13pt; font-weight: 600; }
.summary.bad { background: #fdf3f2; border-color: #b3261e; }
table { border-collapse: collapse; width: 100%; font-size: 8.5pt; } th { text-align: left; color: #566;
  font-weight: 600; border-bottom: 1pt solid #aab; padding: 1.5mm 2mm; vertical-align: bottom; }
td { border-bottom: .5pt solid #dde; padding: 1.7mm 2mm; vertical-align: top; overflow-wrap: anywhere; }
.whole { white-space: nowrap; } th.name { width: 30%; } th.about { width: 20%; }
.tag { display: inline-block; border-radius: 2mm; padding: .3mm 2mm; font-size: 8pt; font-weight: 600;
  white-space: nowrap; }
.pass { background: #dff3e4; color: #14602b; } .fail { background: #fadcd9; color: #8c1d18; }
.open { background: #fff0d0; color: #7a4d00; }
.card { border: .7pt solid #ccd3dc; border-radius: 2mm; padding: 4mm 5mm; margin: 0 0 4mm; break-inside: avoid; }
.card .tag { margin-left: 2mm; vertical-align: 1pt; }
.when { white-space: nowrap; }
.two { display: flex; margin-top: 3mm; } .two > div { flex: 1 1 0; min-width: 0; }
.two > .picture { flex: 0 0 62mm; margin-left: 5mm; } .picture img { width: 100%; border: .5pt solid #99a; background: #000; }
.caption { font-size: 7.5pt; color: #667; }
.facts { width: 100%; border-collapse: collapse; font-size: 9pt; margin: 0; }
.facts th, .facts td { border: 0; padding: 0 0 1mm; text-align: left; vertical-align: top; font-weight: normal; }
.facts th { color: #566; width: 33mm; background: none; }
ul { margin: 2mm 0 0; padding-left: 5mm; font-size: 9pt; } li { overflow-wrap: anywhere; }
.late { color: #8c1d18; font-weight: 600; } footer { margin-top: 8mm; font-size: 8pt; color: #667; }
)css";

std::string base64(base::ByteView bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                               static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

std::string duration(uint64_t ms) { return base::format_duration_ms(ms); }

const char* plural(size_t count, const char* one, const char* many) {
  return count == 1 ? one : many;
}

class Page {
 public:
  explicit Page(const TenantReport& report) : report_(report), zone_(report.timezone) {}

  std::string make() {
    add("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>Recovery "
        "report: "
        "{}</title>\n<style>{}</style></head>\n<body>\n",
        escape_html(report_.tenant), kStyle);
    add_head();
    add_summary();
    add_overview();
    add("<h2>Machines</h2>\n");
    for (const ReportedMachine& machine : report_.machines) add_machine(machine);
    add_alerts();
    add("<footer>A test boot starts an unchanged copy of a recovery point as a "
        "virtual machine, isolated from every network, and checks whether the system "
        "comes up. Times are those of {}.</footer>\n</body></html>\n",
        escape_html(report_.timezone));
    return std::move(text_);
  }

 private:
  template <typename... Arguments>
  void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
  }

  std::string time(uint64_t utc_ms) const {
    auto local =
        static_cast<uint64_t>(std::max<int64_t>(zone_.local_of(static_cast<int64_t>(utc_ms)), 0));
    std::string text = base::format_time_ms(local).substr(0, 16);
    std::replace(text.begin(), text.end(), 'T', ' ');
    return text;
  }

  uint64_t end_ms() const { return std::min(report_.to_ms, report_.made_ms); }

  static bool proved(const ReportedMachine& machine) {
    return machine.last_boot && machine.last_boot->verdict == "pass";
  }
  static bool is_gap_too_long(const ReportedMachine& machine) {
    return machine.rpo_ms && machine.worst_gap_ms > *machine.rpo_ms;
  }
  static bool is_slow(const ReportedMachine& machine) {
    return machine.rto_ms && machine.recovery.count > 0 &&
           machine.recovery.recent_ms > *machine.rto_ms;
  }

  void add_head() {
    add("<header><h1>Recovery report</h1><div class=\"sub\"><b>{}</b> &middot; {} to {} &middot; "
        "{}<br>Made {}</div></header>\n",
        escape_html(report_.tenant), time(report_.from_ms), time(report_.to_ms),
        escape_html(report_.timezone), time(report_.made_ms));
  }

  void add_summary() {
    size_t total = report_.machines.size(), good = 0, failed = 0, untested = 0, unclear = 0;
    size_t gaps = 0, slow = 0, exposed = 0;
    uint64_t longest = 0;
    for (const ReportedMachine& machine : report_.machines) {
      good += proved(machine) ? 1 : 0;
      untested += machine.last_boot ? 0 : 1;
      failed += machine.last_boot && machine.last_boot->verdict == "fail" ? 1 : 0;
      unclear += machine.last_boot && machine.last_boot->verdict == "inconclusive" ? 1 : 0;
      gaps += is_gap_too_long(machine) ? 1 : 0;
      slow += is_slow(machine) ? 1 : 0;
      exposed += machine.is_protected ? 0 : 1;
      if (proved(machine) && machine.last_boot->recovery_ms)
        longest = std::max(longest, *machine.last_boot->recovery_ms);
    }
    add("<div class=\"summary{}\">", failed + gaps > 0 || good < total ? " bad" : "");
    if (total == 0) {
      add("<p class=\"lead\">There are no machines.</p></div>\n");
      return;
    }
    if (good == total && total > 1) add("<p class=\"lead\">All {} machines are", total);
    else
      add("<p class=\"lead\">{} of {} {}", good, total, total == 1 ? "machine is" : "machines are");
    add(" proved to boot{}.</p>\n",
        longest == 0 ? "" : fmt::format(", within {}", duration(longest)));
    auto sentence = [&](size_t count, const char* one, const char* many) {
      if (count > 0) add("<p>{} {}</p>\n", count, plural(count, one, many));
    };
    sentence(failed, "machine failed its last test.", "machines failed their last test.");
    sentence(unclear, "test was inconclusive.", "tests were inconclusive.");
    sentence(untested, "machine was not tested in this period.",
             "machines were not tested in this period.");
    sentence(gaps, "machine was without a newer recovery point for longer than agreed.",
             "machines were without a newer recovery point for longer than agreed.");
    sentence(slow, "machine takes longer to come back than agreed.",
             "machines take longer to come back than agreed.");
    sentence(exposed, "machine is not protected by a schedule.",
             "machines are not protected by a schedule.");
    add("</div>\n");
  }

  static std::string tag(const ReportedMachine& machine) {
    const std::optional<ReportedBoot>& boot = machine.last_boot;
    if (!boot) {
      return fmt::format("<span class=\"tag open\">{}</span>",
                         machine.is_verified ? "not tested" : "not verified: switched off");
    }
    const char* style = boot->verdict == "pass"   ? "pass"
                        : boot->verdict == "fail" ? "fail"
                                                  : "open";
    const char* word = boot->verdict == "pass"   ? "boots"
                       : boot->verdict == "fail" ? "test failed"
                                                 : "inconclusive";
    return fmt::format("<span class=\"tag {}\">{}</span>", style, word);
  }

  // "2 h 5 min, target 1 h"
  static std::string with_target(uint64_t ms, const std::optional<uint64_t>& target, bool late) {
    std::string text =
        late ? fmt::format("<span class=\"late\">{}</span>", duration(ms)) : duration(ms);
    return target
               ? fmt::format("{} <span class=\"whole\">(target {})</span>", text, duration(*target))
               : text;
  }

  std::string latest(const ReportedMachine& machine) const {
    if (!machine.latest_ms) return "none";
    uint64_t age = end_ms() > *machine.latest_ms ? end_ms() - *machine.latest_ms : 0;
    return fmt::format("{} <span class=\"whole\">({} old)</span>", time(*machine.latest_ms),
                       duration(age));
  }

  static std::string gap(const ReportedMachine& machine) {
    if (!machine.latest_ms) return "&ndash;";
    return with_target(machine.worst_gap_ms, machine.rpo_ms, is_gap_too_long(machine));
  }

  static std::string trend(const catalog::ProvedRecovery& proved) {
    switch (proved.trend) {
      case catalog::Trend::unknown: return "";
      case catalog::Trend::steady: return ", steady";
      case catalog::Trend::slower: return fmt::format(", slower by {} %", proved.change_percent);
      case catalog::Trend::faster: return fmt::format(", faster by {} %", -proved.change_percent);
    }
    return "";
  }

  static std::string recovery(const ReportedMachine& machine) {
    if (machine.recovery.count == 0) return "&ndash;";
    return with_target(machine.recovery.median_ms, machine.rto_ms, is_slow(machine)) +
           trend(machine.recovery);
  }

  void add_overview() {
    add("<h2>Overview</h2>\n<table><thead><tr><th class=\"name\">Machine</th><th>Last test "
        "boot</th><th>Recovery "
        "time</th><th>Newest point</th><th>Longest gap</th><th>Points</th></tr></thead><tbody>\n");
    for (const ReportedMachine& machine : report_.machines) {
      add("<tr><td><b>{}</b></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
          escape_html(machine.name), tag(machine), recovery(machine), latest(machine), gap(machine),
          machine.point_count);
    }
    add("</tbody></table>\n");
    add_store_check();
  }

  void add_store_check() {
    const auto& check = report_.store_check;
    if (!check) {
      add("<p>Not all stored data has been read and verified yet.</p>\n");
    } else if (check->problem_count == 0) {
      add("<p>All stored data was last read and verified on {}: it is intact.</p>\n",
          time(check->checked_ms));
    } else {
      add("<p class=\"late\">All stored data was last read and verified on {}: it is "
          "damaged; see the alerts.</p>\n",
          time(check->checked_ms));
    }
  }

  // One bar per passed test boot, oldest first.
  std::string diagram(const ReportedMachine& machine) const {
    if (machine.recovery_ms.size() < 2) return "";
    uint64_t longest = *std::max_element(machine.recovery_ms.begin(), machine.recovery_ms.end());
    if (machine.rto_ms) longest = std::max(longest, *machine.rto_ms);
    constexpr double kHeight = 26, kStep = 8;
    double width = kStep * static_cast<double>(machine.recovery_ms.size());
    std::string svg = fmt::format(
        "<svg width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\">",
        width, kHeight);
    double x = 0;
    auto height_of = [&](uint64_t ms) {
      return kHeight * static_cast<double>(ms) /
             static_cast<double>(std::max<uint64_t>(longest, 1));
    };
    for (uint64_t ms : machine.recovery_ms) {
      double height = std::max(height_of(ms), 1.0);
      bool late = machine.rto_ms && ms > *machine.rto_ms;
      svg +=
          fmt::format("<rect x=\"{:.0f}\" y=\"{:.1f}\" width=\"6\" height=\"{:.1f}\" fill=\"{}\"/>",
                      x, kHeight - height, height, late ? "#b3261e" : "#5b86ad");
      x += kStep;
    }
    if (machine.rto_ms) {
      double y = kHeight - height_of(*machine.rto_ms) + 0.5;
      svg += fmt::format(
          "<line x1=\"0\" y1=\"{0:.1f}\" x2=\"{1:.0f}\" y2=\"{0:.1f}\" stroke=\"#888\" "
          "stroke-dasharray=\"2 2\"/>",
          y, width);
    }
    return svg + "</svg>";
  }

  void add_fact(std::string_view name, const std::string& html) {
    if (!html.empty()) add("<tr><th>{}</th><td>{}</td></tr>", name, html);
  }

  void add_machine(const ReportedMachine& machine) {
    add("<section class=\"card\"><h3>{}</h3>{}\n<div class=\"two\"><div><table class=\"facts\">",
        escape_html(machine.name), tag(machine));
    add_fact("Newest point", latest(machine));
    add_fact("Longest gap", gap(machine));
    add_fact("Points kept",
             fmt::format("{}{}", machine.point_count,
                         machine.is_protected ? "" : "; not protected by a schedule"));
    add_fact("Test boots",
             machine.boot_count == 0
                 ? "none in this period"
                 : fmt::format("{}, of which {} passed", machine.boot_count, machine.pass_count));
    if (machine.last_boot) {
      const ReportedBoot& boot = *machine.last_boot;
      add_fact("Last test boot", fmt::format("{}, of the point of {}", time(boot.started_ms),
                                             time(boot.point_time_ms)));
      if (boot.recovery_ms) add_fact("Came up within", duration(*boot.recovery_ms));
    }
    if (machine.recovery.count > 1) {
      add_fact("Proved recovery", fmt::format("{}, median of {}<br>{}", recovery(machine),
                                              machine.recovery.count, diagram(machine)));
    }
    add("</table>");
    if (machine.last_boot && !machine.last_boot->reasons.empty()) {
      const std::vector<std::string>& reasons = machine.last_boot->reasons;
      add("<ul>");
      for (size_t i = 0; i < std::min(reasons.size(), kMaxReasons); ++i)
        add("<li>{}</li>", escape_html(reasons[i]));
      add("</ul>");
    }
    add("</div>");
    if (machine.last_boot && !machine.last_boot->screen_png.empty()) {
      add("<div class=\"picture\"><img alt=\"The screen at the end of the test boot\" "
          "src=\"data:image/png;base64,{}\"><div class=\"caption\">The screen at the end of the "
          "test "
          "boot</div></div>",
          base64(machine.last_boot->screen_png));
    }
    add("</div></section>\n");
  }

  void add_alerts() {
    add("<h2>Alerts</h2>\n");
    if (report_.alerts.empty()) {
      add("<p>There were none in this period.</p>\n");
      return;
    }
    add("<table><thead><tr><th>From</th><th>Until</th><th "
        "class=\"about\">About</th><th>What</th></tr></thead>"
        "<tbody>\n");
    for (size_t i = 0; i < std::min(report_.alerts.size(), kMaxAlerts); ++i) {
      const catalog::Alert& alert = report_.alerts[i];
      add("<tr><td class=\"when\">{}</td><td class=\"when\">{}</td><td>{}</td><td>{}</td></tr>\n",
          time(alert.opened_ms),
          alert.closed_ms ? time(*alert.closed_ms) : "<span class=\"late\">still open</span>",
          escape_html(alert.subject), escape_html(alert.message));
    }
    add("</tbody></table>\n");
    if (report_.alerts.size() > kMaxAlerts)
      add("<p>And {} more.</p>\n", report_.alerts.size() - kMaxAlerts);
  }

  const TenantReport& report_;
  const policy::TimeZone zone_;
  std::string text_;
};

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped = base::markup_text(text);
  for (char& c : escaped) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  }
  return base::is_valid_utf8(escaped) ? escaped : "(not readable)";
}

std::string report_html(const TenantReport& report) { return Page(report).make(); }

}  // namespace appliance::report
