#include "images/files/files_format.h"

#include <algorithm>

#include "base/clean_text.h"

namespace images::files {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;

constexpr uint32_t kNanoseconds = 1'000'000'000;
constexpr size_t kMaxDisks = 64;

ByteWriter begin(MessageKind kind) {
  ByteWriter writer;
  writer.u8(static_cast<uint8_t>(kind));
  return writer;
}

ByteReader body_of(ByteView message) {
  ByteReader reader(message, "a message about files");
  reader.u8();
  return reader;
}

bool flag(ByteReader& from) {
  uint8_t value = from.u8();
  if (value > 1) from.fail("a flag that is neither yes nor no");
  return value == 1;
}

uint32_t count(ByteReader& from, size_t limit) {
  uint32_t value = from.u32();
  if (value > limit) from.fail("too many parts");
  return value;
}

std::string words(ByteReader& from) { return base::clean_text(from.string(4096), kMaxWords); }

void put_words(ByteWriter& to, std::string_view text) { to.string(text.substr(0, 4096)); }

void put_time(ByteWriter& to, const FileTime& time) {
  to.u64(static_cast<uint64_t>(time.seconds));
  to.u32(time.nanoseconds);
}

FileTime time(ByteReader& from) {
  FileTime time;
  time.seconds = static_cast<int64_t>(from.u64());
  time.nanoseconds = from.u32();
  if (time.nanoseconds >= kNanoseconds) from.fail("a time with too many nanoseconds");
  return time;
}

void put_list(ByteWriter& to, const std::vector<std::string>& list) {
  to.u32(static_cast<uint32_t>(list.size()));
  for (const std::string& each : list) put_words(to, each);
}

std::vector<std::string> list(ByteReader& from) {
  std::vector<std::string> list(count(from, 4 * kMaxFileSystems));
  for (std::string& each : list) each = words(from);
  return list;
}

void put_node(ByteWriter& to, const Node& node) {
  to.u8(static_cast<uint8_t>(node.kind));
  to.u64(node.id.tree);
  to.u64(node.id.number);
  to.u8(node.has_owner);
  to.u8(node.is_volume);
  for (uint32_t each : {node.mode, node.owner, node.group, node.link_count}) to.u32(each);
  to.u64(node.size);
  to.u64(node.stored);
  for (const FileTime* each : {&node.modified, &node.changed, &node.accessed, &node.born})
    put_time(to, *each);
  to.u32(node.device_major);
  to.u32(node.device_minor);
  to.string(node.target);
  to.u32(static_cast<uint32_t>(node.attributes.size()));
  for (const ExtendedAttribute& each : node.attributes) {
    to.string(each.name);
    to.string(each.value);
  }
}

Node node(ByteReader& from) {
  Node node;
  uint8_t kind = from.u8();
  if (kind >= kNodeKindCount) from.fail("an unknown kind of file");
  node.kind = static_cast<NodeKind>(kind);
  node.id.tree = from.u64();
  node.id.number = from.u64();
  node.has_owner = flag(from);
  node.is_volume = flag(from);
  node.mode = from.u32() & 07777;
  node.owner = from.u32();
  node.group = from.u32();
  node.link_count = from.u32();
  node.size = from.u64();
  if (node.size > INT64_MAX) from.fail("a file of more than 8 EiB");
  node.stored = from.u64();
  for (FileTime* each : {&node.modified, &node.changed, &node.accessed, &node.born})
    *each = time(from);
  node.device_major = from.u32();
  node.device_minor = from.u32();
  node.target = from.string(kMaxTarget);
  if (node.target.find('\0') != std::string::npos) from.fail("a link's target with a NUL");
  node.attributes.resize(count(from, kMaxAttributeCount));
  size_t total = 0;
  for (ExtendedAttribute& each : node.attributes) {
    each.name = from.string(512);
    each.value = from.string(kMaxAttribute);
    total += each.value.size();
    bool is_name = !each.name.empty() && each.name.find('\0') == std::string::npos &&
                   each.name.find('=') == std::string::npos;
    if (total > kMaxAttributes || !is_name) from.fail("impossible extended attributes");
  }
  return node;
}

}  // namespace

