#include "tests/fuzz/fuzz_targets.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string_view>

#include "base/error.h"
#include "base/memory_file_system.h"
#include "base/unique_fd.h"
#include "images/codec.h"
#include "images/format/boot_trace_format.h"
#include "images/format/index_format.h"
#include "images/point_fields.h"
#include "images/point_json.h"
#include "images/sources/image_headers.h"
#include "images/store/pack_appender.h"
#include "images/store/pack_scanner.h"
#include "images/store/place/layout.h"
#include "images/store/place/local_place.h"
#include "images/store/record_codec.h"
#include "tests/images/format/format_samples.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;
using Decode = std::function<void(ByteView)>;

void decode_quietly(const Decode& decode, ByteView bytes) {
  try {
    decode(bytes);
  } catch (const base::Error&) {
  }
}

Decode plainly(Decode decode) {
  return [decode](ByteView bytes) { decode_quietly(decode, bytes); };
}

// As it is, and with a right XXH3-64 of all before in its last eight bytes.
Decode with_checksum64(Decode decode) {
  return [decode](ByteView bytes) {
    decode_quietly(decode, bytes);
    if (bytes.size() < 8) return;
    Bytes mended(bytes.begin(), bytes.end());
    base::store_u64(mended.data() + mended.size() - 8,
                    base::checksum64(bytes.first(bytes.size() - 8)));
    decode_quietly(decode, mended);
  };
}

// As it is, and with the right low half of XXH3-64 of `key` and all before in its last four bytes.
Decode with_checksum32(Bytes key, Decode decode) {
  return [key, decode](ByteView bytes) {
    decode_quietly(decode, bytes);
    if (bytes.size() < 4) return;
    Bytes mended(bytes.begin(), bytes.end()), covered = key;
    covered.insert(covered.end(), bytes.begin(), bytes.end() - 4);
    base::store_u32(mended.data() + mended.size() - 4,
                    static_cast<uint32_t>(base::checksum64(covered)));
    decode_quietly(decode, mended);
  };
}

Bytes sample_pack() {
  RecordCodec codec({samples::id<StoreId>(1), 4096, 64, false}, {});
  Bytes pack = format::encode_pack_header(samples::id<StoreId>(1), samples::id<PackId>(2));
  std::vector<format::DirectoryEntry> entries;
  auto add = [&](const Record& record) {
    entries.push_back({record.header.kind, static_cast<uint32_t>(pack.size()),
                       record.header.stored_size, record.header.id});
    format::encode_record_header(record.header, pack);
    pack.insert(pack.end(), record.stored.begin(), record.stored.end());
  };
  add(codec.seal_chunk(samples::id<ChunkId>(3), ChunkEncoder(1).encode(Bytes(4096, 7))));
  add(codec.seal_node(samples::id<ChunkId>(4), format::encode_node(samples::node())));
  Bytes tail = encode_pack_tail(pack.size(), entries);
  pack.insert(pack.end(), tail.begin(), tail.end());
  return pack;
}

void scan(ByteView bytes) {
  base::MemoryFileSystem files;
  auto store = samples::id<StoreId>(1);
  auto pack = samples::id<PackId>(2);
  for (const std::string& folder :
       {std::string("/s"), std::string("/s/packs"), layout::pack_shard("/s", pack)}) {
    files.make_directory(folder);
  }
  files.create(layout::pack_file("/s", pack))->append(bytes);
  for (ScanDepth depth : {ScanDepth::directory, ScanDepth::every_record}) {
    for (const auto& record :
         scan_pack(local_place(files, "/s")->blobs(), store, pack, depth).records) {
      if (record.offset + format::kRecordHeaderSize + record.stored_size > bytes.size())
        std::abort();
    }
  }
}

