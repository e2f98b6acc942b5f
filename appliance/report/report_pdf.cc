#include "appliance/report/report_pdf.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

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
  std::filesystem::permissions(scratch.path(), static_cast<std::filesystem::perms>(0711));
  // WeasyPrint writes into a folder of its own user; the page is only read.
  std::string work = scratch.path() + "/work", page = scratch.path() + "/page.html";
  std::filesystem::create_directory(work);
  std::filesystem::permissions(work, static_cast<std::filesystem::perms>(0777));
  base::write_file_durably(base::real_file_system(), page, base::as_bytes(html));
  std::filesystem::permissions(page, static_cast<std::filesystem::perms>(0644));
  base::Confinement confinement;
  confinement.memory_size = kMemory;
  confinement.file_size = kMaxPdf;
  std::vector<std::string> command{"unshare", "--net", "--"};
  for (std::string& word : base::confined(
           {"HOME=" + work, "weasyprint", "--quiet", page, work + "/page.pdf"}, confinement))
    command.push_back(std::move(word));
  base::CommandResult result = base::run_command(command, kTimeout);
  if (result.status == 127) {
    throw base::Error(base::ErrorCode::unsupported,
                      "weasyprint, which makes the PDF, is not installed: apt-get install "
                      "weasyprint, or take the format html");
  }
  if (result.status != 0) {
    throw base::Error(base::ErrorCode::io,
                      fmt::format("the PDF could not be made: weasyprint ended with status {}: {}",
                                  result.status, last_line(result.errors)));
  }
  return base::read_file(base::real_file_system(), work + "/page.pdf", kMaxPdf);
}

}  // namespace appliance::report
