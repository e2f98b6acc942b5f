// Pictures of guests' screens: decoding what libvirt returns, comparing, and preparing them for
// text recognition. The bytes come from QEMU and show what a guest draws. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace appliance::verify {

struct Picture {
  uint32_t width = 0;
  uint32_t height = 0;
  base::Bytes rgb;  // three bytes per pixel, rows from the top
};

// The largest picture that the daemon processes, and the widest that is kept as evidence.
constexpr uint32_t kMaxWidth = 2560, kMaxHeight = 2048, kKeptWidth = 1920;
constexpr size_t kMaxKeptSize = 512 << 10;  // bytes of one PNG

// PNG or binary PPM, at most 8192 x 8192. Throws corrupt, unsupported. For muletto-parse and the
// fuzzers: the daemon reads screens by a ScreenReader.
Picture decode_picture(std::string_view mime_type, base::ByteView bytes);

// Scaled down by the smallest whole factor that makes it fit; each pixel is the mean of those it
// replaces.
Picture reduced(const Picture& picture, uint32_t max_width, uint32_t max_height);

// The format between muletto-parse and the daemon: "MULP", width and height (4 bytes each,
// little-endian), the pixels. unpack_picture() throws corrupt unless it is exactly that, and at
// most kMaxWidth x kMaxHeight.
base::Bytes pack_picture(const Picture& picture);
Picture unpack_picture(base::ByteView bytes);

base::Bytes encode_png(const Picture& picture);
// A PNG of at most kMaxKeptSize and kKeptWidth: scaled down until it fits, since noise does not
// compress.
base::Bytes evidence_png(const Picture& picture);

// Whether they differ by more than a blinking cursor.
bool is_different(const Picture& a, const Picture& b);
// Whether there is nothing but a background and perhaps a cursor.
bool is_blank(const Picture& picture);

// Grey, enlarged, dark text on a light background, as binary PGM: what Tesseract reads best.
base::Bytes recognition_pgm(const Picture& picture);

}  // namespace appliance::verify
