#include "images/imports/machine_export.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/imports/export_kinds.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
namespace fs = std::filesystem;

constexpr size_t kMaxEntries = 65536;  // of a folder
constexpr size_t kMaxNote = 4000;      // bytes

std::string lower(std::string text) {
  for (char& each : text) each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  return text;
}

// The one descriptor in a folder; none: it may be Hyper-V's. Throws for several.
std::optional<std::string> descriptor_in(const std::string& folder) {
  std::vector<std::string> found;
  size_t count = 0;
  for (const fs::directory_entry& each : fs::directory_iterator(folder)) {
    if (++count > kMaxEntries)
      throw Error(ErrorCode::invalid_argument, folder + " has more files than an export has");
    std::string name = lower(each.path().filename().string());
    if (name.starts_with(".")) continue;
    for (const char* ending : {".ova", ".ovf", ".vmx", ".vma", ".vma.zst", ".vma.gz", ".vma.lzo"}) {
      if (name.ends_with(ending)) found.push_back(each.path().string());
    }
  }
  if (found.empty()) return std::nullopt;
  std::sort(found.begin(), found.end());
  if (found.size() > 1) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} has several machines; give one of them: {}", folder,
                            fmt::join(found.begin(),
                                      found.begin() +
                                          static_cast<ptrdiff_t>(std::min<size_t>(found.size(), 8)),
                                      ", ")));
  }
  return found.front();
}

MachineExport open_any(const std::string& given, const MachineExportOptions& options) {
  std::error_code failed;
  fs::path real = fs::canonical(given, failed);
  if (failed) throw base::system_error(failed.value(), "cannot find " + given);
  std::string path = real.string();
  if (fs::is_directory(real)) {
    auto descriptor = descriptor_in(path);
    if (!descriptor) return open_hyperv_folder(path, options);
    path = *descriptor;
  }
  std::string name = lower(path);
  if (name.ends_with(".ova")) return open_ova(path, options);
  if (name.ends_with(".ovf")) return open_ovf(path, options);
  if (name.ends_with(".vmx")) return open_vmx(path, options);
  for (const char* ending : {".vma", ".vma.zst", ".vma.gz", ".vma.lzo"}) {
    if (name.ends_with(ending)) return open_vma(path, options);
  }
  for (const char* ending : {".vhd", ".vhdx", ".avhd", ".avhdx"}) {
    if (name.ends_with(ending)) return open_hyperv_disk(path, options);
  }
  if (name.ends_with(".vmcx") || name.ends_with(".xml")) {
    throw Error(ErrorCode::unsupported,
                path +
                    " is Hyper-V's own file, which cannot be read here; give the folder of the "
                    "export, whose disks are imported with a default definition");
  }
  throw Error(ErrorCode::unsupported,
              path +
                  " is not an export that is known: OVA, OVF, VMX, VMA, a folder of Hyper-V, or "
                  "a VHD or VHDX file; single images are imported by --disk NAME=FILE");
}

}  // namespace

MachineExport open_machine_export(const std::string& path, const MachineExportOptions& options) {
  try {
    return open_any(path, options);
  } catch (const fs::filesystem_error& error) {
    throw base::system_error(error.code().value(), "cannot look into " + error.path1().string());
  }
}

std::string note_of(const MachineExport& machine) {
  std::vector<std::string> clauses{"imported from " + machine.kind};
  clauses.insert(clauses.end(), machine.notes.begin(), machine.notes.end());
  if (!machine.missing.empty())
    clauses.push_back(fmt::format("not in the point: {}", fmt::join(machine.missing, ", ")));
  std::string note = fmt::format("{}", fmt::join(clauses, "; "));
  return base::clean_text(note, kMaxNote);
}

}  // namespace images
