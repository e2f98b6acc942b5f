#include "appliance/report/report_pdf.h"

#include <fmt/format.h>

#include "base/clean_text.h"
#include "base/confinement.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace appliance::report {
namespace {

constexpr std::chrono::minutes kTimeout{3};
constexpr uint64_t kMaxPdf = 256ull << 20;  // bytes
constexpr uint64_t kMemory = 2ull << 30;    // bytes

std::string last_line(const std::string& text) {
  std::string last;
  for (const std::string& line : base::split(text, '\n')) {
    if (!base::trim(line).empty()) last = base::trim(line);
  }
  return last;
}

}  // namespace

base::Bytes pdf_from_html(const std::string& html) {
  base::ScratchDirectory scratch("/var/tmp", "muletto-report");
  std::string page = scratch.path() + "/page.html", pdf = scratch.path() + "/page.pdf";
  base::write_file_durably(base::real_file_system(), page, base::as_bytes(html));
  base::Confinement confinement;
  confinement.memory_size = kMemory;
  confinement.file_size = kMaxPdf;
  confinement.input_path = page;
  base::SubprocessOptions options;
  options.output_path = pdf;
  base::Subprocess child(base::confined({"weasyprint", "--quiet", "-", "-"}, confinement), options);
  std::optional<int> status = child.wait_for(kTimeout);
  if (!status) throw base::Error(base::ErrorCode::unavailable, "weasyprint did not end in time");
  if (*status == 127) {
    throw base::Error(base::ErrorCode::unsupported,
                      "weasyprint, which makes the PDF, is not installed: apt-get install "
                      "weasyprint, or choose the format html");
  }
  base::Bytes output = base::read_file(base::real_file_system(), pdf, kMaxPdf);
  if (*status != 0) {
    throw base::Error(
        base::ErrorCode::io,
        fmt::format("the PDF could not be made: weasyprint ended with status {}: {}", *status,
                    base::clean_text(last_line(std::string(base::as_text(output))), 300)));
  }
  return output;
}

}  // namespace appliance::report
