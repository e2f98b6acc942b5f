// Reads pictures of guests' screens. QEMU wrote the file, and the guest chose its content and size.
// The program muletto-parse decodes it, confined (base/confinement.h); this process receives only
// pixels, of an agreed size. Not thread-safe.
#pragma once

#include <string>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/verify/picture.h"

namespace appliance::verify {

class ScreenReader {
 public:
  // `directory` is private, and must outlive the reader: it holds one file at a time.
  explicit ScreenReader(std::string directory) : directory_(std::move(directory)) {}

  // At most kMaxWidth x kMaxHeight: a larger screen is scaled down by a whole factor. Throws
  // corrupt for what is not a picture, unavailable if it could not be decoded in time.
  Picture read(const boot::Screenshot& screenshot);

  // The text in lines, read by Tesseract, which is also confined; empty if there is none. Takes
  // about a third of a second. Throws not_found if Tesseract is missing, unavailable if it ended
  // without a result.
  std::string recognise(const Picture& picture);

 private:
  std::string directory_;
};

// What the screen shows, for people, with the text that was read from it: "is dark, or has a single
// colour", "reads: \"…\"".
std::string screen_words(const Picture& picture, const std::string& text);

}  // namespace appliance::verify
