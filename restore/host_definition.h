// The definition of a restored machine, as libvirt's XML of the host it was captured on: its disks and
// its firmware's variables are where they were restored now, and what else refers to the old host is
// listed. The text is the host's and may be anything: it is changed as text and never interpreted, so
// that no parser meets it; what cannot be recognised stays as it is, and is in the list. Pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace restore {

struct RestoredFile {
  std::string path;    // absolute
  std::string format;  // as QEMU calls it
  bool is_device = false;
};

struct HostDefinition {
  std::string xml;
  std::vector<std::string> adapted;     // disks whose source was replaced; "nvram"
  std::vector<std::string> host_paths;  // absolute paths that are still in it, at most kMaxPaths
  bool has_more_paths = false;
};
constexpr size_t kMaxPaths = 100;

// `disks` by their names in the guest ("vda"). `nvram_path`: empty if there is none.
HostDefinition adapt_definition(std::string_view xml,
                                const std::map<std::string, RestoredFile>& disks,
                                const std::string& nvram_path);

}  // namespace restore
