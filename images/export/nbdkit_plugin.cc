// nbdkit-muletto-plugin.so: the disks of one point as read-only NBD exports, named like the disks.
//   nbdkit -U SOCKET …/nbdkit-muletto-plugin.so store=DIR point=ID [disk=NAME …] [key-file=PATH]
//          [passphrase-file=PATH] [cache-size=BYTES] [disk-cache-size=BYTES] [cache-dir=DIR]
//          [record-trace=PATH] [prefetch-trace=PATH] [volume-map=PATH volume=NUMBER]
// Without disk= all disks are served; a client that names no export gets the first. With a map
// (images/volumes/volume_map.h) only one of its volumes is served, which lies on the disks that were
// named, in that order. Requests run in
// parallel. Errors become errno only here; nothing is thrown into nbdkit.
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "images/export/prefetcher.h"
#include "images/export/trace_recorder.h"
#include "images/store/place/open_place.h"
#include "images/store/store_reader.h"
#include "images/volumes/mapped_volume.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace {

using base::Error;
using base::ErrorCode;

struct Configuration {
  images::StoreReference store;
  std::string point;
  std::vector<std::string> disks;
  std::string record_trace;
  std::string prefetch_trace;
  std::string volume_map;
  uint64_t volume = 0;  // a source of the map
  images::ReadOptions options{
      .chunk_cache_size = 64ull << 20, .disk_cache_size = 0, .cache_directory = "/var/tmp"};
};

// nbdkit's C interface has no place for a plugin's state except globals; they are written before
// the first connection and only read afterwards.
Configuration g_configuration;
std::unique_ptr<images::StoreReader> g_store;
struct ServedDisk {
  std::string name;
  uint16_t number = 0;  // the number used for recorder and prefetcher
  std::shared_ptr<images::DiskReader> reader;
};
std::vector<ServedDisk> g_disks;
images::volumes::VolumeMap g_map;
std::unique_ptr<images::volumes::MappedVolume> g_volume;  // served in place of the disks
std::unique_ptr<images::TraceRecorder> g_recorder;
std::unique_ptr<images::Prefetcher> g_prefetcher;

int errno_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return EINVAL;
    case ErrorCode::no_space: return ENOSPC;
    case ErrorCode::unauthorized: return EPERM;
    case ErrorCode::cancelled: return ESHUTDOWN;
    default: return EIO;
  }
}

// Runs `action`; if it throws, reports the error to nbdkit and returns -1.
template <typename Action>
int guarded(Action action) noexcept {
  try {
    action();
    return 0;
  } catch (const Error& error) {
    nbdkit_error("%s", error.what());
    nbdkit_set_error(errno_of(error.code()));
  } catch (const std::exception& error) {
    nbdkit_error("%s", error.what());
    nbdkit_set_error(ENOMEM);
  } catch (...) {
    nbdkit_error("%s", "an exception of an unknown type");
    nbdkit_set_error(EIO);
  }
  return -1;
}

std::string absolute_path(const std::string& value) {
  char* path = nbdkit_absolute_path(value.c_str());
  if (path == nullptr) throw Error(ErrorCode::invalid_argument, "the path is not usable: " + value);
  std::string result = path;
  std::free(path);
  return result;
}

void set_parameter(const std::string& key, const std::string& value) {
  Configuration& configuration = g_configuration;
  if (key == "store") {
    configuration.store.location = absolute_path(value);
  } else if (key == "point") {
    configuration.point = value;
  } else if (key == "disk") {
    configuration.disks.push_back(value);
  } else if (key == "key-file") {
    configuration.store.key_file = value;
  } else if (key == "passphrase-file") {
    configuration.store.passphrase_file = value;
  } else if (key == "cache-size") {
    configuration.options.chunk_cache_size = base::parse_size(value);
  } else if (key == "disk-cache-size") {
    configuration.options.disk_cache_size = base::parse_size(value);
  } else if (key == "cache-dir") {
    configuration.options.cache_directory = value;
  } else if (key == "record-trace") {
    configuration.record_trace = absolute_path(value);
  } else if (key == "prefetch-trace") {
    configuration.prefetch_trace = absolute_path(value);
  } else if (key == "volume-map") {
    configuration.volume_map = absolute_path(value);
  } else if (key == "volume") {
    configuration.volume = base::parse_size(value);
  } else {
    throw Error(ErrorCode::invalid_argument, "unknown parameter '" + key + "'");
  }
}

