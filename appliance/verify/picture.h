// Pictures of guests' screens: decoding what libvirt gives, comparing, and preparing them for the
// recognition of text. The bytes come from QEMU and show what a guest draws. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace appliance::verify {

struct Picture {
  uint32_t width = 0;
  uint32_t height = 0;
  base::Bytes rgb;  // three bytes a pixel, rows from the top
};

// PNG or binary PPM, at most 8192 x 8192. Throws corrupt, unsupported.
Picture decode_picture(std::string_view mime_type, base::ByteView bytes);
base::Bytes encode_png(const Picture& picture);

// Whether more differs than a blinking cursor.
bool is_different(const Picture& a, const Picture& b);
// Whether there is nothing but a background and perhaps a cursor.
bool is_blank(const Picture& picture);

// Grey, enlarged, dark text on light ground, as binary PGM: what Tesseract reads best.
base::Bytes recognition_pgm(const Picture& picture);

}  // namespace appliance::verify
