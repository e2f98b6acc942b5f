// Golden bytes: each record of docs/format.md as it was written once. A change here is a new format
// version.
#include <catch2/catch.hpp>

#include <functional>
#include <optional>
#include <set>

#include "base/error.h"
#include "images/format/index_format.h"
#include "images/format/store_format.h"
#include "images/point_json.h"
#include "images/store/record_codec.h"
#include "tests/images/format/format_samples.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;
using base::to_hex;

bool is_corrupt(const std::function<void()>& decode) {
  try {
    decode();
  } catch (const base::Error& error) {
    return error.code() == base::ErrorCode::corrupt || error.code() == base::ErrorCode::unsupported;
  }
  return false;
}

// A record's bytes must be refused when they are cut anywhere, and when any bit is flipped.
void expect_watched(const Bytes& bytes, const std::function<void(ByteView)>& decode) {
  decode(bytes);
  for (size_t size = 0; size < bytes.size(); ++size) {
    if (!is_corrupt([&] { decode(ByteView(bytes).first(size)); }))
      FAIL_CHECK("cut to " << size << " bytes");
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes changed = bytes;
    changed[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    if (!is_corrupt([&] { decode(changed); })) FAIL_CHECK("bit " << bit << " is not watched");
  }
}

// For what answers with nothing instead of an error.
template <typename Decoded>
Decoded or_corrupt(std::optional<Decoded> decoded) {
  if (!decoded) throw base::Error(base::ErrorCode::corrupt, "nothing");
  return *decoded;
}

}  // namespace

TEST_CASE("format: the format file") {
  format::StoreParameters parameters = samples::parameters();
  Bytes bytes = format::encode_parameters(parameters);
  CHECK(to_hex(bytes) ==
        "4d554c53544f524502000000010000000102030405060708090a0b0c0d0e0f1000000100400000000298dd565d"
        "bf7edf");
  auto decoded = format::decode_parameters(bytes);
  CHECK(decoded.version == format::kStoreVersion);
  CHECK(decoded.id == parameters.id);
  CHECK(decoded.chunk_size == parameters.chunk_size);
  CHECK(decoded.fanout == parameters.fanout);
  CHECK(decoded.encrypted == parameters.encrypted);
  expect_watched(bytes, [](ByteView b) { format::decode_parameters(b); });
  parameters.version = 1;
  bytes = format::encode_parameters(parameters);
  CHECK(to_hex(bytes) ==
        "4d554c53544f524501000000010000000102030405060708090a0b0c0d0e0f100000010040000000179d418fb8"
        "01669c");
  CHECK(format::decode_parameters(bytes).version == 1);
}

TEST_CASE("format: the key file") {
  format::WrappedKey key = samples::wrapped_key();
  Bytes bytes = format::encode_wrapped_key(key);
  CHECK(to_hex(bytes) ==
        "4d554c4b4559533101000000100000000a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526"
        "272829"
        "32333435363738393a3b3c3d464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60616263646566"
        "676869"
        "6a6b6c6d6e6f707172737475fe6340b52ebd50cb");
  auto decoded = format::decode_wrapped_key(bytes);
  CHECK(decoded.derivation == key.derivation);
  CHECK(decoded.scrypt_log2_n == key.scrypt_log2_n);
  CHECK(decoded.salt == key.salt);
  CHECK(decoded.nonce == key.nonce);
  CHECK(decoded.sealed == key.sealed);
  expect_watched(bytes, [](ByteView b) { format::decode_wrapped_key(b); });
}

TEST_CASE("format: a pack's header and footer") {
  auto store = samples::id<StoreId>(1);
  auto pack = samples::id<PackId>(2);
  Bytes bytes = format::encode_pack_header(store, pack);
  CHECK(to_hex(bytes) ==
        "4d554c5041434b3101000000000000000102030405060708090a0b0c0d0e0f1002030405060708090a0b0c0d0e"
        "0f1011"
        "00000000000000001eef1007600cd224");
  expect_watched(bytes, [&](ByteView b) { format::check_pack_header(b, store, pack); });
  CHECK(is_corrupt([&] { format::check_pack_header(bytes, store, samples::id<PackId>(3)); }));
  CHECK(is_corrupt([&] { format::check_pack_header(bytes, samples::id<StoreId>(3), pack); }));
  Bytes footer = format::encode_pack_footer(0x123456);
  CHECK(to_hex(footer) == "4d554c5345414c315634120000000000bad8df4306670069");
  CHECK(format::decode_pack_footer(footer) == std::optional<uint64_t>(0x123456));
  expect_watched(footer, [](ByteView b) { or_corrupt(format::decode_pack_footer(b)); });
}

