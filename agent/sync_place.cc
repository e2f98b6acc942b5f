#include "agent/sync_place.h"

#include "agent/state_layout.h"
#include "base/file_system.h"

namespace agent {
namespace {

bool exists(const std::string& marker) { return base::real_file_system().exists(marker); }

void make(const std::string& marker) {
  if (!exists(marker)) base::real_file_system().create(marker);
}

void remove(const std::string& marker) {
  if (exists(marker)) base::real_file_system().remove(marker);
}

std::string frozen(const SyncPlace& place) {
  return frozen_path(place.state_directory, place.machine_name);
}
std::string bitmaps(const SyncPlace& place) {
  return bitmaps_path(place.state_directory, place.machine_name);
}
std::string server(const SyncPlace& place) {
  return server_path(place.state_directory, place.machine_name);
}

}  // namespace

void mark_frozen(const SyncPlace& place) { make(frozen(place)); }
void unmark_frozen(const SyncPlace& place) { remove(frozen(place)); }
bool is_marked_frozen(const SyncPlace& place) { return exists(frozen(place)); }
void mark_bitmaps(const SyncPlace& place) { make(bitmaps(place)); }
void unmark_bitmaps(const SyncPlace& place) { remove(bitmaps(place)); }
bool are_bitmaps_marked(const SyncPlace& place) { return exists(bitmaps(place)); }
void mark_server(const SyncPlace& place) { make(server(place)); }
void unmark_server(const SyncPlace& place) { remove(server(place)); }
bool is_server_marked(const SyncPlace& place) { return exists(server(place)); }

}  // namespace agent
