// The bytes of a point's disk over HTTPS: in ranges, and never more of it in memory than one piece.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "appliance/api/http/byte_range.h"
#include "appliance/api/routes/restore_routes.h"
#include "base/digest.h"
#include "base/error.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr uint64_t kPieceSize = 1 << 20;
// Of one answer with a checksum or extents: a handler's thread is busy for a second or two.
constexpr uint64_t kMaxAskedSize = 1ull << 30;

// An open disk keeps its store open.
struct OpenDisk {
  std::shared_ptr<images::StoreWriter> store;
  std::shared_ptr<images::DiskReader> reader;
};

OpenDisk open_disk(Services& services, const Request& request) {
  OpenDisk disk;
  disk.store = services.stores.writer(request.tenant());
  images::StoreReader& store = disk.store->reader();
  images::PointId point = store.find_point(request.path_value("point"));
  disk.reader = store.open_disk(point, request.path_value("disk"));
  return disk;
}

// ?offset= and ?length=; by default the whole, but at most `max`.
ByteRange asked_range(const Request& request, uint64_t size, uint64_t max) {
  ByteRange range;
  range.offset = request.query_number("offset", 0, size);
  uint64_t rest = size - range.offset;
  range.length = request.query_number("length", std::min(rest, max), max);
  range.length = std::min(range.length, rest);
  return range;
}

Response not_satisfiable(uint64_t size) {
  Response response = json_response(
      {{"error",
        {{"code", "invalid_argument"},
         {"message",
          fmt::format("the range lies outside of the disk, which has {} bytes", size)}}}},
      416);
  response.headers["Content-Range"] = fmt::format("bytes */{}", size);
  return response;
}

Response show_raw(Services& services, const Request& request) {
  OpenDisk disk = open_disk(services, request);
  const uint64_t size = disk.reader->size();
  ByteRange range = asked_range(request, size, UINT64_MAX);
  Response response;
  bool is_part = false;  // an answer to ?offset= is whole in itself
  ByteRange asked;
  RangeResult result = parse_range(request.range, size, asked);
  if (result == RangeResult::impossible) return not_satisfiable(size);
  if (result == RangeResult::part) {
    range = asked;
    is_part = true;
  }
  response.status = is_part ? 206 : 200;
  response.content_type = "application/octet-stream";
  response.headers["Accept-Ranges"] = "bytes";
  // The content never changes: a point is immutable.
  response.headers["ETag"] = "\"" + disk.reader->disk().root.hex() + "\"";
  if (is_part && range.length > 0) {
    response.headers["Content-Range"] =
        fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.length - 1, size);
  }
  if (range.length == 0) return response;
  response.stream_size = range.length;
  response.stream = [disk, at = range.offset, end = range.offset + range.length]() mutable {
    std::string piece(std::min(kPieceSize, end - at), '\0');
    if (!piece.empty())
      disk.reader->read(at, {reinterpret_cast<uint8_t*>(piece.data()), piece.size()});
    at += piece.size();
    return piece;
  };
  return response;
}

// Where the disk holds something else than zeros.
Response show_extents(Services& services, const Request& request) {
  OpenDisk disk = open_disk(services, request);
  const uint64_t size = disk.reader->size();
  ByteRange range = asked_range(request, size, kMaxAskedSize);
  json list = json::array();
  if (range.length > 0) {
    for (const images::Extent& extent : disk.reader->extents(range.offset, range.length)) {
      if (extent.kind == images::ExtentKind::data)
        list.push_back({{"offset", extent.offset}, {"length", extent.length}});
    }
  }
  return json_response(
      {{"size", size}, {"offset", range.offset}, {"length", range.length}, {"extents", list}});
}

Response show_checksum(Services& services, const Request& request) {
  OpenDisk disk = open_disk(services, request);
  ByteRange range = asked_range(request, disk.reader->size(), kMaxAskedSize);
  base::Digest digest(base::DigestKind::sha256);
  base::Bytes piece;
  for (uint64_t at = range.offset, end = at + range.length; at < end; at += piece.size()) {
    piece.resize(std::min(kPieceSize, end - at));
    disk.reader->read(at, piece);
    digest.update(piece);
  }
  return json_response({{"size", disk.reader->size()},
                        {"offset", range.offset},
                        {"length", range.length},
                        {"sha256", digest.finish()}});
}

}  // namespace

void add_disk_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"GET", "/api/v1/points/{point}/disks/{disk}/raw", Privilege::point_restore,
                  Resource::point, show_raw},
                 {"GET", "/api/v1/points/{point}/disks/{disk}/extents", Privilege::point_restore,
                  Resource::point, show_extents},
                 {"GET", "/api/v1/points/{point}/disks/{disk}/checksum", Privilege::point_restore,
                  Resource::point, show_checksum},
             });
}

}  // namespace appliance::api