void open_records(ByteView bytes) {
  RecordCodec codec({samples::id<StoreId>(1), 4096, 64, false}, {});
  if (bytes.size() < format::kRecordHeaderSize) return;
  format::RecordHeader header = samples::record_header();
  if (auto decoded = format::decode_record_header(bytes.first(format::kRecordHeaderSize)))
    header = *decoded;
  ByteView stored = bytes.subspan(format::kRecordHeaderSize);
  header.cipher = format::Cipher::none;
  header.stored_size = static_cast<uint32_t>(stored.size());
  header.checksum = base::checksum64(stored);
  Bytes plain(4096);
  decode_quietly([&](ByteView b) { codec.open_chunk(header, b, plain); }, stored);
  header.kind = format::RecordKind::node;
  header.codec = Codec::raw;
  decode_quietly([&](ByteView b) { codec.open_node(header, b); }, stored);
}

Bytes sample_record(const Record& record) {
  Bytes bytes;
  format::encode_record_header(record.header, bytes);
  bytes.insert(bytes.end(), record.stored.begin(), record.stored.end());
  return bytes;
}

std::vector<FuzzTarget> file_targets() {
  auto store = samples::id<StoreId>(1);
  auto pack = samples::id<PackId>(2);
  Bytes record_header;
  format::encode_record_header(samples::record_header(), record_header);
  RecordCodec codec({store, 4096, 64, false}, {});
  return {
      {"parameters",
       with_checksum64([](ByteView b) { format::decode_parameters(b); }),
       {format::encode_parameters(samples::parameters())}},
      {"key_file",
       with_checksum64([](ByteView b) { format::decode_wrapped_key(b); }),
       {format::encode_wrapped_key(samples::wrapped_key())}},
      {"pack_header",
       with_checksum64([=](ByteView b) { format::check_pack_header(b, store, pack); }),
       {format::encode_pack_header(store, pack)}},
      {"pack_footer",
       with_checksum64([](ByteView b) { format::decode_pack_footer(b); }),
       {format::encode_pack_footer(500)}},
      {"record_header",
       with_checksum32({}, [](ByteView b) { format::decode_record_header(b); }),
       {record_header}},
      {"record",
       plainly(open_records),
       {sample_record(
            codec.seal_chunk(samples::id<ChunkId>(3), ChunkEncoder(1).encode(Bytes(4096, 7)))),
        sample_record(
            codec.seal_node(samples::id<ChunkId>(4), format::encode_node(samples::node())))}},
      {"directory",
       plainly([](ByteView b) { format::decode_directory(b); }),
       {format::encode_directory(samples::directory())}},
      {"pack", plainly(scan), {sample_pack()}},
      {"node",
       plainly([](ByteView b) {
         for (uint32_t fanout : {16u, 64u, 256u})
           decode_quietly([=](ByteView c) { format::decode_node(c, fanout); }, b);
       }),
       {format::encode_node(samples::node())}},
      {"manifest",
       with_checksum64([](ByteView b) {
         format::decode_public_manifest(b);
         format::decode_manifest(b, samples::key());
       }),
       {format::encode_manifest(samples::point(), {}),
        format::encode_manifest(samples::point(), samples::key())}},
      {"boot_trace",
       with_checksum64([](ByteView b) { format::decode_trace(b); }),
       {format::encode_trace({.chunk_size = 65536,
                              .disks = {"vda", "vdb"},
                              .entries = {{0, 3, 0}, {1, 1ull << 20, 40}}})}},
      {"point_fields",
       plainly([](ByteView b) {
         decode_quietly([](ByteView c) { decode_commit_fields(c, "a test"); }, b);
         decode_lineage(b, "a test");
       }),
       {encode_lineage(samples::lineage()),
        encode_commit_fields(samples::lineage(), FirstDates{1, 2, true, false})}},
      {"point_details",
       plainly([](ByteView b) {
         decode_quietly([](ByteView c) { decode_details(c); }, b);
         decode_point_details(b);
       }),
       {encode_point_details(samples::point()), encode_details({})}},
  };
}

