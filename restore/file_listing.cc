#include "restore/file_listing.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace restore {
namespace {

using nlohmann::json;

std::string text(const json& object, const char* field) {
  auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

uint64_t number(const json& object, const char* field) {
  auto found = object.find(field);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

char kind_letter(const std::string& kind) {
  if (kind == "folder") return 'd';
  if (kind == "link") return 'l';
  if (kind == "character-device") return 'c';
  if (kind == "block-device") return 'b';
  if (kind == "fifo") return 'p';
  if (kind == "socket") return 's';
  return kind == "file" ? '-' : '?';
}

std::string mode_letters(const std::string& octal) {
  unsigned mode = 0;
  for (char each : octal)
    mode = mode * 8 + (each >= '0' && each <= '7' ? static_cast<unsigned>(each - '0') : 0);
  std::string letters = "rwxrwxrwx";
  for (size_t i = 0; i < letters.size(); ++i) {
    if ((mode >> (8 - i) & 1) == 0) letters[i] = '-';
  }
  auto special = [&](unsigned bit, size_t at, char lower, char upper) {
    if ((mode & bit) != 0) letters[at] = letters[at] == 'x' ? lower : upper;
  };
  special(04000, 2, 's', 'S');
  special(02000, 5, 's', 'S');
  special(01000, 8, 't', 'T');
  return letters;
}

}  // namespace

std::string file_line(const json& node) {
  std::string owner = "-";
  if (node.contains("owner") && node["owner"].is_number())
    owner = fmt::format("{}:{}", number(node, "owner"), number(node, "group"));
  std::string kind = text(node, "kind"), time = text(node, "modified").substr(0, 19);
  if (size_t mark = time.find('T'); mark != std::string::npos) time[mark] = ' ';
  std::string size =
      kind == "file" ? base::format_size(number(node, "size")) : text(node, "device");
  std::string name = text(node, node.contains("path") ? "path" : "name");
  if (kind == "folder") name += "/";
  if (kind == "link") name += " -> " + text(node, "target");
  return fmt::format("{}{}  {:>11}  {:>10}  {:<19}  {}\n", kind_letter(kind),
                     mode_letters(text(node, "mode")), owner, size, time, name);
}

std::string volumes_text(const json& found) {
  std::string out;
  for (const json& each : found["volumes"]) {
    std::string more;
    for (const char* field : {"label", "origin"}) {
      if (!text(each, field).empty()) more += (more.empty() ? "" : ", ") + text(each, field);
    }
    out += fmt::format("{:<16}  {:<6}  {:>10}  {}\n", text(each, "name"), text(each, "type"),
                       base::format_size(number(each, "size")), more);
  }
  if (found["volumes"].empty()) {
    out += "No file system that can be read was found. Looked at:\n";
    for (const json& each : found["seen"]) out += "  " + each.get<std::string>() + "\n";
    if (found["seen"].empty()) out += "  nothing: the point has no disk with data\n";
  }
  for (const json& each : found["unread"]) {
    bool needs_key = each.contains("needs_key") && each["needs_key"] == true;
    out += fmt::format(
        "{} cannot be read: {}{}\n", text(each, "name"), text(each, "reason"),
        needs_key ? " (--volume-key-file or --volume-passphrase-file gives its key)" : "");
  }
  for (const json& each : found["volumes"]) {
    for (const json& note : each["notes"])
      out += fmt::format("{}: {}\n", text(each, "name"), note.get<std::string>());
  }
  for (const json& note : found["notes"]) out += note.get<std::string>() + "\n";
  return out;
}

std::string change_line(const json& change) {
  std::string words, problem = text(change, "problem");
  if (change.contains("what")) {
    for (const json& each : change["what"])
      words += (words.empty() ? " (" : ", ") + each.get<std::string>();
    if (!words.empty()) words += ")";
  }
  if (!problem.empty()) words = ": " + problem;
  bool is_folder = false;
  for (const char* side : {"after", "before"}) {
    if (change.contains(side)) {
      is_folder = text(change[side], "kind") == "folder";
      break;
    }
  }
  return fmt::format("{:<8} {}{}{}\n", text(change, "change"), text(change, "path"),
                     is_folder ? "/" : "", words);
}

}  // namespace restore
