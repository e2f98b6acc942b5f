// Names of the files that a restored machine is written to. A point says whatever its host did:
// names stay inside one folder, print as one word, and no two parts get the same file. Not
// thread-safe.
#pragma once

#include <set>
#include <string>

namespace restore {

class FileNames {
 public:
  explicit FileNames(std::string directory) : directory_(std::move(directory)) {}

  // The path of a file for what is called `name`; what comes first keeps its name, the next ones of
  // that name get a number.
  std::string path_of(const std::string& name, const std::string& ending = "");

 private:
  std::string directory_;
  std::set<std::string> taken_;
};

}  // namespace restore
