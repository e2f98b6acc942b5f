// Where `files get` writes, and the options that the commands about files share: `muletto files` and
// `muletto-restore files`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/program.h"
#include "base/unique_fd.h"
#include "images/volumes/keys/volume_key.h"

namespace restore {

constexpr const char* kDownloadHelp =
    "A folder is written as a tar, or as a ZIP for people on Windows; a file as it is, or as an "
    "archive if --format says so. A tar keeps owner, permissions, times, links, hard links, "
    "extended attributes and holes; unpack it as root with: tar --xattrs --xattrs-include='*' "
    "--numeric-owner -xpf FILE. What could not be read is named in the archive's last file, "
    "MULETTO-ERRORS.txt, and the command ends with an error.";

// --to, --format, --force
void declare_download(base::options::options_description_easy_init add);
// --name, --ignore-case
void declare_find(base::options::options_description_easy_init add);
// --volume-passphrase-file, --volume-key-file: secrets come from files, since arguments can be seen
// by every user of this computer.
void declare_volume_keys(base::options::options_description_easy_init add);
std::vector<images::volumes::VolumeKey> volume_keys_of(const base::Arguments& arguments);

// "raw", "tar" or "zip": by --format, else by the name of the file, else "raw". Throws
// invalid_argument.
std::string download_format(const base::Arguments& arguments);

// A new file that appears when it is complete, or standard output ("-"). Not thread-safe.
class FileOutput {
 public:
  // Throws already_exists unless `overwrite`, and as system_error.
  FileOutput(std::string path, bool overwrite);
  ~FileOutput();  // discards what was not committed

  void write(std::string_view bytes);
  void commit();  // durable when it returns

 private:
  const std::string path_;
  std::string temporary_;
  base::UniqueFd fd_;
};

}  // namespace restore