TEST_CASE("format: a record's header") {
  format::RecordHeader header = samples::record_header();
  Bytes bytes;
  format::encode_record_header(header, bytes);
  CHECK(to_hex(bytes) ==
        "4d55524301010100d204000000000100090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425"
        "262728"
        "c8c9cacbcccdcecfd0d1d2d3efcdab8967452301dcd41039");
  auto decoded = or_corrupt(format::decode_record_header(bytes));
  CHECK(decoded.kind == header.kind);
  CHECK(decoded.codec == header.codec);
  CHECK(decoded.cipher == header.cipher);
  CHECK(decoded.stored_size == header.stored_size);
  CHECK(decoded.plain_size == header.plain_size);
  CHECK(decoded.id == header.id);
  CHECK(decoded.nonce == header.nonce);
  CHECK(decoded.checksum == header.checksum);
  expect_watched(bytes, [](ByteView b) { or_corrupt(format::decode_record_header(b)); });
  CHECK(to_hex(format::record_associated_data(header)) ==
        "0101d204000000000100090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728");
}

TEST_CASE("format: a pack's directory") {
  auto entries = samples::directory();
  Bytes bytes = format::encode_directory(entries);
  CHECK(to_hex(bytes) ==
        "010000004000000064000000090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526272802"
        "000000"
        "ec000000300000000a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526272829");
  CHECK(format::decode_directory(bytes) == entries);
  CHECK(format::decode_directory({}).empty());
  CHECK(is_corrupt([&] { format::decode_directory(ByteView(bytes).first(bytes.size() - 1)); }));
}

TEST_CASE("format: a tree node") {
  format::Node node = samples::node();
  Bytes bytes = format::encode_node(node);
  CHECK(to_hex(bytes) ==
        "4d4e4f440300000001000200000000800102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d"
        "1e1f20"
        "02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021030405060708090a0b0c0d0e0f"
        "101112"
        "131415161718191a1b1c1d1e1f202122");
  auto decoded = format::decode_node(bytes, 64);
  CHECK(decoded.level == node.level);
  CHECK(decoded.children == node.children);
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK(is_corrupt([&] { format::decode_node(ByteView(bytes).first(size), 64); }));
  }
  CHECK(is_corrupt([&] { format::decode_node(bytes, 128); }));
}

// Of samples::point(), as version 1 had it.
constexpr std::string_view kManifestOfVersion1 =
    "4d554c504f494e540100000000000000030405060708090a0b0c0d0e0f1011120405060708090a0b0c0d0e0f10"
    "111213"
    "005e56eea10100000100000002000000060708090a0b0c0d0e0f101112131415000000000a0000000506070809"
    "0a0b0c"
    "0d0e0f101112131415161718191a1b1c1d1e1f20212223240708090a0b0c0d0e0f101112131415160002000000"
    "000000"
    "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000088"
    "010000"
    "7b22646566696e6974696f6e223a7b226370755f636f756e74223a342c226669726d77617265223a2275656669"
    "222c22"
    "6c6962766972745f786d6c223a223c646f6d61696e2f3e222c226d656d6f72795f73697a65223a383538393933"
    "343539"
    "322c226e6574776f726b5f6361726473223a5b7b226d6163223a2235323a35343a30303a31323a33343a353622"
    "2c226d"
    "6f64656c223a2276697274696f222c226e6574776f726b223a226c616e227d5d2c2273746174655f66696c6573"
    "223a5b"
    "7b22686578223a22303130323033222c226e616d65223a2276617273227d5d7d2c226469736b73223a5b227664"
    "61222c"
    "22766462225d2c2266696775726573223a7b2262797465735f72656164223a312c2262797465735f73656e7422"
    "3a322c"
    "2262797465735f73746f726564223a332c226475726174696f6e5f6d73223a342c2266726f7a656e5f6d73223a"
    "357d2c"
    "22686f7374223a226b766d31222c226d616368696e65223a226163636f756e74696e67222c226e6f7465223a22"
    "66756c"
    "6c2072656164227d437c79f54e014b6e";

