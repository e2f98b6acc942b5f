// Files in an NTFS file system that is itself a file, read by the tools of ntfs-3g and written in
// place. Only for muletto-windows, which runs confined. Not thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace appliance::boot::windows {

class NtfsFiles {
 public:
  // `device` is the file or device with the file system, which need not be closed cleanly.
  explicit NtfsFiles(std::string device) : device_(std::move(device)) {}

  // The path as the file system spells it ("Windows/System32/config/SYSTEM"), compared ignoring
  // case as Windows does; none if there is no such file. Throws unsupported if a
  // folder on the way cannot be listed.
  std::optional<std::string> find(const std::string& path) const;

  // The file's first `limit` bytes; empty if it cannot be read.
  base::Bytes read(const std::string& path, size_t limit) const;

  // Replaces the content `before` by `after`, of the same size, in the clusters that the file has:
  // no record of the file system changes, so it may be one that Windows must still repair. First it
  // is shown that those clusters contain `before`; afterwards the file is read back. Sets `written`
  // before the first byte is written. Throws unsupported if the file is not kept in clusters as it
  // is (compressed, encrypted, sparse), io.
  void write_in_place(const std::string& path, const base::Bytes& before, const base::Bytes& after,
                      bool& written) const;

 private:
  std::string device_;
};

}  // namespace appliance::boot::windows
