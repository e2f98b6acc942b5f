#include "appliance/verify/text_recognition.h"

#include <chrono>
#include <cstdio>

#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/subprocess.h"

namespace appliance::verify {
namespace {

constexpr std::chrono::seconds kTimeout{20};

}  // namespace

std::string recognise_text(const Picture& picture, const std::string& directory) {
  if (is_blank(picture)) return "";
  std::string path = base::join_path(directory, "screen.pgm");
  base::write_file_durably(base::real_file_system(), path, recognition_pgm(picture));
  try {
    // One thread: several test boots run at once, and Tesseract gains nothing from more. Page mode
    // 6: one block of text, as a console is.
    base::CommandResult result =
        base::run_command({"env", "OMP_THREAD_LIMIT=1", "nice", "-n", "5", "tesseract", path, "-",
                           "--psm", "6", "-l", "eng"},
                          kTimeout);
    std::remove(path.c_str());
    if (result.status == 127)
      throw base::Error(base::ErrorCode::not_found, "tesseract is not installed");
    return result.status == 0 ? result.output : "";
  } catch (const base::Error& error) {
    std::remove(path.c_str());
    if (error.code() == base::ErrorCode::not_found) throw;
    base::log().warn("a screen was not read: {}", error.message());
    return "";
  }
}

}  // namespace appliance::verify
