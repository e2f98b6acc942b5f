#include "images/files/readers/xfs_attributes.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "images/files/readers/values_at.h"

namespace images::files::xfs {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;

constexpr uint8_t kLocal = 1, kRoot = 2, kSecure = 4, kParent = 8, kIncomplete = 0x80;
constexpr uint16_t kOldLeaf = 0xfbee, kNewLeaf = 0x3bee, kOldNode = 0xfebe, kNewNode = 0x3ebe;
constexpr size_t kMaxBlocks = 4096;
constexpr size_t kValueHeader = 56;  // of a block with a value, in version 5

// As Linux shows access control lists: XFS keeps them in its own form.
std::string linux_acl(ByteView value) {
  base::ByteWriter out;
  out.u32(2);
  uint32_t count = big32(value, 0);
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t at = 4 + 12 * i;
    uint32_t tag = big32(value, at), id = big32(value, at + 4);
    uint16_t rights = big16(value, at + 8);
    bool is_named = tag == 2 || tag == 8;
    out.u16(static_cast<uint16_t>(tag));
    out.u16(rights);
    out.u32(is_named ? id : 0xffffffff);
    if (out.size() > kMaxAttribute) throw Error(ErrorCode::corrupt, "an access list is too long");
  }
  return std::string(base::as_text(out.bytes()));
}

class Collector {
 public:
  void add(uint8_t flags, ByteView name_bytes, ByteView value) {
    if ((flags & (kParent | kIncomplete)) != 0) return;
    std::string name(base::as_text(name_bytes)), text(base::as_text(value));
    if ((flags & kRoot) != 0 && (name == "SGI_ACL_FILE" || name == "SGI_ACL_DEFAULT")) {
      text = linux_acl(value);
      name = name == "SGI_ACL_FILE" ? "system.posix_acl_access" : "system.posix_acl_default";
    } else {
      name = ((flags & kRoot) != 0     ? "trusted."
              : (flags & kSecure) != 0 ? "security."
                                       : "user.") +
             name;
    }
    size_ += text.size();
    if (text.size() > kMaxAttribute || size_ > kMaxAttributes || all_.size() >= kMaxAttributeCount)
      throw Error(ErrorCode::unsupported, "its extended attributes are too large");
    all_.push_back({std::move(name), std::move(text)});
  }
  std::vector<ExtendedAttribute> take() { return std::move(all_); }

 private:
  std::vector<ExtendedAttribute> all_;
  size_t size_ = 0;
};

Bytes block_at(FileRuns& fork, const Superblock& super, uint32_t number) {
  Bytes block(super.block_size);
  fork.read(static_cast<uint64_t>(number) << super.block_log, block);
  return block;
}

Bytes value_in_blocks(FileRuns& fork, const Superblock& super, uint32_t first, uint32_t size) {
  if (size > kMaxAttribute)
    throw Error(ErrorCode::unsupported, "an extended attribute is too large");
  Bytes value;
  size_t header = super.is_new ? kValueHeader : 0;
  for (uint32_t number = first; value.size() < size; ++number) {
    Bytes block = block_at(fork, super, number);
    if (super.is_new && base::as_text(block).substr(0, 4) != "XARM")
      throw Error(ErrorCode::corrupt, "an extended attribute is damaged");
    size_t part = std::min<size_t>(size - value.size(), block.size() - header);
    value.insert(value.end(), block.begin() + static_cast<ptrdiff_t>(header),
                 block.begin() + static_cast<ptrdiff_t>(header + part));
  }
  return value;
}

void add_leaf(FileRuns& fork, const Superblock& super, const Bytes& block, Collector& to) {
  size_t info = super.is_new ? 56 : 12, entries = super.is_new ? 80 : 32;
  size_t count = big16(block, info);
  for (size_t i = 0; i < count; ++i) {
    size_t at = entries + 8 * i;
    size_t place = big16(block, at + 4);
    uint8_t flags = u8_at(block, at + 6);
    if ((flags & kLocal) != 0) {
      size_t value_size = big16(block, place), name_size = u8_at(block, place + 2);
      to.add(flags, part_of(block, place + 3, name_size),
             part_of(block, place + 3 + name_size, value_size));
    } else {
      uint32_t first = big32(block, place), value_size = big32(block, place + 4);
      size_t name_size = u8_at(block, place + 8);
      if ((flags & (kParent | kIncomplete)) != 0) continue;
      to.add(flags, part_of(block, place + 9, name_size),
             value_in_blocks(fork, super, first, value_size));
    }
  }
}

}  // namespace

std::vector<ExtendedAttribute> local_attributes(const Bytes& fork) {
  Collector found;
  size_t count = u8_at(fork, 2), at = 4;
  for (size_t i = 0; i < count; ++i) {
    size_t name_size = u8_at(fork, at), value_size = u8_at(fork, at + 1);
    found.add(u8_at(fork, at + 2), part_of(fork, at + 3, name_size),
              part_of(fork, at + 3 + name_size, value_size));
    at += 3 + name_size + value_size;
  }
  return found.take();
}

std::vector<ExtendedAttribute> block_attributes(FileRuns& fork, const Superblock& super) {
  Collector found;
  std::set<uint32_t> seen;
  // Down to the first leaf, then along.
  for (uint32_t number = 0;;) {
    if (!seen.insert(number).second || seen.size() > kMaxBlocks)
      throw Error(ErrorCode::corrupt, "extended attributes are damaged");
    Bytes block = block_at(fork, super, number);
    uint16_t magic = big16(block, 8);
    if (magic == kOldNode || magic == kNewNode) {
      size_t entries = super.is_new ? 64 : 16;
      number = big32(block, entries + 4);
      continue;
    }
    if (magic != kOldLeaf && magic != kNewLeaf)
      throw Error(ErrorCode::corrupt, "extended attributes are damaged");
    add_leaf(fork, super, block, found);
    number = big32(block, 0);
    if (number == 0) return found.take();
  }
}

}  // namespace images::files::xfs
