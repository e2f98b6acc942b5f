// OVF packages: in a folder, and as OVA archives that are read where they lie.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/unique_fd.h"
#include "base/xml/xml_tree.h"
#include "images/imports/export_kinds.h"
#include "images/imports/ovf_descriptor.h"
#include "images/imports/tar_archive.h"
#include "images/sources/image_file_source.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
namespace fs = std::filesystem;

constexpr uint64_t kMaxManifestSize = 1 << 20;  // bytes
constexpr size_t kMaxShown = 200;

std::string shown(const std::string& text) { return base::clean_text(text, kMaxShown); }

base::UniqueFd open_file(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) throw base::system_error(errno, "cannot open " + path);
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) throw base::system_error(errno, "cannot examine " + path);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::invalid_argument, path + " is not a file");
  return fd;
}

// A file of the package, wherever it lies: in a folder, or in an archive.
struct PackageFile {
  std::string path;    // of the file on this host
  FilePart part;       // what of it
  bool is_whole_file;  // not a member of an archive
};

std::string text_of(const PackageFile& file, uint64_t limit, const std::string& name) {
  uint64_t size = size_of(file.part);
  if (size > limit)
    throw Error(ErrorCode::corrupt, fmt::format("{} is larger than {} bytes", shown(name), limit));
  return read_text(file.part, 0, size);
}

// The files of a package by name.
class PackageFiles {
 public:
  virtual ~PackageFiles() = default;
  // Null: there is none.
  virtual const PackageFile* find(const std::string& name) = 0;
};

class ArchiveFiles : public PackageFiles {
 public:
  ArchiveFiles(const std::string& path) : fd_(open_file(path)) {
    for (const TarMember& each : list_tar({fd_.get()}, path)) {
      names_.push_back(each.name);
      files_[each.name] = {path, {fd_.get(), each.offset, each.size}, false};
    }
  }
  const PackageFile* find(const std::string& name) override {
    auto found = files_.find(name);
    return found == files_.end() ? nullptr : &found->second;
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  base::UniqueFd fd_;
  std::vector<std::string> names_;
  std::map<std::string, PackageFile> files_;
};

class FolderFiles : public PackageFiles {
 public:
  FolderFiles(const std::string& descriptor, const MachineExportOptions& options)
      : descriptor_(descriptor), options_(options) {}
  const PackageFile* find(const std::string& name) override {
    auto known = files_.find(name);
    if (known != files_.end()) return &known->second;
    std::error_code failed;
    if (!fs::exists(fs::path(descriptor_).parent_path() / name, failed)) return nullptr;
    std::string path = file_of_export(descriptor_, name, options_);
    descriptors_.push_back(open_file(path));
    return &files_.emplace(name, PackageFile{path, {descriptors_.back().get()}, true})
                .first->second;
  }

 private:
  const std::string descriptor_;
  const MachineExportOptions& options_;
  std::vector<base::UniqueFd> descriptors_;
  std::map<std::string, PackageFile> files_;
};

std::string digest_of(const PackageFile& file, base::DigestKind kind,
                      const MachineExportOptions& options, uint64_t& done, uint64_t total) {
  constexpr uint64_t kPiece = 4 << 20;
  base::Digest digest(kind);
  for (uint64_t at = 0;;) {
    expect_going_on(options);
    std::string piece = read_text(file.part, at, kPiece);
    if (piece.empty()) return digest.finish();
    digest.update(base::as_bytes(piece));
    at += piece.size();
    done += piece.size();
    if (options.on_progress) options.on_progress("verifying checksums", done, total);
  }
}

// Every file that the manifest names must be as it says. A file of the package that it does not name
// is in a note.
void verify(PackageFiles& files, const std::map<std::string, OvfChecksum>& sums,
            const std::string& path, const MachineExportOptions& options) {
  uint64_t total = 0, done = 0;
  for (const auto& [name, sum] : sums) {
    const PackageFile* file = files.find(name);
    if (file == nullptr) {
      throw Error(ErrorCode::corrupt, fmt::format("{} is incomplete: {}, which its manifest names, "
                                                  "is missing",
                                                  path, shown(name)));
    }
    total += size_of(file->part);
  }
  for (const auto& [name, sum] : sums) {
    if (digest_of(*files.find(name), sum.kind, options, done, total) == sum.value) continue;
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is damaged: {} is not what its manifest says. Copy or export it "
                            "again",
                            path, shown(name)));
  }
}

