// The files of the page for browsers, read into memory once. Only what was in the folder then is
// served, by its name: no name from a request ever becomes a path. Immutable; thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "appliance/api/http/http.h"
#include "base/file_system.h"

namespace appliance::api {

class PageFiles {
 public:
  static constexpr size_t kMaxFiles = 200;
  static constexpr uint64_t kMaxFileSize = 4 << 20;  // bytes, of one file
  static constexpr uint64_t kMaxSize = 32 << 20;     // bytes, of all together

  // Reads the files of `folder` whose names begin with a letter or digit and have only letters, digits
  // and `._-`; NAME.gz is NAME, compressed. A folder that is missing, or without index.html, is a page
  // that is not installed. Never throws for what is in the folder: what cannot be read is logged, and
  // then the page counts as not installed.
  PageFiles(base::FileSystem& files, const std::string& folder);

  bool is_installed() const { return !problem_.empty() ? false : files_.contains("index.html"); }

  // The page itself, with the headers that confine it; a sentence, with status 404, if it is not
  // installed.
  Response index(const Request& request) const;
  // One of its other files, whose name contains a hash of its content: a browser may keep it for ever.
  // Throws not_found for any other name.
  Response file(const Request& request, const std::string& name) const;

 private:
  struct File {
    std::string content;
    std::string compressed;  // by gzip; empty: there is none
  };
  void read(base::FileSystem& files, const std::string& folder);
  Response answer(const Request& request, const std::string& name, const File& file) const;

  std::map<std::string, File, std::less<>> files_;
  std::string folder_;
  std::string problem_;  // why it is not installed, a sentence; empty: nothing is wrong
};

// The folder that mulettod.toml names, or share/muletto/page beside the program's folder.
std::string page_folder(const std::string& configured);

}  // namespace appliance::api
