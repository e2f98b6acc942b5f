#include "appliance/verify/picture.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/error.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint32_t kMaxSide = 8192;
constexpr std::string_view kPackedMagic = "MULP";
constexpr size_t kPackedHeader = 12;
constexpr size_t kCursorPixels = 300;   // a block cursor of a 16 x 16 font is 256
constexpr uint32_t kWideScreen = 1100;  // pixels; wider ones have larger letters

void check_size(uint64_t width, uint64_t height) {
  if (width == 0 || height == 0 || width > kMaxSide || height > kMaxSide)
    throw Error(ErrorCode::corrupt, fmt::format("a picture of {} x {} pixels", width, height));
}

Picture decode_png(base::ByteView bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0)
    throw Error(ErrorCode::corrupt, fmt::format("a picture that is not a PNG: {}", image.message));
  Picture picture;
  picture.width = image.width;
  picture.height = image.height;
  if (image.width > kMaxSide || image.height > kMaxSide) png_image_free(&image);
  check_size(picture.width, picture.height);
  image.format = PNG_FORMAT_RGB;
  picture.rgb.resize(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, picture.rgb.data(), 0, nullptr) == 0)
    throw Error(ErrorCode::corrupt, fmt::format("a broken PNG: {}", image.message));
  return picture;
}

// "P6 WIDTH HEIGHT 255" and one white space character, then the pixels.
Picture decode_ppm(base::ByteView bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with("P6")) throw Error(ErrorCode::corrupt, "a picture that is not a PPM");
  size_t place = 2;
  auto number = [&] {
    while (place < text.size() && (text[place] == ' ' || text[place] == '\n')) ++place;
    uint32_t value = 0;
    auto result = std::from_chars(text.data() + place, text.data() + text.size(), value);
    if (result.ec != std::errc()) throw Error(ErrorCode::corrupt, "a PPM without its size");
    place = static_cast<size_t>(result.ptr - text.data());
    return value;
  };
  Picture picture;
  picture.width = number();
  picture.height = number();
  uint32_t depth = number();
  check_size(picture.width, picture.height);
  size_t size = size_t{3} * picture.width * picture.height;
  if (depth != 255 || place + 1 + size > bytes.size())
    throw Error(ErrorCode::corrupt, "a PPM that is truncated or of another depth");
  auto begin = bytes.begin() + static_cast<ptrdiff_t>(place + 1);
  picture.rgb.assign(begin, begin + static_cast<ptrdiff_t>(size));
  return picture;
}

bool differs(const uint8_t* a, const uint8_t* b) {
  return std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]) + std::abs(a[2] - b[2]) > 48;
}

base::Bytes grey_of(const Picture& picture) {
  base::Bytes grey(size_t{picture.width} * picture.height);
  uint64_t sum = 0;
  for (size_t i = 0; i < grey.size(); ++i) {
    const uint8_t* pixel = picture.rgb.data() + 3 * i;
    grey[i] = std::max({pixel[0], pixel[1], pixel[2]});
    sum += grey[i];
  }
  if (sum / grey.size() < 128) {
    for (uint8_t& value : grey) value = static_cast<uint8_t>(255 - value);
  }
  return grey;
}

}  // namespace

Picture decode_picture(std::string_view mime_type, base::ByteView bytes) {
  if (mime_type == "image/png") return decode_png(bytes);
  if (mime_type == "image/x-portable-pixmap") return decode_ppm(bytes);
  throw Error(ErrorCode::unsupported, fmt::format("pictures of type {}", mime_type));
}

Picture reduced(const Picture& picture, uint32_t max_width, uint32_t max_height) {
  uint32_t factor = 1;
  while (picture.width > uint64_t{max_width} * factor ||
         picture.height > uint64_t{max_height} * factor)
    ++factor;
  if (factor == 1) return picture;
  Picture small{std::max(1u, picture.width / factor), std::max(1u, picture.height / factor), {}};
  small.rgb.reserve(size_t{3} * small.width * small.height);
  uint32_t across = std::min(factor, picture.width), down = std::min(factor, picture.height);
  for (uint32_t row = 0; row < small.height; ++row) {
    for (uint32_t column = 0; column < small.width; ++column) {
      std::array<uint32_t, 3> sum{};
      for (uint32_t y = row * factor; y < row * factor + down; ++y) {
        const uint8_t* pixel =
            picture.rgb.data() + 3 * (size_t{y} * picture.width + column * factor);
        for (size_t i = 0; i < size_t{3} * across; ++i) sum[i % 3] += pixel[i];
      }
      for (uint32_t each : sum) small.rgb.push_back(static_cast<uint8_t>(each / (across * down)));
    }
  }
  return small;
}

