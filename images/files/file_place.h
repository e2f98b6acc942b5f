// How people and requests name a file of a point: "VOLUME:/PATH", such as "vda1:/etc/fstab" or
// "vg0/root:/". "/PATH" alone is enough where the point has one file system. Names in it are text as
// name_text.h makes it. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "images/files/node.h"

namespace images::files {

struct FilePlace {
  std::string volume;  // empty: the only one
  std::string path;    // bytes, "/etc/fstab"; "/" is the root
};

// "vda1" and "vda1:" mean its root. Throws invalid_argument.
FilePlace place_of(std::string_view text);
std::string text_of(const FilePlace& place);

// Its number in the list. Throws not_found, naming those that there are; unsupported, naming all that
// was looked at, if there are none; invalid_argument if one has to be chosen.
uint32_t choose(const FoundFileSystems& found, const FilePlace& place);

// What an archive's folder is called: the last part of the path, or the volume's name.
std::string archive_name(const FoundFileSystem& file_system, const FilePlace& place);

// Why nothing, or only a part, can be listed, as sentences: "vda2 cannot be read: …".
std::vector<std::string> limits_of(const FoundFileSystems& found);

}  // namespace images::files