// Images are named by their format, but "VMDK" is what everybody writes there.
std::string format_of(const OvfFile& file, const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  for (char& each : ending)
    each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  if (ending == ".vmdk" || ending == ".vhdx" || ending == ".vhd" || ending == ".qcow2" ||
      ending == ".raw")
    return ending.substr(1);
  if (ending == ".vdi") return "vdi";
  if (ending == ".img") return file.format.empty() ? "raw" : file.format;
  return file.format.empty() ? "vmdk" : file.format;
}

ImageSource open_disk(const PackageFile& file, const std::string& format,
                      const MachineExportOptions& options) {
  ImageOptions how{.format = format == "vhd" ? "vpc" : format,
                   .runtime_directory = options.runtime_directory,
                   .allowed = options.allowed};
  if (!file.is_whole_file) {
    how.part_offset = file.part.offset;
    how.part_size = file.part.size;
    if (how.part_size == 0) throw Error(ErrorCode::corrupt, "a disk in " + file.path + " is empty");
  }
  return open_image_source(file.path, how);
}

// A member that cannot be read is named.
void add_disks(MachineExport& result, PackageFiles& files, const OvfPackage& package,
               const std::vector<std::string>& disk_names, const std::string& path,
               const MachineExportOptions& options) {
  std::set<std::string> used;
  for (size_t i = 0; i < package.machine.disks.size(); ++i) {
    const std::string& name = package.machine.disks[i].file;
    auto described = std::find_if(package.files.begin(), package.files.end(),
                                  [&](const OvfFile& each) { return each.name == name; });
    const PackageFile* file = files.find(name);
    if (file == nullptr || described == package.files.end())
      throw Error(ErrorCode::not_found, fmt::format("{} has no file {}", path, shown(name)));
    if (!used.insert(name).second)
      result.notes.push_back(fmt::format("{} is the content of several disks", shown(name)));
    ImageSource opened;
    try {
      opened = open_disk(*file, format_of(*described, name), options);
    } catch (const Error& error) {
      throw error.with_context(shown(name));
    }
    if (described->disk_size != 0 && opened.disk->size() != described->disk_size) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("{} is a disk of {} bytes, and {} says {}", shown(name),
                              opened.disk->size(), path, described->disk_size));
    }
    for (std::string& each : opened.files) result.files.push_back(std::move(each));
    result.disks.push_back({disk_names[i], std::move(opened.disk)});
  }
}

MachineExport open_package(PackageFiles& files, const std::string& kind, const std::string& path,
                           const std::string& descriptor, const MachineExportOptions& options) {
  const PackageFile* text = files.find(descriptor);
  OvfPackage package = read_ovf(text_of(*text, base::xml::kMaxXml, descriptor), path);
  std::string base = descriptor.substr(0, descriptor.size() - 4);
  std::vector<std::string> disk_names;
  MachineExport result = described(kind, package.machine, disk_names);
  result.files.push_back(text->path);
  if (const PackageFile* manifest = files.find(base + ".mf")) {
    auto sums = read_manifest(text_of(*manifest, kMaxManifestSize, base + ".mf"), path);
    for (const ForeignDisk& disk : package.machine.disks) {
      if (!sums.contains(disk.file))
        result.notes.push_back(fmt::format("{} has no checksum", shown(disk.file)));
    }
    verify(files, sums, path, options);
    if (files.find(base + ".cert") != nullptr)
      result.notes.emplace_back("its signature was not checked");
  } else {
    result.notes.emplace_back("it has no manifest: its content could not be verified");
  }
  add_disks(result, files, package, disk_names, path, options);
  return result;
}

}  // namespace

MachineExport open_ova(const std::string& path, const MachineExportOptions& options) {
  ArchiveFiles files(path);
  std::string descriptor;
  for (const std::string& name : files.names()) {
    if (!name.ends_with(".ovf")) continue;
    if (!descriptor.empty())
      throw Error(ErrorCode::unsupported,
                  path + " has several descriptors; import one machine at a time");
    descriptor = name;
  }
  if (descriptor.empty())
    throw Error(ErrorCode::corrupt, path + " is not an OVA: it has no descriptor (.ovf)");
  return open_package(files, "OVA", path, descriptor, options);
}

MachineExport open_ovf(const std::string& path, const MachineExportOptions& options) {
  FolderFiles files(path, options);
  return open_package(files, "OVF", path, fs::path(path).filename().string(), options);
}

}  // namespace images