base::Bytes pack_picture(const Picture& picture) {
  base::Bytes bytes(kPackedHeader);
  std::copy_n(kPackedMagic.begin(), kPackedMagic.size(), bytes.begin());
  base::store_u32(bytes.data() + 4, picture.width);
  base::store_u32(bytes.data() + 8, picture.height);
  bytes.insert(bytes.end(), picture.rgb.begin(), picture.rgb.end());
  return bytes;
}

Picture unpack_picture(base::ByteView bytes) {
  Picture picture;
  bool has_header = bytes.size() >= kPackedHeader && base::as_text(bytes).starts_with(kPackedMagic);
  if (has_header) {
    picture.width = base::load_u32(bytes.data() + 4);
    picture.height = base::load_u32(bytes.data() + 8);
  }
  bool fits = picture.width != 0 && picture.height != 0 && picture.width <= kMaxWidth &&
              picture.height <= kMaxHeight &&
              bytes.size() == kPackedHeader + size_t{3} * picture.width * picture.height;
  if (!fits) throw Error(ErrorCode::corrupt, "what came for a picture is none");
  picture.rgb.assign(bytes.begin() + kPackedHeader, bytes.end());
  return picture;
}

base::Bytes evidence_png(const Picture& picture) {
  for (uint32_t width = kKeptWidth;; width = width * 2 / 3) {
    base::Bytes png = encode_png(reduced(picture, width, std::max(width, 1u)));
    if (png.size() <= kMaxKeptSize || width < 64) return png;
  }
}

base::Bytes encode_png(const Picture& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = picture.width;
  image.height = picture.height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  base::Bytes bytes;
  if (png_image_write_to_memory(&image, nullptr, &size, 0, picture.rgb.data(), 0, nullptr) != 0) {
    bytes.resize(size);
    if (png_image_write_to_memory(&image, bytes.data(), &size, 0, picture.rgb.data(), 0, nullptr) !=
        0) {
      bytes.resize(size);
      return bytes;
    }
  }
  throw Error(ErrorCode::io, fmt::format("a picture cannot be written: {}", image.message));
}

bool is_different(const Picture& a, const Picture& b) {
  if (a.width != b.width || a.height != b.height) return true;
  size_t count = 0;
  for (size_t i = 0; i < a.rgb.size(); i += 3) {
    if (differs(a.rgb.data() + i, b.rgb.data() + i) && ++count > kCursorPixels) return true;
  }
  return false;
}

bool is_blank(const Picture& picture) {
  size_t count = 0;
  for (size_t i = 0; i < picture.rgb.size(); i += 3) {
    if (differs(picture.rgb.data(), picture.rgb.data() + i) && ++count > kCursorPixels)
      return false;
  }
  return true;
}

base::Bytes recognition_pgm(const Picture& picture) {
  base::Bytes grey = grey_of(picture);
  const uint32_t scale = picture.width > kWideScreen ? 2 : 3;
  std::string head = fmt::format("P5\n{} {}\n255\n", picture.width * scale, picture.height * scale);
  base::Bytes pgm(head.begin(), head.end());
  pgm.reserve(head.size() + grey.size() * scale * scale);
  for (uint32_t row = 0; row < picture.height; ++row) {
    base::Bytes line;
    line.reserve(size_t{picture.width} * scale);
    for (uint32_t column = 0; column < picture.width; ++column) {
      line.insert(line.end(), scale, grey[size_t{row} * picture.width + column]);
    }
    for (uint32_t i = 0; i < scale; ++i) pgm.insert(pgm.end(), line.begin(), line.end());
  }
  return pgm;
}

}  // namespace appliance::verify
