// muletto-restore files …: files of a point from a bare store, without an appliance.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "images/files/archive_stream.h"
#include "images/files/comparison.h"
#include "images/files/file_place.h"
#include "images/files/files_process.h"
#include "images/files/name_text.h"
#include "images/files/node_json.h"
#include "restore/commands.h"
#include "restore/file_listing.h"
#include "restore/file_output.h"
#include "restore/point_help.h"

namespace restore {
namespace {

namespace files = images::files;
using base::Error;
using base::ErrorCode;
using base::options::value;
using nlohmann::json;

constexpr uint32_t kPage = 5000;

std::unique_ptr<files::FilesProcess> open_files(images::StoreReader& store,
                                                const base::Arguments& arguments,
                                                const char* point_word) {
  images::Point point = store.read_point(store.find_point(arguments.get(point_word)));
  std::vector<files::SharedDisk> disks;
  for (const images::PointDisk& disk : point.disks)
    disks.push_back(
        {disk.name, std::shared_ptr<images::DiskReader>(store.open_disk(point.id, disk.name))});
  return std::make_unique<files::FilesProcess>(std::move(disks), volume_keys_of(arguments));
}

void declare_files(base::options::options_description_easy_init add) {
  declare_store(add);
  declare_volume_keys(add);
}

// The path of what a walk met.
std::string whole_path(const files::FilePlace& place, const std::string& path) {
  if (path.empty()) return place.path;
  return (place.path == "/" ? "" : place.path) + "/" + path;
}

int list(const base::Arguments& arguments) {
  auto store = open_store(arguments);
  auto process = open_files(*store, arguments, "POINT");
  const files::FoundFileSystems& found = process->found();
  if (!arguments.has("PLACE")) {
    json answer = files::found_json(found);
    if (arguments.json()) fmt::print("{}\n", base::dump_text(answer));
    else fmt::print("{}", volumes_text(answer));
    return found.unread.empty() ? 0 : 1;
  }
  files::FilePlace place = files::place_of(arguments.get("PLACE"));
  uint32_t number = files::choose(found, place);
  json all = json::array(), problems = json::array();
  files::FilePage page;
  do {
    page = process->list(number, place.path, page.cursor, kPage);
    for (const files::Entry& each : page.entries) {
      json line = files::node_json(each.path, each.node);
      if (arguments.json()) all.push_back(std::move(line));
      else fmt::print("{}", file_line(line));
    }
    for (const files::Problem& each : page.problems) {
      problems.push_back({{"name", files::text_of_name(each.path)}, {"problem", each.why}});
      if (!arguments.json())
        fmt::print(stderr, "{}: {}\n", files::text_of_name(each.path), each.why);
    }
  } while (page.has_more);
  if (arguments.json())
    fmt::print("{}\n", base::dump_text(json{{"files", all}, {"problems", problems}}));
  return problems.empty() ? 0 : 1;
}

int find(const base::Arguments& arguments) {
  auto store = open_store(arguments);
  auto process = open_files(*store, arguments, "POINT");
  files::FilePlace place = files::place_of(arguments.get_or<std::string>("PLACE", "/"));
  files::WalkRequest request;
  request.file_system = files::choose(process->found(), place);
  request.path = place.path;
  request.pattern = files::name_of_text(arguments.get("name"));
  request.ignores_case = arguments.has("ignore-case");
  process->begin_walk(request);
  int code = 0;
  while (true) {
    files::Event event = process->next();
    if (auto* entry = std::get_if<files::Entry>(&event)) {
      json line = files::node_json("", entry->node);
      line.erase("name");
      line["path"] = files::text_of_name(whole_path(place, entry->path));
      if (arguments.json()) fmt::print("{}\n", base::dump_text(line));
      else fmt::print("{}", file_line(line));
    } else if (auto* problem = std::get_if<files::Problem>(&event)) {
      fmt::print(stderr, "{}: {}\n", files::text_of_name(whole_path(place, problem->path)),
                 problem->why);
      code = 1;
    } else if (auto* end = std::get_if<files::End>(&event)) {
      if (!end->is_good) throw Error(end->code, end->words);
      return code;
    }
  }
}

// One file as it is. Returns its size.
uint64_t get_raw(files::FilesProcess& process, uint32_t number, const std::string& path,
                 FileOutput& output) {
  files::Node node = process.look(number, path);
  process.begin_read(number, path, 0, node.size);
  uint64_t written = 0;
  while (true) {
    files::Event event = process.next();
    if (auto* data = std::get_if<files::Data>(&event)) {
      output.write(base::as_text(data->bytes));
      written += data->bytes.size();
    } else if (auto* end = std::get_if<files::End>(&event)) {
      if (!end->is_good) throw Error(end->code, end->words);
      if (written != node.size)
        throw Error(ErrorCode::corrupt, "the file is shorter than its size");
      return written;
    }
  }
}

int get(const base::Arguments& arguments) {
  std::string format = download_format(arguments);
  auto store = open_store(arguments);
  auto process = open_files(*store, arguments, "POINT");
  files::FilePlace place = files::place_of(arguments.get("PLACE"));
  uint32_t number = files::choose(process->found(), place);
  FileOutput output(arguments.get("to"), arguments.has("force"));
  if (format == "raw") {
    uint64_t size = get_raw(*process, number, place.path, output);
    output.commit();
    fmt::print(stderr, "{} written\n", base::format_size(size));
    return 0;
  }
  files::ArchiveStream stream(
      *process, format == "zip" ? files::ArchiveFormat::zip : files::ArchiveFormat::tar, number,
      place.path, files::archive_name(process->found().file_systems[number], place));
  for (std::string piece = stream.next(); !piece.empty(); piece = stream.next())
    output.write(piece);
  output.commit();
  const files::ArchiveFigures& figures = stream.figures();
  fmt::print(stderr, "{} files, {}\n", figures.file_count, base::format_size(figures.size));
  if (figures.problem_count == 0) return 0;
  throw Error(
      ErrorCode::corrupt,
      fmt::format("{} could not be read as they are in the point; the last file of the "
                  "archive, MULETTO-ERRORS.txt, names them. The first: {}",
                  base::format_count(figures.problem_count, "thing"), figures.first_problem));
}

int diff(const base::Arguments& arguments) {
  auto store = open_store(arguments);
  auto before = open_files(*store, arguments, "OLD"), after = open_files(*store, arguments, "NEW");
  files::FilePlace place = files::place_of(arguments.get_or<std::string>("PLACE", "/"));
  files::Comparison comparison({*before, files::choose(before->found(), place), place.path},
                               {*after, files::choose(after->found(), place), place.path});
  int code = 0;
  while (auto changes = comparison.next()) {
    for (const files::Change& change : *changes) {
      if (change.kind == files::ChangeKind::problem) code = 1;
      json line = files::change_json(change);
      if (arguments.json()) fmt::print("{}\n", base::dump_text(line));
      else fmt::print("{}", change_line(line));
    }
  }
  return code;
}

}  // namespace

base::Command files_list_command() {
  base::Command command;
  command.name = "files list";
  command.summary = "List the file systems of a point, or a folder in one";
  command.positional = {"POINT", "PLACE?"};
  command.declare_options = declare_files;
  command.run = list;
  command.notes = std::string(kPointHelp) + "\n\n" + kFileHelp;
  return command;
}

base::Command files_find_command() {
  base::Command command;
  command.name = "files find";
  command.summary = "Find files of a point by their names";
  command.positional = {"POINT", "PLACE?"};
  command.declare_options = [](auto add) {
    declare_find(add);
    declare_files(add);
  };
  command.run = find;
  command.notes = std::string(kPointHelp) + "\n\n" + kFileHelp;
  return command;
}

base::Command files_get_command() {
  base::Command command;
  command.name = "files get";
  command.summary = "Write a file or folder of a point out";
  command.positional = {"POINT", "PLACE"};
  command.declare_options = [](auto add) {
    declare_download(add);
    declare_files(add);
  };
  command.run = get;
  command.notes = std::string(kDownloadHelp) + "\n\n" + kPointHelp + "\n\n" + kFileHelp;
  return command;
}

base::Command files_diff_command() {
  base::Command command;
  command.name = "files diff";
  command.summary = "Compare the files of two points of a machine";
  command.positional = {"OLD", "NEW", "PLACE?"};
  command.declare_options = declare_files;
  command.run = diff;
  command.notes = kFileHelp;
  return command;
}

}  // namespace restore