// And as version 2 had it: without fields.
constexpr std::string_view kManifestOfVersion2 =
    "4d554c504f494e540200000002000000030405060708090a0b0c0d0e0f1011120405060708090a0b0c0d0e0f"
    "10111213005e56eea1010000645e56eea1010000c85e56eea10100000100000002000000060708090a0b0c0d"
    "0e0f101112131415000000000a00000005060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
    "212223240708090a0b0c0d0e0f10111213141516000200000000000000000000000000000000000000000000"
    "00000000000000000000000000000000000000000000000000000000880100007b22646566696e6974696f6e"
    "223a7b226370755f636f756e74223a342c226669726d77617265223a2275656669222c226c6962766972745f"
    "786d6c223a223c646f6d61696e2f3e222c226d656d6f72795f73697a65223a383538393933343539322c226e"
    "6574776f726b5f6361726473223a5b7b226d6163223a2235323a35343a30303a31323a33343a3536222c226d"
    "6f64656c223a2276697274696f222c226e6574776f726b223a226c616e227d5d2c2273746174655f66696c65"
    "73223a5b7b22686578223a22303130323033222c226e616d65223a2276617273227d5d7d2c226469736b7322"
    "3a5b22766461222c22766462225d2c2266696775726573223a7b2262797465735f72656164223a312c226279"
    "7465735f73656e74223a322c2262797465735f73746f726564223a332c226475726174696f6e5f6d73223a34"
    "2c2266726f7a656e5f6d73223a357d2c22686f7374223a226b766d31222c226d616368696e65223a22616363"
    "6f756e74696e67222c226e6f7465223a2266756c6c2072656164227d6a83389cff35cab8";

TEST_CASE("format: a manifest, open and sealed") {
  Point point = samples::point();
  Bytes bytes = format::encode_manifest(point, {});
  CHECK(to_hex(bytes) ==
        "4d554c504f494e540300000002000000030405060708090a0b0c0d0e0f1011120405060708090a0b0c0d0e0f"
        "10111213005e56eea1010000645e56eea1010000c85e56eea10100000100000002000000060708090a0b0c0d"
        "0e0f101112131415000000000a00000005060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
        "212223240708090a0b0c0d0e0f10111213141516000200000000000000000000000000000000000000000000"
        "000000000000000000000000000000003c000000010010000000505152535455565758595a5b5c5d5e5f0200"
        "200000006e6f707172737475767778797a7b7c7d030405060708090a0b0c0d0e0f1011120000000000000000"
        "00000000880100007b22646566696e6974696f6e223a7b226370755f636f756e74223a342c226669726d7761"
        "7265223a2275656669222c226c6962766972745f786d6c223a223c646f6d61696e2f3e222c226d656d6f7279"
        "5f73697a65223a383538393933343539322c226e6574776f726b5f6361726473223a5b7b226d6163223a2235"
        "323a35343a30303a31323a33343a3536222c226d6f64656c223a2276697274696f222c226e6574776f726b22"
        "3a226c616e227d5d2c2273746174655f66696c6573223a5b7b22686578223a22303130323033222c226e616d"
        "65223a2276617273227d5d7d2c226469736b73223a5b22766461222c22766462225d2c226669677572657322"
        "3a7b2262797465735f72656164223a312c2262797465735f73656e74223a322c2262797465735f73746f7265"
        "64223a332c226475726174696f6e5f6d73223a342c2266726f7a656e5f6d73223a357d2c22686f7374223a22"
        "6b766d31222c226d616368696e65223a226163636f756e74696e67222c226e6f7465223a2266756c6c207265"
        "6164227d"
        "ebe28c0524c31ac2");
  // What older programs wrote has one time, the host's.
  Point old = format::decode_manifest(
      base::from_hex(kManifestOfVersion1, kManifestOfVersion1.size() / 2), {});
  CHECK(encode_point_details(old) == encode_point_details(point));
  CHECK(old.time_ms == point.time_ms);
  CHECK(old.dates == format::dates_of_version_1(point.time_ms));
  CHECK(old.dates.dated_by_host);
  CHECK(old.lineage == PointLineage{});
  old = format::decode_manifest(base::from_hex(kManifestOfVersion2, kManifestOfVersion2.size() / 2),
                                {});
  CHECK(encode_point_details(old) == encode_point_details(point));
  CHECK(old.dates == point.dates);
  CHECK(old.lineage == PointLineage{});
  for (const auto& key : {std::optional<base::Key256>{}, std::optional(samples::key())}) {
    Bytes written = format::encode_manifest(point, key);
    Point read = format::decode_manifest(written, key);
    CHECK(encode_point_details(read) == encode_point_details(point));
    CHECK(read.id == point.id);
    CHECK(read.machine == point.machine);
    CHECK(read.time_ms == point.time_ms);
    CHECK(read.dates == point.dates);
    CHECK(format::decode_public_manifest(written).dates == point.dates);
    CHECK(read.lineage == point.lineage);
    CHECK(format::decode_public_manifest(written).lineage == point.lineage);
    CHECK(read.consistency == point.consistency);
    REQUIRE(read.disks.size() == 2);
    CHECK(read.disks[1].name == "vdb");
    CHECK(read.disks[1].root == point.disks[1].root);
    CHECK(format::decode_public_manifest(written).disks[0].size == point.disks[0].size);
    expect_watched(written, [&](ByteView b) { format::decode_public_manifest(b); });
  }
  Bytes sealed = format::encode_manifest(point, samples::key());
  CHECK(base::as_text(sealed).find("accounting") == std::string_view::npos);
  auto code_of = [&](const std::optional<base::Key256>& key) {
    try {
      format::decode_manifest(sealed, key);
    } catch (const base::Error& error) {
      return error.code();
    }
    return base::ErrorCode::io;
  };
  CHECK(code_of({}) == base::ErrorCode::unauthorized);
  CHECK(code_of(base::Key256{}) == base::ErrorCode::unauthorized);
  CHECK(format::encode_manifest(point, samples::key()) != sealed);  // a fresh nonce each time
}

