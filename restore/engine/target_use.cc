#include "restore/engine/target_use.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/clean_text.h"
#include "images/sources/image_locks.h"

namespace restore {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNameLength = 200;  // bytes of a name that is printed
constexpr int kMaxDepth = 16;           // of volumes made of volumes

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string number_of(dev_t device) { return fmt::format("{}:{}", major(device), minor(device)); }

// A device and all that lies on it: number ("8:17") → its name for people.
using Devices = std::map<std::string, std::string>;

std::vector<fs::path> entries(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator each(directory, error), end; !error && each != end;
       each.increment(error))
    found.push_back(each->path());
  std::sort(found.begin(), found.end());
  return found;
}

std::string name_of_device(const fs::path& sys) {
  std::string mapped = first_line(sys / "dm" / "name");
  std::string name = sys.filename().string();
  return base::clean_text(mapped.empty() ? name : name + " (" + mapped + ")", kMaxNameLength);
}

void collect(const fs::path& sys, int depth, Devices& devices, std::vector<std::string>& uses) {
  std::string number = first_line(sys / "dev");
  if (number.empty() || depth > kMaxDepth || devices.count(number) != 0) return;
  devices[number] = name_of_device(sys);
  for (const fs::path& holder : entries(sys / "holders")) {
    std::error_code error;
    fs::path real = fs::canonical(holder, error);
    if (error) continue;
    uses.push_back(devices[number] + " is a part of " + name_of_device(real));
    collect(real, depth + 1, devices, uses);
  }
  for (const fs::path& part : entries(sys)) {
    std::error_code error;
    if (fs::exists(part / "partition", error)) collect(part, depth + 1, devices, uses);
  }
}

// mountinfo and swaps write blanks and backslashes as octal numbers.
std::string unescape(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    auto is_digit = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] < '8';
    };
    if (text[i] == '\\' && is_digit(i + 1) && is_digit(i + 2) && is_digit(i + 3)) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string block_number(const std::string& path) {
  struct stat status;
  if (path.empty() || path[0] != '/' || ::stat(path.c_str(), &status) != 0) return "";
  return S_ISBLK(status.st_mode) ? number_of(status.st_rdev) : "";
}

// A mount's own number is that of its device, except on file systems of several devices (Btrfs):
// there its source tells one of them.
void add_mounts(const Devices& devices, std::vector<std::string>& uses) {
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string id, parent, number, root, place, word, type, source;
    words >> id >> parent >> number >> root >> place;
    while (words >> word && word != "-") {
    }
    words >> type >> source;
    auto device = devices.find(number);
    if (device == devices.end()) device = devices.find(block_number(unescape(source)));
    if (device == devices.end()) continue;
    uses.push_back(device->second + " is mounted on " +
                   base::clean_text(unescape(place), kMaxNameLength));
  }
}

// The first word of each line of /proc/swaps but its heading.
std::vector<std::string> swap_places() {
  std::vector<std::string> places;
  std::ifstream file("/proc/swaps");
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line))
    places.push_back(unescape(line.substr(0, line.find_first_of(" \t"))));
  return places;
}

bool is_same_file(const std::string& path, const struct stat& wanted) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && status.st_dev == wanted.st_dev &&
         status.st_ino == wanted.st_ino;
}

void add_loops(const struct stat& status, std::vector<std::string>& uses) {
  for (const fs::path& device : entries("/sys/block")) {
    if (device.filename().string().rfind("loop", 0) != 0) continue;
    std::string backing = first_line(device / "loop" / "backing_file");
    if (!backing.empty() && is_same_file(backing, status))
      uses.push_back("it is attached to /dev/" + device.filename().string());
  }
}

}  // namespace

std::vector<std::string> find_uses(int fd) {
  std::vector<std::string> uses;
  struct stat status;
  if (::fstat(fd, &status) != 0) return uses;
  if (S_ISBLK(status.st_mode)) {
    Devices devices;
    std::error_code error;
    fs::path sys = fs::canonical("/sys/dev/block/" + number_of(status.st_rdev), error);
    if (!error) collect(sys, 0, devices, uses);
    devices.try_emplace(number_of(status.st_rdev), "it");
    add_mounts(devices, uses);
    for (const std::string& place : swap_places()) {
      auto device = devices.find(block_number(place));
      if (device != devices.end()) uses.push_back(device->second + " is used as swap");
    }
  } else {
    for (const std::string& place : swap_places())
      if (is_same_file(place, status)) uses.push_back("it is used as swap");
  }
  add_loops(status, uses);
  if (images::is_open_in_qemu(fd))
    uses.push_back("a virtual machine or another restore has it open");
  return uses;
}

}  // namespace restore