Bytes pack(const OpenRequest& request) {
  ByteWriter to = begin(MessageKind::open);
  to.u32(static_cast<uint32_t>(request.disks.size()));
  for (const OpenRequest::Disk& each : request.disks) {
    to.string(each.name);
    to.u64(each.size);
  }
  to.u32(static_cast<uint32_t>(request.keys.size()));
  for (const volumes::VolumeKey& each : request.keys) {
    to.string(each.name);
    to.string(base::as_text(each.secret));
  }
  return to.take();
}

Bytes pack(MessageKind kind, const PathRequest& request) {
  ByteWriter to = begin(kind);
  to.u32(request.file_system);
  to.string(request.path);
  to.u64(request.cursor);
  to.u64(request.limit);
  to.u8(request.id.has_value());
  to.u64(request.id.value_or(NodeId{}).tree);
  to.u64(request.id.value_or(NodeId{}).number);
  return to.take();
}

Bytes pack(const WalkRequest& request) {
  ByteWriter to = begin(MessageKind::walk);
  to.u32(request.file_system);
  to.string(request.path);
  to.u8(request.with_content);
  to.u8(request.links_once);
  to.string(request.pattern);
  to.u8(request.ignores_case);
  return to.take();
}

Bytes pack(const FoundFileSystems& found) {
  ByteWriter to = begin(MessageKind::found);
  to.u32(static_cast<uint32_t>(found.file_systems.size()));
  for (const FoundFileSystem& each : found.file_systems) {
    for (const std::string* text : {&each.name, &each.type, &each.origin, &each.label, &each.uuid})
      put_words(to, *text);
    to.u64(each.size);
    put_list(to, each.notes);
  }
  to.u32(static_cast<uint32_t>(found.unread.size()));
  for (const UnreadVolume& each : found.unread) {
    put_words(to, each.name);
    put_words(to, each.why);
    to.u8(each.needs_key);
  }
  put_list(to, found.notes);
  put_list(to, found.seen);
  return to.take();
}

Bytes pack(const Entry& entry) {
  ByteWriter to = begin(MessageKind::entry);
  to.string(entry.path);
  put_node(to, entry.node);
  return to.take();
}

Bytes pack(const std::vector<DataRange>& ranges) {
  ByteWriter to = begin(MessageKind::ranges);
  to.u32(static_cast<uint32_t>(ranges.size()));
  for (const DataRange& each : ranges) {
    to.u64(each.offset);
    to.u64(each.length);
  }
  return to.take();
}

Bytes pack_data(uint64_t offset, ByteView bytes) {
  ByteWriter to = begin(MessageKind::data);
  to.u64(offset);
  to.view(bytes);
  return to.take();
}

Bytes pack(MessageKind kind, const Problem& problem) {
  ByteWriter to = begin(kind);
  to.string(problem.path);
  put_words(to, problem.why);
  return to.take();
}

Bytes pack(const Progress& progress) {
  ByteWriter to = begin(MessageKind::progress);
  to.u64(progress.folder_count);
  to.u64(progress.file_count);
  return to.take();
}

Bytes pack(const End& end) {
  ByteWriter to = begin(MessageKind::end);
  to.u8(end.is_good);
  to.string(base::error_code_name(end.code));
  put_words(to, end.words);
  to.u64(end.cursor);
  to.u8(end.has_more);
  return to.take();
}

Bytes pack(const DiskRead& read) {
  ByteWriter to = begin(MessageKind::disk_read);
  to.u32(read.disk);
  to.u64(read.offset);
  to.u32(read.length);
  return to.take();
}

Bytes pack_disk_bytes(std::string_view problem, ByteView bytes) {
  ByteWriter to = begin(MessageKind::disk_bytes);
  put_words(to, problem);
  to.view(bytes);
  return to.take();
}

MessageKind kind_of(ByteView message) {
  return static_cast<MessageKind>(ByteReader(message, "a message about files").u8());
}

OpenRequest unpack_open(ByteView message) {
  ByteReader from = body_of(message);
  OpenRequest request;
  request.disks.resize(count(from, kMaxDisks));
  for (OpenRequest::Disk& each : request.disks) {
    each.name = from.string(255);
    each.size = from.u64();
  }
  request.keys.resize(count(from, volumes::kMaxKeys));
  for (volumes::VolumeKey& each : request.keys) {
    each.name = from.string(255);
    std::string secret = from.string(volumes::kMaxSecret);
    each.secret.assign(secret.begin(), secret.end());
  }
  from.expect_end();
  return request;
}

