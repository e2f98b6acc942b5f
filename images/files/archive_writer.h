// The bytes of an archive, made from files in order. Implementations: TarWriter, ZipWriter. Not
// thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "images/files/node.h"

namespace images::files {

class ArchiveWriter {
 public:
  virtual ~ArchiveWriter() = default;

  // Each appends to `out`. Paths are relative, and plain (name_text.h).

  // Anything but a file with content; `first_path` is what a hard link is one of, else null. False
  // if the archive cannot hold it (a socket).
  virtual bool add(const std::string& path, const Node& node, const std::string* first_path,
                   std::string& out) = 0;
  // A file, whose content follows: the bytes of all ranges in order or, if wants_holes(), all of its
  // node.size bytes. The ranges are within the size.
  virtual void begin_file(const std::string& path, const Node& node,
                          const std::vector<DataRange>& ranges, std::string& out) = 0;
  virtual void content(base::ByteView bytes, std::string& out) = 0;
  virtual void end_file(std::string& out) = 0;
  // After the last file; called until it returns false.
  virtual bool finish(std::string& out) = 0;

  virtual bool wants_holes() const = 0;
};

}  // namespace images::files
