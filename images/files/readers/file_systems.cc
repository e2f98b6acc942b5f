#include "images/files/readers/file_systems.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/files/readers/disk_link.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/partitions.h"

namespace images::files {
namespace {

using base::Error;
using base::ErrorCode;

// What is recognised and not read. An empty `why`: there are no files in it.
struct Signature {
  uint64_t offset;
  std::string_view bytes;
  const char* name;
  const char* why;
};
constexpr const char* kNoReader = "there is no reader for it here";
constexpr std::array kSignatures{
    Signature{4086, "SWAPSPACE2", "swap", ""},
    Signature{4086, "SWAP-SPACE", "swap", ""},
    Signature{3, "ReFS\0\0\0\0", "ReFS", kNoReader},
    Signature{32, "NXSB", "APFS", kNoReader},
    Signature{1024, "H+\0\4", "HFS+", kNoReader},
    Signature{1024, "\x10\x20\xf5\xf2", "F2FS", kNoReader},
    Signature{0, "hsqs", "squashfs", kNoReader},
    Signature{32769, "CD001", "ISO 9660", kNoReader},
    Signature{65600, "ReIsEr2Fs", "ReiserFS", kNoReader},
    Signature{65588, "ReIsEr2Fs", "ReiserFS", kNoReader},
    Signature{32768, "JFS1", "JFS", kNoReader},
    Signature{4120, "\xc6\x85\x73\xf6", "bcachefs", kNoReader},
    Signature{0, "LUKS\xba\xbe", "LUKS", "it is encrypted, and no key that was given opens it"},
    Signature{3, "-FVE-FS-", "BitLocker", "it is encrypted, and no key that was given opens it"},
};

const Signature* recognise(DiskSource& disk) {
  base::Bytes head(std::min<uint64_t>(disk.size(), 128 << 10));
  disk.read(0, head);
  std::string_view text = base::as_text(head);
  for (const Signature& each : kSignatures) {
    if (each.offset < text.size() && text.substr(each.offset).starts_with(each.bytes)) return &each;
  }
  return nullptr;
}

std::string safe_name(std::string_view name) {
  std::string clean = base::clean_text(name, 100);
  for (size_t at; (at = clean.find(":/")) != std::string::npos;) clean.replace(at, 2, ":_");
  return clean.empty() ? "unnamed" : clean;
}

}  // namespace

FileSystems::FileSystems(std::vector<std::pair<std::string, DiskSource*>> disks,
                         const std::vector<volumes::VolumeKey>& keys)
    : disks_(std::move(disks)) {
  for (auto& [name, disk] : disks_) sources_.push_back(disk);
  find_candidates(keys);
  for (const Candidate& each : candidates_) look_at(each);
}

FileSystemReader& FileSystems::reader(uint32_t number) {
  if (number >= readers_.size())
    throw Error(ErrorCode::invalid_argument, "there is no such file system");
  return *readers_[number];
}

std::vector<volumes::Part> FileSystems::find_parts() {
  std::vector<volumes::Part> parts;
  for (uint32_t i = 0; i < disks_.size(); ++i) {
    auto& [name, disk] = disks_[i];
    if (disk->size() == 0) continue;
    try {
      std::vector<Partition> partitions = partitions_of(*disk);
      if (partitions.empty()) parts.push_back({name, i, 0, disk->size()});
      for (const Partition& each : partitions)
        parts.push_back({name + std::to_string(each.number), i, each.offset, each.size});
    } catch (const Error& error) {
      say_unread(name, error.message());
    }
  }
  if (parts.size() > volumes::kMaxParts) {
    found_.notes.push_back(fmt::format("Only the first {} of {} partitions were looked at.",
                                       volumes::kMaxParts, parts.size()));
    parts.resize(volumes::kMaxParts);
  }
  return parts;
}

void FileSystems::find_candidates(const std::vector<volumes::VolumeKey>& keys) {
  std::vector<volumes::Part> parts = find_parts();
  volumes::Question question;
  for (DiskSource* disk : sources_) question.disk_sizes.push_back(disk->size());
  question.parts = parts;
  question.keys = keys;
  try {
    volumes_ = volumes::find_volumes(sources_, question);
  } catch (const Error& error) {
    found_.notes.push_back("LVM, RAID and encryption were not looked for: " + error.message());
  }
  for (const volumes::Unread& each : volumes_.unread)
    found_.unread.push_back({safe_name(each.name), each.why, each.needs_key});
  for (const std::string& each : volumes_.notes) found_.notes.push_back(each);
  for (const volumes::Part& part : parts) {
    bool is_used = std::ranges::find(volumes_.used, part.name) != volumes_.used.end();
    bool is_said = std::ranges::any_of(
        volumes_.unread, [&](const volumes::Unread& each) { return each.name == part.name; });
    if (is_used) found_.seen.push_back(safe_name(part.name) + ": a part of other volumes");
    if (is_used || is_said) continue;
    owned_.push_back(std::make_unique<DiskWindow>(*sources_[part.disk], part.offset, part.size));
    candidates_.push_back({safe_name(part.name), "", owned_.back().get()});
  }
  for (const volumes::FoundVolume& each : volumes_.volumes) add_volume(each);
}

void FileSystems::add_volume(const volumes::FoundVolume& volume) {
  std::string name = safe_name(volume.name);
  try {
    owned_.push_back(
        std::make_unique<volumes::MappedVolume>(volumes_.map, sources_, volume.source));
    DiskSource& whole = *owned_.back();
    std::vector<Partition> partitions;
    if (volume.is_partitioned) partitions = partitions_of(whole);
    if (partitions.empty()) candidates_.push_back({name, volume.origin, &whole});
    for (const Partition& each : partitions) {
      owned_.push_back(std::make_unique<DiskWindow>(whole, each.offset, each.size));
      candidates_.push_back(
          {fmt::format("{}p{}", name, each.number), volume.origin, owned_.back().get()});
    }
  } catch (const Error& error) {
    say_unread(name, error.message());
  }
}

void FileSystems::say_unread(const std::string& name, const std::string& why) {
  found_.unread.push_back({safe_name(name), base::clean_text(why, kMaxWords), false});
}

std::unique_ptr<FileSystemReader> FileSystems::open(const Candidate& candidate) {
  for (auto open : {open_xfs, open_ntfs, open_exfat, open_ext}) {
    if (auto reader = open(*candidate.disk)) return reader;
  }
  std::vector<DiskSource*> all;
  for (const Candidate& each : candidates_) all.push_back(each.disk);
  if (auto reader = open_btrfs(*candidate.disk, all)) return reader;
  return open_fat(*candidate.disk);  // last: it has the weakest mark
}

void FileSystems::look_at(const Candidate& candidate) {
  try {
    if (candidate.disk->size() == 0) return;
    std::unique_ptr<FileSystemReader> reader = open(candidate);
    if (reader && found_.file_systems.size() < kMaxFileSystems) {
      const FileSystemFacts& facts = reader->facts();
      auto same = std::ranges::find_if(found_.file_systems, [&](const FoundFileSystem& each) {
        return facts.type == "btrfs" && each.type == "btrfs" && each.uuid == facts.uuid;
      });
      if (same != found_.file_systems.end()) {
        found_.seen.push_back(
            fmt::format("{}: a part of the Btrfs on {}", candidate.name, same->name));
        return;
      }
      found_.seen.push_back(candidate.name + ": " + facts.type);
      found_.file_systems.push_back({candidate.name, facts.type, candidate.origin, facts.label,
                                     facts.uuid, candidate.disk->size(), facts.notes});
      readers_.push_back(std::move(reader));
      return;
    }
    const Signature* signature = recognise(*candidate.disk);
    found_.seen.push_back(candidate.name + ": " +
                          (signature ? signature->name : "nothing that is known"));
    if (signature && *signature->why != '\0')
      say_unread(candidate.name, fmt::format("{}: {}", signature->name, signature->why));
  } catch (const std::bad_alloc&) {
    say_unread(candidate.name, "it needs more memory than a reader may use");
  } catch (const Error& error) {
    say_unread(candidate.name, error.message());
  }
}

}  // namespace images::files
