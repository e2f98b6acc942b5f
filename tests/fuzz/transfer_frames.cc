#include "tests/fuzz/transfer_frames.h"

#include "base/check.h"
#include "images/wire/read_format.h"

namespace tests {
namespace {

using base::Bytes;
using base::ByteView;
namespace wire = images::wire;

// What `decode` accepts, encoded, must be accepted again and be the same bytes.
template <typename Decode, typename Encode>
void round_trip(ByteView payload, Decode decode, Encode encode_value) {
  Bytes first = encode_value(decode(payload));
  Bytes second = encode_value(decode(ByteView(first).subspan(wire::kHeaderSize)));
  CHECK(first == second);
}

void decode_payload(wire::FrameType type, ByteView payload, uint16_t version) {
  auto encode_any = [](const auto& value) { return wire::encode(value); };
  auto encode_commit = [=](const auto& value) { return wire::encode(value, version); };
  // A decoder that asks for the version.
  auto spoken = [=](auto decode) { return [=](ByteView bytes) { return decode(bytes, version); }; };
  switch (type) {
    case wire::FrameType::hello: return round_trip(payload, wire::decode_hello, encode_any);
    case wire::FrameType::welcome: return round_trip(payload, wire::decode_welcome, encode_any);
    case wire::FrameType::query: return round_trip(payload, spoken(wire::decode_query), encode_any);
    case wire::FrameType::last_point:
      return round_trip(payload, spoken(wire::decode_last_point), encode_any);
    case wire::FrameType::open: return round_trip(payload, spoken(wire::decode_open), encode_any);
    case wire::FrameType::ready: return round_trip(payload, spoken(wire::decode_ready), encode_any);
    case wire::FrameType::offer: return round_trip(payload, wire::decode_offer, encode_any);
    case wire::FrameType::need: return round_trip(payload, wire::decode_need, encode_any);
    case wire::FrameType::data: return round_trip(payload, wire::decode_data, encode_any);
    case wire::FrameType::done: return round_trip(payload, wire::decode_done, wire::encode_done);
    case wire::FrameType::commit:
      return round_trip(payload, spoken(wire::decode_commit), encode_commit);
    case wire::FrameType::committed:
      return round_trip(payload, spoken(wire::decode_committed), encode_any);
    case wire::FrameType::error: return round_trip(payload, wire::decode_error, encode_any);
    case wire::FrameType::list_points:
      return round_trip(payload, wire::decode_list_points, encode_any);
    case wire::FrameType::points: return round_trip(payload, wire::decode_points, encode_any);
    case wire::FrameType::read_point:
      return round_trip(payload, wire::decode_read_point, encode_any);
    case wire::FrameType::point: return round_trip(payload, wire::decode_point, encode_any);
    case wire::FrameType::list_chunks:
      return round_trip(payload, wire::decode_list_chunks, encode_any);
    case wire::FrameType::chunks: return round_trip(payload, wire::decode_chunks, encode_any);
    case wire::FrameType::get_chunks:
      return round_trip(payload, wire::decode_get_chunks, encode_any);
    case wire::FrameType::list_changes:
      return round_trip(payload, wire::decode_list_changes, encode_any);
    case wire::FrameType::changes: return round_trip(payload, wire::decode_changes, encode_any);
    case wire::FrameType::ping:
    case wire::FrameType::pong: return;
  }
}

bool try_payload(wire::FrameType type, ByteView payload, uint16_t version) {
  try {
    decode_payload(type, payload, version);
    return true;
  } catch (const base::Error&) {
    return false;
  }
}

}  // namespace

void decode_frames(ByteView input, FrameStatistics& statistics) {
  while (input.size() >= wire::kHeaderSize) {
    try {
      std::array<uint8_t, wire::kHeaderSize> bytes;
      std::copy_n(input.begin(), bytes.size(), bytes.begin());
      wire::FrameHeader header = wire::decode_header(bytes);
      input = input.subspan(bytes.size());
      ByteView payload = input.first(std::min<size_t>(header.size, input.size()));
      input = input.subspan(payload.size());
      bool decoded = false;
      for (uint16_t version = wire::kOldestVersion; version <= wire::kVersion; ++version)
        decoded = try_payload(header.type, payload, version) || decoded;
      if (!decoded) throw base::Error(base::ErrorCode::corrupt, "no message of any version");
      ++statistics.decoded;
    } catch (const base::Error&) {
      ++statistics.refused;
      return;  // a session ends at the first frame that is none
    }
  }
}

}  // namespace tests
