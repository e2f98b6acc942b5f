#include "appliance/verify/screen_reader.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <fstream>

#include "base/clean_text.h"
#include "base/confinement.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::chrono::seconds kDecodeTimeout{20};  // runs at a low priority on a busy machine
constexpr std::chrono::seconds kRecogniseTimeout{20};
constexpr std::chrono::seconds kProcessorTime{15};
constexpr int kNice = 5;
constexpr size_t kMaxWords = 200;

// A file for one command's standard input, removed with the object. Not durable.
class InputFile {
 public:
  InputFile(const std::string& directory, base::ByteView bytes)
      : path_(base::join_path(directory, "input")) {
    std::remove(path_.c_str());
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (!file) {
      std::remove(path_.c_str());
      throw Error(ErrorCode::no_space, "a picture cannot be written to " + path_);
    }
  }
  ~InputFile() { std::remove(path_.c_str()); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

base::CommandResult run(const std::string& directory, base::ByteView input,
                        const std::vector<std::string>& command,
                        std::chrono::milliseconds timeout) {
  InputFile file(directory, input);
  base::Confinement confinement;
  confinement.input_path = file.path();
  confinement.processor_time = kProcessorTime;
  confinement.nice = kNice;
  return base::run_command(base::confined(command, confinement), timeout);
}

}  // namespace

Picture ScreenReader::read(const boot::Screenshot& screenshot) {
  base::CommandResult done =
      run(directory_, screenshot.bytes,
          {base::program_beside("muletto-parse"), "picture", screenshot.mime_type}, kDecodeTimeout);
  if (done.status == base::kNotConfined)
    throw Error(ErrorCode::unavailable, base::clean_text(done.errors, kMaxWords));
  if (done.status != 0) {
    throw Error(ErrorCode::corrupt,
                fmt::format("the picture cannot be decoded (status {}): {}", done.status,
                            base::clean_text(done.errors, kMaxWords)));
  }
  return unpack_picture(base::as_bytes(done.output));
}

std::string ScreenReader::recognise(const Picture& picture) {
  if (is_blank(picture)) return "";
  // One thread: several test boots run at once, and Tesseract gains nothing from more. Page mode 6:
  // one block of text, which is what a console is.
  base::CommandResult done =
      run(directory_, recognition_pgm(picture),
          {"env", "OMP_THREAD_LIMIT=1", "tesseract", "-", "-", "--psm", "6", "-l", "eng"},
          kRecogniseTimeout);
  if (done.status == 127) throw Error(ErrorCode::not_found, "tesseract is not installed");
  if (done.status != 0) {
    throw Error(ErrorCode::unavailable,
                fmt::format("the text on the screen was not read (status {}): {}", done.status,
                            base::clean_text(done.errors, kMaxWords)));
  }
  return done.output;
}

std::string screen_words(const Picture& picture, const std::string& text) {
  if (is_blank(picture)) return "is dark, or has a single colour";
  std::string last;
  for (const std::string& line : base::split(text, '\n')) {
    if (!base::trim(line).empty()) last = base::trim(line);
  }
  if (last.empty()) return "shows a picture without words that can be read";
  return fmt::format("reads: \"{}\"", base::clean_text(last, kMaxWords));
}

}  // namespace appliance::verify