constexpr std::string_view kIndexPointOfBefore =
    "030405060708090a0b0c0d0e0f1011120405060708090a0b0c0d0e0f10111213005e56eea101000002000000"
    "01000000060708090a0b0c0d0e0f101112131415000000000a00000005060708090a0b0c0d0e0f1011121314"
    "15161718191a1b1c1d1e1f20212223242eba186d";
constexpr std::string_view kIndexChangeOfBefore =
    "02030405060708090a0b0c0d0e0f1011120405060708090a0b0c0d0e0f10111213005e56eea1010000020000"
    "0001000000060708090a0b0c0d0e0f101112131415000000000a00000005060708090a0b0c0d0e0f10111213"
    "1415161718191a1b1c1d1e1f202122232401000000060708090a0b0c0d0e0f101112131415000000000a0000"
    "0005060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223240000000000000100000000"
    "0038db8323";

TEST_CASE("format: the index's values") {
  auto id = samples::id<ChunkId>(9);
  ChunkEntry entry = samples::chunk_entry();
  Bytes bytes = index_format::encode_chunk(id, entry);
  CHECK(to_hex(bytes) == "0700000040000000d2040000030000000200000000000000020100001b686e6c");
  CHECK(index_format::decode_chunk(id, bytes) == entry);
  expect_watched(bytes, [&](ByteView b) { index_format::decode_chunk(id, b); });
  CHECK(is_corrupt([&] { index_format::decode_chunk(samples::id<ChunkId>(8), bytes); }));

  PackEntry pack{samples::id<PackId>(2), 1000, 900, true};
  bytes = index_format::encode_pack(7, pack);
  CHECK(to_hex(bytes) ==
        "02030405060708090a0b0c0d0e0f1011e803000000000000840300000000000001000000d1c4a83a");
  CHECK(index_format::decode_pack(7, bytes) == pack);
  expect_watched(bytes, [](ByteView b) { index_format::decode_pack(7, b); });
  CHECK(is_corrupt([&] { index_format::decode_pack(8, bytes); }));

  bytes = index_format::encode_point(samples::public_manifest());
  CHECK(to_hex(bytes) ==
        "030405060708090a0b0c0d0e0f1011120405060708090a0b0c0d0e0f10111213005e56eea101000002000000"
        "01000000060708090a0b0c0d0e0f101112131415000000000a00000005060708090a0b0c0d0e0f1011121314"
        "15161718191a1b1c1d1e1f2021222324645e56eea1010000c85e56eea101000002000000"
        "3c000000010010000000505152535455565758595a5b5c5d5e5f0200200000006e6f70717273747576777879"
        "7a7b7c7d030405060708090a0b0c0d0e0f101112"
        "1996dfa6");
  expect_watched(bytes, [](ByteView b) { index_format::decode_point(b); });
  CHECK(index_format::decode_point(bytes).dates == samples::public_manifest().dates);
  CHECK(index_format::decode_point(bytes).lineage == samples::lineage());

  bytes = index_format::encode_change(samples::change());
  CHECK(to_hex(bytes) ==
        "02030405060708090a0b0c0d0e0f1011120405060708090a0b0c0d0e0f10111213005e56eea1010000020000"
        "0001000000060708090a0b0c0d0e0f101112131415000000000a00000005060708090a0b0c0d0e0f10111213"
        "1415161718191a1b1c1d1e1f202122232401000000060708090a0b0c0d0e0f101112131415000000000a0000"
        "0005060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223240000000000000100000000"
        "00645e56eea1010000c85e56eea101000002000000"
        "3c000000010010000000505152535455565758595a5b5c5d5e5f0200200000006e6f70717273747576777879"
        "7a7b7c7d030405060708090a0b0c0d0e0f101112"
        "3eb0fa35");
  CHECK(index_format::decode_change(bytes).applied == samples::change().applied);
  CHECK(index_format::decode_change(bytes).point.lineage == samples::lineage());
  expect_watched(bytes, [](ByteView b) { index_format::decode_change(b); });

  // Of points that say nothing of where they come from, as they were before points could.
  format::PublicManifest alone = samples::public_manifest();
  alone.lineage = {};
  CHECK(to_hex(index_format::encode_point(alone)) ==
        "030405060708090a0b0c0d0e0f1011120405060708090a0b0c0d0e0f10111213005e56eea101000002000000"
        "01000000060708090a0b0c0d0e0f101112131415000000000a00000005060708090a0b0c0d0e0f1011121314"
        "15161718191a1b1c1d1e1f2021222324645e56eea1010000c85e56eea101000002000000fb4f2fa1");
  CHECK(index_format::decode_point(index_format::encode_point(alone)).lineage == PointLineage{});

  // Rows of before points had two times.
  auto dates = format::dates_of_version_1(samples::public_manifest().time_ms);
  auto row = [](std::string_view digits) { return base::from_hex(digits, digits.size() / 2); };
  CHECK(index_format::decode_point(row(kIndexPointOfBefore)).dates == dates);
  CHECK(index_format::decode_change(row(kIndexChangeOfBefore)).point.dates == dates);

  bytes = index_format::encode_number("epoch", 77);
  CHECK(to_hex(bytes) == "4d000000000000009801a0f8");
  CHECK(index_format::decode_number("epoch", bytes) == 77);
  expect_watched(bytes, [](ByteView b) { index_format::decode_number("epoch", b); });
  format::PublicManifest place = samples::public_manifest();
  place.dates.order = 0x0102030405;
  CHECK(to_hex(index_format::timeline_key(place)) ==
        "0405060708090a0b0c0d0e0f101112130000000102030405030405060708090a0b0c0d0e0f101112");
}

TEST_CASE("each record of one chunk has a nonce of its own, and none opens under another id") {
  format::StoreParameters parameters = samples::parameters();
  parameters.encrypted = true;
  parameters.chunk_size = 4096;
  RecordCodec codec(parameters, StoreKeys{samples::key(), samples::key(), samples::key()});
  std::set<base::GcmNonce> nonces;
  Bytes content(4096, 5);
  EncodedChunk chunk{Codec::raw, content};
  for (int i = 0; i < 1000; ++i)
    nonces.insert(codec.seal_chunk(samples::id<ChunkId>(1), chunk).header.nonce);
  CHECK(nonces.size() == 1000);
  Record record = codec.seal_chunk(samples::id<ChunkId>(1), chunk);
  Bytes plain(4096);
  codec.open_chunk(record.header, record.stored, plain);
  CHECK(plain == content);
  record.header.id = samples::id<ChunkId>(2);
  CHECK(is_corrupt([&] { codec.open_chunk(record.header, record.stored, plain); }));
}

}  // namespace images