int config(const char* key, const char* value) {
  return guarded([&] { set_parameter(key, value); });
}

int config_complete() {
  return guarded([] {
    if (g_configuration.store.location.empty() || g_configuration.point.empty()) {
      throw Error(ErrorCode::invalid_argument, "store=DIR and point=ID are needed");
    }
  });
}

// Half of the cache is for what the guest has not reached yet, the other half for what it reads
// again.
uint64_t prefetch_window(uint32_t chunk_size) {
  const images::ReadOptions& options = g_configuration.options;
  uint64_t cache =
      options.disk_cache_size != 0 ? options.disk_cache_size : options.chunk_cache_size;
  return cache / chunk_size / 2;
}

// If a trace is missing, damaged or of another chunk size, the disks are served anyway.
void start_prefetch(uint32_t chunk_size) try {
  images::BootTrace trace = images::format::decode_trace(base::read_file(
      base::real_file_system(), g_configuration.prefetch_trace, images::format::kMaxTraceSize));
  if (trace.chunk_size != chunk_size) return;
  std::vector<std::shared_ptr<images::DiskReader>> readers;
  for (const ServedDisk& disk : g_disks) readers.push_back(disk.reader);
  images::PrefetchLimits limits;
  limits.window_chunks = prefetch_window(chunk_size);
  g_prefetcher = std::make_unique<images::Prefetcher>(trace, std::move(readers), limits);
} catch (const Error& error) {
  nbdkit_debug("nothing is prefetched: %s", error.what());
}

void start_recording(uint32_t chunk_size) {
  std::vector<std::string> names;
  for (const ServedDisk& disk : g_disks) names.push_back(disk.name);
  g_recorder = std::make_unique<images::TraceRecorder>(
      base::real_file_system(), g_configuration.record_trace, chunk_size, std::move(names));
}

// The map was made from what a guest wrote: unpack_map() refuses one that does not fit.
void open_volume() {
  constexpr size_t kMaxMap = 64 << 20;
  base::Bytes bytes =
      base::read_file(base::real_file_system(), g_configuration.volume_map, kMaxMap);
  base::ByteReader reader(bytes, "the map of volumes");
  g_map = images::volumes::unpack_map(reader);
  std::vector<images::DiskSource*> disks;
  for (const ServedDisk& disk : g_disks) disks.push_back(disk.reader.get());
  g_volume = std::make_unique<images::volumes::MappedVolume>(
      g_map, std::move(disks), static_cast<images::volumes::Source>(g_configuration.volume));
}

// The store is opened here, after the fork into the background: LMDB must not be carried across a
// fork.
int after_fork() {
  return guarded([] {
    const Configuration& configuration = g_configuration;
    g_store = images::StoreReader::open(images::open_place(configuration.store),
                                        images::read_key_source(configuration.store),
                                        configuration.options);
    images::PointId point = g_store->find_point(configuration.point);
    std::vector<std::string> names = configuration.disks;
    if (names.empty()) {
      for (const auto& disk : g_store->read_point(point).disks) names.push_back(disk.name);
    }
    for (const std::string& name : names) {
      auto number = static_cast<uint16_t>(g_disks.size());
      g_disks.push_back({name, number, g_store->open_disk(point, name)});
    }
    if (!configuration.volume_map.empty()) open_volume();
    uint32_t chunk_size = g_store->hasher().chunk_size();
    if (!configuration.record_trace.empty()) start_recording(chunk_size);
    if (!configuration.prefetch_trace.empty()) start_prefetch(chunk_size);
  });
}

void unload() {
  g_prefetcher.reset();
  g_recorder.reset();
  g_volume.reset();
  g_disks.clear();
  g_store.reset();
}

int list_exports(int, int, nbdkit_exports* exports) {
  for (const ServedDisk& disk : g_disks) {
    if (nbdkit_add_export(exports, disk.name.c_str(), nullptr) == -1) return -1;
  }
  return 0;
}

