// muletto-parse: decodes bytes that a guest or a host may have chosen, from standard input to
// standard output. The appliance runs it confined (base/confinement.h). It can do no harm because
// it has no privileges, not because its libraries are free of bugs.
//   muletto-parse picture MIME-TYPE     a screenshot in, a packed picture out (picture.h)
//   muletto-parse xml                   a definition in, its tree out (base/xml/xml_tree.h)
#include <cstdio>
#include <string>
#include <vector>

#include "appliance/verify/picture.h"
#include "base/error.h"
#include "base/xml/xml_tree.h"

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

base::Bytes decode(const std::vector<std::string>& words) {
  if (words[0] == "xml") {
    base::Bytes input = read_input();
    return base::xml::pack_xml(base::as_text(input));
  }
  using namespace appliance::verify;
  return pack_picture(reduced(decode_picture(words[1], read_input()), kMaxWidth, kMaxHeight));
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::string> words(arguments + 1, arguments + count);
  bool known =
      (words.size() == 2 && words[0] == "picture") || words == std::vector<std::string>{"xml"};
  if (!known) {
    std::fputs("usage: muletto-parse picture MIME-TYPE < FILE\n       muletto-parse xml < FILE\n",
               stderr);
    return 2;
  }
  try {
    base::Bytes decoded = decode(words);
    bool written = std::fwrite(decoded.data(), 1, decoded.size(), stdout) == decoded.size();
    return written && std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
