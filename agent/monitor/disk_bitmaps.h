// Dirty bitmaps of a running QEMU's disks: records of which 64 KiB of a disk were written since
// they were made. Those made here are kept in QEMU's memory alone, so they exist for disks of every
// format, and end with QEMU. See QEMU's docs/interop/bitmaps.rst and qapi/block-core.json.
//
// Functions throw as Monitor::execute().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/monitor/monitor.h"

namespace agent::monitor {

// Every bitmap the agent makes through a monitor has a name that begins with this. libvirt's, of
// checkpoints, do not.
constexpr char kBitmapPrefix[] = "muletto.";

struct Bitmap {
  std::string name;
  bool recording = false;
  bool broken = false;  // QEMU calls it inconsistent
};

// A disk of the machine, or what one is built on.
struct Node {
  std::string name;
  std::string file;  // what it consists of, in QEMU's words: a path, or "json:{…}"
  std::vector<Bitmap> bitmaps;
};

struct Device {
  std::string drive;  // the name of its -drive; may be empty
  std::string qdev;   // the id of its -device, or its path; may be empty
  std::string node;   // the topmost
  uint64_t size = 0;  // bytes
  std::string format;
  bool read_only = false;
  bool removable = false;
  std::string file;
};

// The devices that have a medium. All lists are bounded.
std::vector<Device> devices(Monitor& monitor);
// Every node, in use or not.
std::vector<Node> nodes(Monitor& monitor);

// A name for a new bitmap, random, so that nothing else has it.
std::string new_bitmap_name();

// A bitmap that records from now on. Writes that are under way are recorded when they end.
void add_bitmap(Monitor& monitor, const std::string& node, const std::string& name);
// A bitmap that records nothing and marks what any of `from` marks at one moment from now.
void copy_bitmaps(Monitor& monitor, const std::string& node, const std::string& name,
                  const std::vector<std::string>& from);
// Removes, from every node, the bitmaps with the agent's prefix, except those named in `kept`.
// Failures are logged; false if there was one.
bool remove_bitmaps(Monitor& monitor, const std::vector<std::string>& kept) noexcept;

// Offers the node read-only at QEMU's running NBD server under this name, with a bitmap of it or of
// what it is built on; an empty name: without one. Ends with the server.
void export_node(Monitor& monitor, const std::string& node, const std::string& name,
                 const std::string& bitmap);

}  // namespace agent::monitor
