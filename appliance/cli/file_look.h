// What the commands about files share: where the files of a point are in the API, and a look of their
// own where keys of encrypted volumes are given (--volume-passphrase-file, --volume-key-file), which
// ends with the command. Not thread-safe.
#pragma once

#include <string>

#include "appliance/cli/api_client.h"

namespace appliance::cli {

class FileLook {
 public:
  // `point` as people name it. Opens a look if there are keys. Throws as ApiClient.
  FileLook(const ApiClient& client, const base::Arguments& arguments, std::string point);
  ~FileLook();  // ends it

  // "/points/P/files/search?look=…&"; fields of the query follow.
  std::string path(const std::string& what) const;
  // Its id as a field of a query: "&since_look=…"; empty without keys.
  std::string field(const char* name) const;

 private:
  const ApiClient& client_;
  const std::string base_;
  std::string id_;
};

// Connection and keys.
void declare_files(base::options::options_description_easy_init add);
std::string path_field(const base::Arguments& arguments);  // "path=…" of PLACE; "/" without one

}  // namespace appliance::cli
