// Where the syncs of one machine keep their files, and the marks that one sync leaves for the next.
// Marks are files that need not be durable: what they tell of ends with the host. Thread-safe; the
// caller holds the machine's lock.
#pragma once

#include <string>

namespace agent {

struct SyncPlace {
  std::string machine_name;
  std::string state_directory;
  std::string run_directory;
};

// The guest may be frozen.
void mark_frozen(const SyncPlace& place);
void unmark_frozen(const SyncPlace& place);
bool is_marked_frozen(const SyncPlace& place);

// QEMU may hold bitmaps of syncs in its memory.
void mark_bitmaps(const SyncPlace& place);
void unmark_bitmaps(const SyncPlace& place);
bool are_bitmaps_marked(const SyncPlace& place);

// QEMU's NBD server may have been started by a sync, and not by another program.
void mark_server(const SyncPlace& place);
void unmark_server(const SyncPlace& place);
bool is_server_marked(const SyncPlace& place);

}  // namespace agent