const char* default_export(int, int) { return g_disks.front().name.c_str(); }

// The disk a client requested; it belongs to g_disks, which outlives every connection.
void* open_export(int) {
  const char* name = nbdkit_export_name();
  std::string wanted = name == nullptr || *name == 0 ? g_disks.front().name : name;
  for (ServedDisk& disk : g_disks) {
    if (disk.name == wanted) return &disk;
  }
  nbdkit_error("the point has no disk '%s', or it is not exported", wanted.c_str());
  nbdkit_set_error(ENOENT);
  return nullptr;
}

images::DiskSource& reader_of(void* handle) {
  if (g_volume) return *g_volume;
  return *static_cast<ServedDisk*>(handle)->reader;
}

int64_t get_size(void* handle) { return static_cast<int64_t>(reader_of(handle).size()); }
int can_multi_conn(void*) { return 1; }
int can_extents(void*) { return 1; }
int can_cache(void*) { return NBDKIT_CACHE_EMULATE; }

int read_bytes(void* handle, void* buffer, uint32_t count, uint64_t offset, uint32_t) {
  return guarded([&] {
    uint16_t number = static_cast<ServedDisk*>(handle)->number;
    if (g_recorder) g_recorder->touch(number, offset, count);
    if (g_prefetcher) g_prefetcher->touch(number, offset, count);
    reader_of(handle).read(offset, {static_cast<uint8_t*>(buffer), count});
  });
}

int list_extents(void* handle, uint32_t count, uint64_t offset, uint32_t, nbdkit_extents* extents) {
  return guarded([&] {
    for (const images::Extent& extent : reader_of(handle).extents(offset, count)) {
      uint32_t type =
          extent.kind == images::ExtentKind::zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
      if (nbdkit_add_extent(extents, extent.offset, extent.length, type) == -1) {
        throw Error(ErrorCode::io, "cannot report extents");
      }
    }
  });
}

int block_size(void*, uint32_t* minimum, uint32_t* preferred, uint32_t* maximum) {
  *minimum = 1;
  *preferred = g_store->hasher().chunk_size();  // a power of two, as NBD wants it
  *maximum = 32u << 20;
  return 0;
}

nbdkit_plugin make_plugin() {
  nbdkit_plugin plugin{};
  plugin.name = "muletto";
  plugin.version = MULETTO_VERSION;
  plugin.longname = "Muletto recovery points";
  plugin.description = "serves the disks of a recovery point, read-only";
  plugin.config_help =
      "store=<DIR>            (required) The store.\n"
      "point=<POINT>          (required) The recovery point.\n"
      "disk=<NAME>            A disk to serve; may be repeated. Default: all.\n"
      "key-file=<FILE>        The key file of an encrypted store.\n"
      "passphrase-file=<FILE> A file with the passphrase of an encrypted store.\n"
      "cache-size=<SIZE>      Memory for decoded chunks. Default: 64M.\n"
      "disk-cache-size=<SIZE> Room on disk for decoded chunks, for each disk. Default: none.\n"
      "cache-dir=<DIR>        Where that room is. Default: /var/tmp.\n"
      "record-trace=<FILE>    Where to write what a boot reads, once it is over.\n"
      "prefetch-trace=<FILE>  Such a file: what it names is read ahead of the guest.\n"
      "volume-map=<FILE>      How volumes lie on the disks; one of them is served instead.\n"
      "volume=<NUMBER>        Which one.\n";
  plugin.unload = unload;
  plugin.config = config;
  plugin.config_complete = config_complete;
  plugin.after_fork = after_fork;
  plugin.list_exports = list_exports;
  plugin.default_export = default_export;
  plugin.open = open_export;
  plugin.get_size = get_size;
  plugin.can_multi_conn = can_multi_conn;
  plugin.can_extents = can_extents;
  plugin.can_cache = can_cache;
  plugin.pread = read_bytes;
  plugin.extents = list_extents;
  plugin.block_size = block_size;
  return plugin;
}

nbdkit_plugin plugin = make_plugin();

}  // namespace

NBDKIT_REGISTER_PLUGIN(plugin)