PathRequest unpack_path(ByteView message) {
  ByteReader from = body_of(message);
  PathRequest request;
  request.file_system = from.u32();
  request.path = from.string(kMaxPath);
  request.cursor = from.u64();
  request.limit = from.u64();
  bool has_id = flag(from);
  NodeId id{from.u64(), 0};
  id.number = from.u64();
  if (has_id) request.id = id;
  from.expect_end();
  return request;
}

WalkRequest unpack_walk(ByteView message) {
  ByteReader from = body_of(message);
  WalkRequest request;
  request.file_system = from.u32();
  request.path = from.string(kMaxPath);
  request.with_content = flag(from);
  request.links_once = flag(from);
  request.pattern = from.string(kMaxName);
  request.ignores_case = flag(from);
  from.expect_end();
  return request;
}

FoundFileSystems unpack_found(ByteView message) {
  ByteReader from = body_of(message);
  FoundFileSystems found;
  found.file_systems.resize(count(from, kMaxFileSystems));
  for (FoundFileSystem& each : found.file_systems) {
    for (std::string* text : {&each.name, &each.type, &each.origin, &each.label, &each.uuid})
      *text = words(from);
    if (each.name.empty() || each.name.find(":/") != std::string::npos)
      from.fail("a file system without a name");
    each.size = from.u64();
    each.notes = list(from);
  }
  found.unread.resize(count(from, 4 * kMaxFileSystems));
  for (UnreadVolume& each : found.unread) {
    each.name = words(from);
    each.why = words(from);
    each.needs_key = flag(from);
  }
  found.notes = list(from);
  found.seen = list(from);
  from.expect_end();
  return found;
}

Entry unpack_entry(ByteView message) {
  ByteReader from = body_of(message);
  Entry entry;
  entry.path = from.string(kMaxPath);
  entry.node = node(from);
  from.expect_end();
  return entry;
}

std::vector<DataRange> unpack_ranges(ByteView message) {
  ByteReader from = body_of(message);
  std::vector<DataRange> ranges(count(from, kMaxRanges));
  uint64_t end = 0;
  for (DataRange& each : ranges) {
    each.offset = from.u64();
    each.length = from.u64();
    if (each.offset < end || each.length == 0 || each.length > INT64_MAX ||
        each.offset > INT64_MAX - each.length)
      from.fail("ranges of data that overlap");
    end = each.offset + each.length;
  }
  from.expect_end();
  return ranges;
}

Data unpack_data(ByteView message) {
  ByteReader from = body_of(message);
  Data data;
  data.offset = from.u64();
  if (from.remaining() > kMaxDataPiece) from.fail("too many bytes");
  ByteView bytes = from.view(from.remaining());
  data.bytes.assign(bytes.begin(), bytes.end());
  return data;
}

Problem unpack_problem(ByteView message) {
  ByteReader from = body_of(message);
  Problem problem;
  problem.path = from.string(kMaxPath);
  problem.why = words(from);
  from.expect_end();
  return problem;
}

Progress unpack_progress(ByteView message) {
  ByteReader from = body_of(message);
  Progress progress;
  progress.folder_count = from.u64();
  progress.file_count = from.u64();
  from.expect_end();
  return progress;
}

End unpack_end(ByteView message) {
  ByteReader from = body_of(message);
  End end;
  end.is_good = flag(from);
  end.code = base::error_code_from_name(from.string(64));
  end.words = words(from);
  end.cursor = from.u64();
  end.has_more = flag(from);
  from.expect_end();
  return end;
}

DiskRead unpack_disk_read(ByteView message) {
  ByteReader from = body_of(message);
  DiskRead read;
  read.disk = from.u32();
  read.offset = from.u64();
  read.length = from.u32();
  if (read.length == 0 || read.length > kMaxDiskRead) from.fail("a read of an impossible size");
  from.expect_end();
  return read;
}

DiskBytes unpack_disk_bytes(ByteView message) {
  ByteReader from = body_of(message);
  DiskBytes answer;
  answer.problem = words(from);
  if (from.remaining() > kMaxDiskRead) from.fail("too many bytes");
  ByteView bytes = from.view(from.remaining());
  answer.bytes.assign(bytes.begin(), bytes.end());
  return answer;
}

}  // namespace images::files
