#include "appliance/boot/files/boot_trace_cache.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "images/format/boot_trace_format.h"

namespace appliance::boot {
namespace {

using base::Error;

images::BootTrace read_trace(const std::string& path) {
  return images::format::decode_trace(
      base::read_file(base::real_file_system(), path, images::format::kMaxTraceSize));
}

bool is_better(const images::BootTrace& fresh, const std::string& kept_path) {
  if (fresh.guest_was_up) return true;
  try {
    return !read_trace(kept_path).guest_was_up;
  } catch (const Error&) {
    return true;  // none, or a damaged one
  }
}

}  // namespace

std::string BootTraceCache::key(const images::StoreId& store, const images::MachineId& machine) {
  return fmt::format("{}-{}", store.hex(), machine.hex());
}

std::string BootTraceCache::path_of(std::string_view key) const {
  return base::join_path(directory_, fmt::format("{}.trace", key));
}

std::string BootTraceCache::find(std::string_view key) const {
  if (directory_.empty() || key.empty()) return "";
  std::string path = path_of(key);
  return base::real_file_system().exists(path) ? path : "";
}

void BootTraceCache::take(std::string_view key, const std::string& recorded_path) const {
  base::FileSystem& files = base::real_file_system();
  if (directory_.empty() || key.empty() || !files.exists(recorded_path)) return;
  try {
    images::BootTrace trace = read_trace(recorded_path);
    if (is_better(trace, path_of(key))) {
      base::make_directory_durably(files, directory_);
      base::write_file_durably(files, path_of(key), images::format::encode_trace(trace));
      base::log().debug("kept a boot trace of {} chunks", trace.entries.size());
    }
  } catch (const Error& error) {
    base::log().warn("a boot trace could not be kept: {}", error.message());
  }
  try {
    files.remove(recorded_path);
  } catch (const Error& error) {
    base::log().warn("{}", error.message());
  }
}

void BootTraceCache::forget(std::string_view key) const {
  if (find(key).empty()) return;
  base::real_file_system().remove(path_of(key));
}

}  // namespace appliance::boot
