// A disk on this host, opened to be restored to (restore/engine), with everything that speaks against
// it found out first: it is in use, too small, holds something else. A new file is written under
// another name and gets its own at the end, so it appears complete or not at all; an interrupted one
// is continued. A qcow2 image is written through QEMU's own daemon, as a raw file (FUSE). While it is
// open, no QEMU can open it. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "images/disk_reader.h"
#include "restore/engine/target_check.h"

namespace agent::homeward {

constexpr char kUnfinished[] = ".muletto-restoring";  // appended to the name of an unfinished file

struct TargetWish {
  std::string path;          // as Permissions::require() returned it
  std::string format;        // "raw" or "qcow2"; of an existing image it must be the right one
  std::string machine_name;  // whose disk it is
  restore::Overwriting overwriting;
  bool survey = false;  // only looked at; a file that does not exist is then an empty one
};

class OpenTarget {
 public:
  // `work_directory`, of this process alone, gets the image's content. Throws busy (used by anyone),
  // already_exists (not empty, and it may not be overwritten; with what was found), invalid_argument
  // (too small; no such image), not_found, no_space, io.
  OpenTarget(const TargetWish& wish, images::DiskReader& disk, const std::string& work_directory);
  ~OpenTarget();
  OpenTarget(const OpenTarget&) = delete;
  OpenTarget& operator=(const OpenTarget&) = delete;

  restore::Target& content() { return *content_; }  // at least as large as the disk
  bool is_device() const { return content_->kind() == restore::TargetKind::device; }
  // Sentences about what the disk does not fill.
  const std::vector<std::string>& notes() const { return notes_; }

  // The content is complete and durable: gives a new file its name, durably.
  void finish();

 private:
  void open_empty(uint64_t size);
  void open_raw(bool exists);
  void open_qcow2(bool exists, uint64_t size);
  void serve_image();
  void end_serving();

  const TargetWish wish_;
  const std::string work_directory_;
  std::string path_;     // that is written: wish_.path, or an unfinished file
  bool is_new_ = false;  // wish_.path does not exist yet
  std::vector<std::string> notes_;
  std::optional<base::Subprocess> daemon_;
  std::optional<restore::Target> content_;
};

// Removes what a killed process left in its work directory: a mount that nobody serves.
void clear_work_directory(const std::string& work_directory) noexcept;

}  // namespace agent::homeward
