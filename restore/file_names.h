// Names of the files that a restored machine is written to. The names in a point are chosen by its
// host; file names made from them stay inside one folder, print as one word, and are unique. Not
// thread-safe.
#pragma once

#include <set>
#include <string>

namespace restore {

class FileNames {
 public:
  explicit FileNames(std::string directory) : directory_(std::move(directory)) {}

  // The path of a file for the part called `name`; the first one keeps its name, later ones with
  // the same name get a number.
  std::string path_of(const std::string& name, const std::string& ending = "");

 private:
  std::string directory_;
  std::set<std::string> taken_;
};

}  // namespace restore
