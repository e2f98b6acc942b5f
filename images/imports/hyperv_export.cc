// What Hyper-V exports: a folder with the machine's disks in "Virtual Hard Disks" and its settings
// in a binary file (.vmcx) whose layout is not published. The disks are imported with a default
// definition, and the note says so. Of a machine with checkpoints, the newest file of each chain is
// the disk as it is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/imports/export_kinds.h"
#include "images/sources/differencing_chain.h"
#include "images/sources/image_file_source.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
namespace fs = std::filesystem;

constexpr size_t kMaxFiles = 65536;

std::string lower(std::string text) {
  for (char& each : text) each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  return text;
}

bool is_disk(const fs::path& path) {
  std::string ending = lower(path.extension().string());
  return ending == ".vhd" || ending == ".vhdx" || ending == ".avhd" || ending == ".avhdx";
}

struct Found {
  std::vector<fs::path> disks;
  bool has_settings = false;
};

Found look_into(const std::string& folder) {
  Found found;
  size_t count = 0;
  for (const fs::directory_entry& each : fs::recursive_directory_iterator(folder)) {
    if (++count > kMaxFiles)
      throw Error(ErrorCode::invalid_argument, folder + " has more files than an export has");
    // A link may lead anywhere.
    if (each.is_symlink() || !each.is_regular_file()) continue;
    if (is_disk(each.path())) found.disks.push_back(each.path());
    found.has_settings |= lower(each.path().extension().string()) == ".vmcx";
  }
  std::sort(found.disks.begin(), found.disks.end());
  return found;
}

// Those on which no other one builds.
std::vector<fs::path> newest_of_chains(const std::vector<fs::path>& disks) {
  std::set<std::string> parents;
  for (const fs::path& each : disks) {
    for (const std::string& name : parent_names(each.string())) parents.insert(lower(name));
  }
  std::vector<fs::path> newest;
  for (const fs::path& each : disks) {
    if (!parents.contains(lower(each.filename().string()))) newest.push_back(each);
  }
  return newest;
}

// Two disks on one base are the two ends of a tree of checkpoints: which is the machine?
void expect_one_end(const std::vector<fs::path>& ends, const std::string& folder) {
  std::set<std::string> bases;
  for (const fs::path& each : ends) {
    std::set<std::string> own;
    for (const std::string& name : parent_names(each.string())) own.insert(lower(name));
    for (const std::string& name : own) {
      if (bases.insert(name).second) continue;
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("{} has several disks that build on {}: checkpoints that branch. Give "
                      "the file of the one that is meant",
                      folder, base::clean_text(name, 200)));
    }
  }
}

// `folders`: where else in the export parents lie.
MachineExport import_disks(const std::string& kind, const std::string& name,
                           const std::vector<fs::path>& disks, const std::set<std::string>& folders,
                           const MachineExportOptions& options) {
  if (disks.size() > kMaxForeignDisks) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("there are {} disks, and a point has at most {}", disks.size(),
                            kMaxForeignDisks));
  }
  MachineExport result;
  result.kind = kind;
  result.name = name;
  bool is_old = false;
  for (size_t i = 0; i < disks.size(); ++i) {
    std::string ending = lower(disks[i].extension().string());
    bool is_vhd = ending == ".vhd" || ending == ".avhd";
    is_old |= is_vhd;
    ImageOptions how{.format = is_vhd ? "vpc" : "vhdx",
                     .runtime_directory = options.runtime_directory,
                     .allowed = options.allowed};
    how.allowed.insert(how.allowed.end(), folders.begin(), folders.end());
    ImageSource opened = open_image_source(disks[i].string(), how);
    for (std::string& each : opened.files) result.files.push_back(std::move(each));
    std::string letters = i < 26 ? std::string(1, static_cast<char>('a' + i))
                                 : fmt::format("{}{}", static_cast<char>('a' + i / 26 - 1),
                                               static_cast<char>('a' + i % 26));
    result.disks.push_back({"sd" + letters, std::move(opened.disk)});
  }
  // Only machines of generation 1 have VHD files, and these have a BIOS.
  if (is_old) result.definition.firmware = Firmware::bios;
  return result;
}

}  // namespace

MachineExport open_hyperv_folder(const std::string& path, const MachineExportOptions& options) {
  Found found = look_into(path);
  if (found.disks.empty()) {
    throw Error(ErrorCode::not_found,
                path +
                    " has no export that is known: no .ova, .ovf, .vmx, .vma, and no disk of "
                    "Hyper-V");
  }
  std::vector<fs::path> newest = newest_of_chains(found.disks);
  if (newest.empty())
    throw Error(ErrorCode::corrupt, path + " has only disks that build on each other");
  expect_one_end(newest, path);
  std::set<std::string> folders;
  for (const fs::path& each : found.disks) folders.insert(each.parent_path().string());
  MachineExport result =
      import_disks("Hyper-V export", fs::path(path).filename().string(), newest, folders, options);
  result.notes.emplace_back(
      found.has_settings
          ? "Hyper-V's settings (.vmcx) cannot be read: the definition is a default one, with the "
            "disks in the order of their names; check CPUs, memory and network cards"
          : "the export has no settings: the definition is a default one");
  return result;
}

MachineExport open_hyperv_disk(const std::string& path, const MachineExportOptions& options) {
  MachineExport result =
      import_disks("a disk of Hyper-V", fs::path(path).stem().string(), {path}, {}, options);
  result.notes.emplace_back("the definition is a default one: a disk says nothing of its machine");
  return result;
}

}  // namespace images
