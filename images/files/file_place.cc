#include "images/files/file_place.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "images/files/name_text.h"

namespace images::files {
namespace {

using base::Error;
using base::ErrorCode;

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& each : words) text += (text.empty() ? "" : std::string(between)) + each;
  return text;
}

std::string names_of(const FoundFileSystems& found) {
  std::vector<std::string> names;
  for (const FoundFileSystem& each : found.file_systems)
    names.push_back(fmt::format("{} ({})", each.name, each.type));
  return joined(names, ", ");
}

}  // namespace

FilePlace place_of(std::string_view text) {
  FilePlace place;
  size_t mark = text.find(":/");
  std::string_view path = "/";
  if (text.starts_with("/")) {
    path = text;
  } else if (mark != std::string_view::npos) {
    place.volume = text.substr(0, mark);
    path = text.substr(mark + 1);
  } else {
    place.volume = text.ends_with(":") ? text.substr(0, text.size() - 1) : text;
  }
  for (const std::string& part : parts_of_path(name_of_text(path))) place.path += "/" + part;
  if (place.path.empty()) place.path = "/";
  if (place.path.size() > kMaxPath)
    throw Error(ErrorCode::invalid_argument, "the path is too long");
  return place;
}

std::string text_of(const FilePlace& place) {
  return place.volume + ":" + text_of_name(place.path);
}

uint32_t choose(const FoundFileSystems& found, const FilePlace& place) {
  const auto& all = found.file_systems;
  if (all.empty()) {
    std::string why = joined(limits_of(found), " ");
    throw Error(ErrorCode::unsupported,
                "no file system that can be read was found. Looked at: " +
                    (found.seen.empty() ? "nothing" : joined(found.seen, ", ")) + "." +
                    (why.empty() ? "" : " " + why));
  }
  if (place.volume.empty()) {
    if (all.size() == 1) return 0;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("the point has {} file systems: {}. Say which, as in {}:{}", all.size(),
                            names_of(found), all.front().name, text_of_name(place.path)));
  }
  auto chosen = std::ranges::find_if(
      all, [&](const FoundFileSystem& each) { return each.name == place.volume; });
  if (chosen != all.end()) return static_cast<uint32_t>(chosen - all.begin());
  for (const UnreadVolume& each : found.unread) {
    if (each.name == place.volume)
      throw Error(ErrorCode::unsupported,
                  fmt::format("{} cannot be read: {}", each.name, each.why));
  }
  throw Error(ErrorCode::not_found, fmt::format("the point has no file system '{}'; it has {}",
                                                text_of_name(place.volume), names_of(found)));
}

std::string archive_name(const FoundFileSystem& file_system, const FilePlace& place) {
  std::string name = place.path.substr(place.path.rfind('/') + 1);
  if (!name.empty()) return name;
  name = file_system.name;
  std::ranges::replace(name, '/', '-');
  std::ranges::replace(name, ':', '-');
  return is_plain_name(name) ? name : "files";
}

std::vector<std::string> limits_of(const FoundFileSystems& found) {
  std::vector<std::string> sentences;
  for (const UnreadVolume& each : found.unread)
    sentences.push_back(fmt::format("{} cannot be read: {}{}.", each.name, each.why,
                                    each.needs_key ? " (give its key)" : ""));
  for (const FoundFileSystem& each : found.file_systems) {
    for (const std::string& note : each.notes) sentences.push_back(each.name + ": " + note);
  }
  for (const std::string& note : found.notes) sentences.push_back(note);
  return sentences;
}

}  // namespace images::files
