// Pictures of guests' screens, as this process gets to see them: QEMU wrote the file, the guest
// chose what it shows and how large it is. The program muletto-parse decodes it, confined
// (base/confinement.h); here only pixels arrive, of a size that was agreed. Not thread-safe.
#pragma once

#include <string>

#include "appliance/boot/hypervisor.h"
#include "appliance/verify/picture.h"

namespace appliance::verify {

class ScreenReader {
 public:
  // `directory` is private, and outlives the reader: for one file at a time.
  explicit ScreenReader(std::string directory) : directory_(std::move(directory)) {}

  // At most kMaxWidth x kMaxHeight: a larger screen is made smaller by a whole factor. Throws
  // corrupt for what is no picture, unavailable if it could not be decoded in time.
  Picture read(const boot::Screenshot& screenshot);

  // The text in lines, by Tesseract, confined too; empty if there is none. Takes about a third of a
  // second. Throws not_found if Tesseract is missing, unavailable if it ended without an answer.
  std::string recognise(const Picture& picture);

 private:
  std::string directory_;
};

}  // namespace appliance::verify