std::vector<FuzzTarget> index_targets() {
  auto id = samples::id<ChunkId>(9);
  PackEntry pack{samples::id<PackId>(2), 1000, 900, true};
  Bytes name(base::as_bytes("epoch").begin(), base::as_bytes("epoch").end());
  return {
      {"index_chunk",
       with_checksum32({id.bytes.begin(), id.bytes.end()},
                       [=](ByteView b) { index_format::decode_chunk(id, b); }),
       {index_format::encode_chunk(id, samples::chunk_entry())}},
      {"index_pack",
       with_checksum32({7, 0, 0, 0}, [](ByteView b) { index_format::decode_pack(7, b); }),
       {index_format::encode_pack(7, pack)}},
      {"index_point",
       with_checksum32({}, [](ByteView b) { index_format::decode_point(b); }),
       {index_format::encode_point(samples::public_manifest())}},
      {"index_change",
       with_checksum32({}, [](ByteView b) { index_format::decode_change(b); }),
       {index_format::encode_change(samples::change())}},
      {"index_number",
       with_checksum32(name, [](ByteView b) { index_format::decode_number("epoch", b); }),
       {index_format::encode_number("epoch", 5)}},
  };
}

// Headers of image files: what a guest or a stranger wrote, read by a process with all rights.
Bytes image_header(std::initializer_list<std::pair<size_t, std::string_view>> parts) {
  Bytes bytes(1024);
  for (const auto& [offset, text] : parts)
    std::copy(text.begin(), text.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
  return bytes;
}

std::vector<FuzzTarget> image_targets() {
  using namespace std::string_view_literals;
  auto read_as = [](const std::string& format) {
    return plainly([format](ByteView bytes) {
      base::UniqueFd file(::memfd_create("image", MFD_CLOEXEC));
      if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return;
      image_format_it_looks_like(file.get());
      read_references({file.get()}, format, "image");
    });
  };
  Bytes qcow2 = image_header({{0, "QFI\xfb\0\0\0\3"sv},
                              {8, "\0\0\0\0\0\0\1\0\0\0\0\4\0\0\0\x10"sv},
                              {72, "\0\0\0\0\0\0\0\4"sv},
                              {100, "\0\0\0\x68\xe2\x79\x2a\xca\0\0\0\3raw"sv},
                              {120, "\x44\x41\x54\x41\0\0\0\4data"sv},
                              {256, "base"}});
  Bytes qcow =
      image_header({{0, "QFI\xfb\0\0\0\1"sv}, {8, "\0\0\0\0\0\0\1\0\0\0\0\4"sv}, {256, "base"}});
  Bytes vmdk = image_header({{0,
                              "# Disk DescriptorFile\nparentFileNameHint=\"a\"\n"
                              "RW 8 FLAT \"b\" 0\nRW 8 SPARSE \"c\"\n"}});
  Bytes sparse = image_header({{0, "KDMV\1"},
                               {28, "\1\0\0\0\0\0\0\0\1"sv},
                               {512, "parentFileNameHint=\"a\"\nRW 8 FLAT \"b\" 0\n"}});
  Bytes qed = image_header({{0, "QED\0"sv}, {16, "\5"}, {56, "\x80\0\0\0\4"sv}, {128, "base"}});
  Bytes vhd = image_header({{0, "conectix"}, {22, "\2"}, {63, "\4"}, {577, "b"}});
  return {{"image_qcow2", read_as("qcow2"), {qcow2}},
          {"image_qcow", read_as("qcow"), {qcow}},
          {"image_vmdk", read_as("vmdk"), {vmdk, sparse}},
          {"image_qed", read_as("qed"), {qed}},
          {"image_vhd", read_as("vpc"), {vhd}}};
}

}  // namespace

std::vector<FuzzTarget> fuzz_targets() {
  std::vector<FuzzTarget> targets = file_targets();
  for (FuzzTarget& target : image_targets()) targets.push_back(std::move(target));
  for (FuzzTarget& target : index_targets()) targets.push_back(std::move(target));
  return targets;
}

}  // namespace images
