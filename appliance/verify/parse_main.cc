// muletto-parse: decodes bytes that a guest had a hand in, from standard input to standard output.
// The appliance runs it confined (base/confinement.h); it can do no harm because it has no rights,
// not because its libraries are free of mistakes.
//   muletto-parse picture MIME-TYPE     a screenshot in, a packed picture out (picture.h)
#include <cstdio>
#include <string>
#include <vector>

#include "appliance/verify/picture.h"
#include "base/error.h"

namespace {

constexpr size_t kMaxInput = 64 << 20;  // bytes

base::Bytes read_input() {
  base::Bytes bytes;
  std::vector<uint8_t> buffer(1 << 20);
  size_t count;
  while ((count = std::fread(buffer.data(), 1, buffer.size(), stdin)) > 0) {
    if (bytes.size() + count > kMaxInput)
      throw base::Error(base::ErrorCode::corrupt, "the input is larger than 64 MiB");
    bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(count));
  }
  return bytes;
}

}  // namespace

int main(int count, char** words) {
  if (count != 3 || std::string(words[1]) != "picture") {
    std::fputs("usage: muletto-parse picture MIME-TYPE < FILE\n", stderr);
    return 2;
  }
  try {
    using namespace appliance::verify;
    base::Bytes packed =
        pack_picture(reduced(decode_picture(words[2], read_input()), kMaxWidth, kMaxHeight));
    bool written = std::fwrite(packed.data(), 1, packed.size(), stdout) == packed.size();
    return written && std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
