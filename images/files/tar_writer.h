// tar in the pax form (POSIX.1-2001): owner, permissions, times to the nanosecond, links, hard links,
// devices; extended attributes as SCHILY.xattr.*, and sparse files as GNU.sparse 1.0. GNU tar and
// bsdtar restore all of it (--xattrs --xattrs-include='*', as root). Names are bytes. Sockets cannot
// be in a tar. Sources: the pax section of POSIX; GNU tar's manual, "Storing Sparse Files". Not
// thread-safe.
#pragma once

#include "images/files/archive_writer.h"

namespace images::files {

class TarWriter : public ArchiveWriter {
 public:
  bool add(const std::string& path, const Node& node, const std::string* first_path,
           std::string& out) override;
  void begin_file(const std::string& path, const Node& node, const std::vector<DataRange>& ranges,
                  std::string& out) override;
  void content(base::ByteView bytes, std::string& out) override;
  void end_file(std::string& out) override;
  bool finish(std::string& out) override;
  bool wants_holes() const override { return false; }

 private:
  uint64_t written_ = 0;  // of the file's content, with the map of a sparse one
};

}  // namespace images::files
