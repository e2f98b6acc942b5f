#include "base/xml/xml_tree.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <pugixml.hpp>

#include "base/clean_text.h"
#include "base/confinement.h"
#include "base/error.h"
#include "base/subprocess.h"
#include "base/unique_fd.h"

namespace base::xml {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::chrono::seconds kTimeout{20};
constexpr std::chrono::seconds kProcessorTime{10};
constexpr uint64_t kMemory = 256ull << 20;  // bytes
constexpr size_t kMaxWords = 200;
// Each part of the text takes at most its own bytes, a length and a mark.
constexpr size_t kMaxPacked = 8 * kMaxXml;

enum Mark : uint8_t { kElement = 1, kAttribute = 2, kText = 3, kEnd = 4 };

void pack(const pugi::xml_node& node, uint32_t depth, base::ByteWriter& out) {
  if (depth > kMaxXmlDepth) throw Error(ErrorCode::corrupt, "its elements are nested too deeply");
  for (const pugi::xml_node& child : node.children()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) {
      out.u8(kText);
      out.string(child.value());
    }
    if (child.type() != pugi::node_element) continue;
    out.u8(kElement);
    out.string(child.name());
    for (const pugi::xml_attribute& each : child.attributes()) {
      out.u8(kAttribute);
      out.string(each.name());
      out.string(each.value());
    }
    pack(child, depth + 1, out);
    out.u8(kEnd);
  }
}

// In memory, and opened by its path: a full disk must not prevent booting.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content) : fd_(::memfd_create("definition", MFD_CLOEXEC)) {
    if (!fd_) throw base::system_error(errno, "cannot make a file in memory");
    for (size_t done = 0; done < content.size();) {
      ssize_t count = ::write(fd_.get(), content.data() + done, content.size() - done);
      if (count < 0) throw base::system_error(errno, "cannot write to a file in memory");
      done += static_cast<size_t>(count);
    }
  }
  std::string path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd_.get()); }

 private:
  base::UniqueFd fd_;
};

}  // namespace

base::Bytes pack_xml(std::string_view xml) {
  if (xml.size() > kMaxXml) throw Error(ErrorCode::corrupt, "it is larger than 1 MiB");
  pugi::xml_document document;
  pugi::xml_parse_result result = document.load_buffer(xml.data(), xml.size());
  if (!result) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{} (at byte {})", result.description(), result.offset));
  }
  base::ByteWriter out;
  pack(document, 0, out);
  return out.take();
}

base::Bytes pack_xml_confined(std::string_view xml) {
  if (xml.size() > kMaxXml) throw Error(ErrorCode::corrupt, "it is larger than 1 MiB");
  MemoryFile input(xml);
  base::Confinement confinement;
  confinement.input_path = input.path();
  confinement.memory_size = kMemory;
  confinement.processor_time = kProcessorTime;
  confinement.nice = 0;
  base::CommandResult done;
  try {
    done = base::run_command(
        base::confined({base::program_beside("muletto-parse"), "xml"}, confinement), kTimeout);
  } catch (const Error& error) {
    throw Error(ErrorCode::unavailable, error.message());
  }
  std::string words = base::clean_text(done.errors, kMaxWords);
  if (done.status == base::kNotConfined || done.status == 127)
    throw Error(ErrorCode::unavailable, words);
  if (done.status != 0) {
    throw Error(
        ErrorCode::corrupt,
        words.empty() ? fmt::format("its parser ended with status {}", done.status) : words);
  }
  base::ByteView packed = base::as_bytes(done.output);
  return {packed.begin(), packed.end()};
}

void unpack_xml(base::ByteView packed, pugi::xml_document& document) {
  base::ByteReader reader(packed, "a packed definition");
  if (packed.size() > kMaxPacked) reader.fail("it is too large");
  pugi::xml_node node = document;
  uint32_t depth = 0;
  bool takes_attributes = false;
  while (reader.remaining() != 0) {
    uint8_t mark = reader.u8();
    switch (mark) {
      case kElement:
        if (++depth > kMaxXmlDepth + 1) reader.fail("it is nested too deeply");
        node = node.append_child(reader.string(kMaxXml).c_str());
        takes_attributes = true;
        continue;
      case kAttribute: {
        if (!takes_attributes) reader.fail("an attribute is outside of an element's start");
        std::string name = reader.string(kMaxXml);
        node.append_attribute(name.c_str()) = reader.string(kMaxXml).c_str();
        continue;
      }
      case kText:
        if (depth == 0) reader.fail("text is outside of its elements");
        node.append_child(pugi::node_pcdata).set_value(reader.string(kMaxXml).c_str());
        break;
      case kEnd:
        if (depth == 0) reader.fail("an end tag has no start tag");
        --depth;
        node = node.parent();
        break;
      default: reader.fail("it has an unknown marker");
    }
    takes_attributes = false;
  }
  if (depth != 0) reader.fail("it ends inside an element");
}

}  // namespace base::xml
