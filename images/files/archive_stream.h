// A folder or file of a point as an archive, piece by piece, with bounded memory however large it is.
// What cannot be read is said in the archive itself: its last member is then MULETTO-ERRORS.txt,
// with a line for each problem; a file that breaks off is filled with zeros. Names are checked, so
// that an archive that is unpacked writes nowhere but below its folder: nothing follows through a
// link that the archive itself made. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>

#include "images/files/archive_writer.h"
#include "images/files/files_process.h"
#include "images/files/link_memory.h"

namespace images::files {

enum class ArchiveFormat { tar, zip };

struct ArchiveFigures {
  uint64_t file_count = 0;  // members of any kind
  uint64_t size = 0;        // bytes of files' content
  uint64_t left_out = 0;    // sockets, and in a ZIP devices
  uint64_t problem_count = 0;
  std::string first_problem;  // "PATH: why"; empty: none
};

class ArchiveStream {
 public:
  // Asks `process`, which must be ready and outlive it. Members are below `name`, which is plain.
  // Throws as begin_walk().
  ArchiveStream(FilesProcess& process, ArchiveFormat format, uint32_t file_system,
                const std::string& path, const std::string& name);

  // The next bytes, at most some MiB; empty at the end. Throws what the process throws: the archive
  // is incomplete then.
  std::string next();

  const ArchiveFigures& figures() const { return figures_; }

 private:
  void step(std::string& out);
  void handle(Entry entry, std::string& out);
  void handle(const std::vector<DataRange>& ranges, std::string& out);
  void handle(Data data, std::string& out);
  void handle(const ContentEnd& end, std::string& out);
  void finish_walk(const End& end, std::string& out);
  void add_problem(const std::string& path, const std::string& why);
  void add_errors(std::string& out);
  void fill(std::string& out);
  std::string member_path(const std::string& path) const {
    return path.empty() ? name_ : name_ + "/" + path;
  }
  bool goes_through_link(const std::string& path) const;

  FilesProcess& process_;
  const std::string name_;
  const bool links_once_;
  std::unique_ptr<ArchiveWriter> writer_;
  ArchiveFigures figures_;
  std::string problems_;  // the text of MULETTO-ERRORS.txt, bounded
  LinkMemory links_;
  std::unordered_set<uint64_t> link_paths_;  // hashes
  std::unordered_set<uint64_t> seen_names_;  // hashes, of the top: for the errors' name

  enum class State { between, before_content, in_content, finishing, over } state_ = State::between;
  Entry file_;                     // whose content comes
  bool is_skipped_ = false;        // it was refused: its content is passed over
  std::vector<DataRange> ranges_;  // of it
  size_t range_ = 0;               // the one that comes
  uint64_t in_range_ = 0;          // bytes of it that came
  uint64_t position_ = 0;          // bytes of the file that were written, with its holes
  uint64_t zeros_ = 0;             // to be written before anything else
  base::Bytes waiting_;            // data after them
  bool ends_after_zeros_ = false;  // the file ends then
};

}  // namespace images::files
