#include "restore/host_definition.h"

#include <algorithm>
#include <optional>

#include "base/markup_text.h"

namespace restore {
namespace {

constexpr size_t npos = std::string::npos;
constexpr size_t kMaxPathSize = 4096;  // bytes
constexpr size_t kMaxAdapted = 256;    // disks: each moves the rest of the text

bool is_name_end(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '/' || c == '>';
}

// Where a tag with that name begins, at `from` or later, before `end`; npos: nowhere.
size_t find_tag(std::string_view xml, std::string_view name, size_t from, size_t end) {
  std::string open = "<" + std::string(name);
  for (size_t at = xml.find(open, from); at != npos && at < end; at = xml.find(open, at + 1)) {
    if (at + open.size() < end && is_name_end(xml[at + open.size()])) return at;
  }
  return npos;
}

// The place of an attribute's value within the tag that begins at `tag`.
struct Place {
  size_t begin = 0, end = 0;
};
std::optional<Place> find_attribute(std::string_view xml, size_t tag, std::string_view name) {
  size_t tag_end = xml.find('>', tag);
  if (tag_end == npos) return std::nullopt;
  for (char quote : {'\'', '"'}) {
    std::string begin = " " + std::string(name) + "=" + quote;
    size_t at = xml.find(begin, tag);
    if (at == npos || at > tag_end) continue;
    size_t value = at + begin.size(), end = xml.find(quote, value);
    if (end != npos && end < tag_end) return Place{value, end};
  }
  return std::nullopt;
}

void set_attribute(std::string& xml, size_t tag, std::string_view name, const std::string& value) {
  if (auto place = find_attribute(xml, tag, name))
    xml.replace(place->begin, place->end - place->begin, base::markup_text(value));
}

// The end of the element that begins at `tag`, including its closing tag; it must not be nested.
size_t element_end(std::string_view xml, size_t tag, std::string_view name) {
  size_t tag_end = xml.find('>', tag);
  if (tag_end == npos) return npos;
  if (xml[tag_end - 1] == '/') return tag_end + 1;
  std::string close = "</" + std::string(name) + ">";
  size_t at = xml.find(close, tag_end);
  return at == npos ? npos : at + close.size();
}

// One <disk>…</disk>. False if it is not one of the restored disks, or has no source.
bool adapt_disk(std::string& disk, const std::map<std::string, RestoredFile>& disks,
                std::string& name) {
  size_t target = find_tag(disk, "target", 0, disk.size());
  auto dev = target == npos ? std::nullopt : find_attribute(disk, target, "dev");
  if (!dev) return false;
  name = disk.substr(dev->begin, dev->end - dev->begin);
  auto restored = disks.find(name);
  if (restored == disks.end()) return false;
  size_t source = find_tag(disk, "source", 0, disk.size());
  size_t source_end = source == npos ? npos : element_end(disk, source, "source");
  if (source_end == npos) return false;
  disk.replace(source, source_end - source,
               std::string("<source ") + (restored->second.is_device ? "dev" : "file") + "='" +
                   base::markup_text(restored->second.path) + "'/>");
  size_t driver = find_tag(disk, "driver", 0, disk.size());
  if (driver != npos) set_attribute(disk, driver, "type", restored->second.format);
  set_attribute(disk, 0, "type", restored->second.is_device ? "block" : "file");
  return true;
}

void adapt_disks(HostDefinition& definition, const std::map<std::string, RestoredFile>& disks) {
  std::string& xml = definition.xml;
  for (size_t at = find_tag(xml, "disk", 0, xml.size()); at != npos;) {
    size_t end = element_end(xml, at, "disk");
    if (end == npos) return;
    std::string disk = xml.substr(at, end - at), name;
    if (definition.adapted.size() < kMaxAdapted && adapt_disk(disk, disks, name)) {
      definition.adapted.push_back(name);
      xml.replace(at, end - at, disk);
      end = at + disk.size();
    }
    at = find_tag(xml, "disk", end, xml.size());
  }
}

void adapt_nvram(HostDefinition& definition, const std::string& path) {
  std::string& xml = definition.xml;
  size_t at = path.empty() ? npos : find_tag(xml, "nvram", 0, xml.size());
  size_t end = at == npos ? npos : element_end(xml, at, "nvram");
  if (end == npos) return;
  xml.replace(at, end - at, "<nvram>" + base::markup_text(path) + "</nvram>");
  definition.adapted.emplace_back("nvram");
}

// Values of attributes and texts that begin with a slash.
void find_host_paths(HostDefinition& definition, const std::vector<std::string>& known) {
  std::string_view xml = definition.xml;
  for (size_t at = xml.find('/'); at != npos; at = xml.find('/', at + 1)) {
    char before = at == 0 ? ' ' : xml[at - 1];
    // A quote opens a value after '=', and closes one elsewhere.
    bool opens = (before == '\'' || before == '"') && at > 1 && xml[at - 2] == '=';
    if (!opens && before != '>') continue;
    char closing = before == '>' ? '<' : before;
    size_t end = std::min(xml.find(closing, at), xml.size());
    std::string path(xml.substr(at, std::min(end - at, kMaxPathSize)));
    at = end == xml.size() ? end - 1 : end;
    auto& paths = definition.host_paths;
    bool is_known = std::find(known.begin(), known.end(), path) != known.end() ||
                    std::find(paths.begin(), paths.end(), path) != paths.end();
    if (is_known) continue;
    if (paths.size() == kMaxPaths) {
      definition.has_more_paths = true;
      return;
    }
    paths.push_back(std::move(path));
  }
}

}  // namespace

HostDefinition adapt_definition(std::string_view xml,
                                const std::map<std::string, RestoredFile>& disks,
                                const std::string& nvram_path) {
  HostDefinition definition;
  definition.xml = xml;
  adapt_disks(definition, disks);
  adapt_nvram(definition, nvram_path);
  std::vector<std::string> known;
  for (const auto& [name, file] : disks) known.push_back(base::markup_text(file.path));
  if (!nvram_path.empty()) known.push_back(base::markup_text(nvram_path));
  find_host_paths(definition, known);
  return definition;
}

}  // namespace restore
