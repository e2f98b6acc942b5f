#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_access.h"
#include "base/stop_signals.h"
#include "restore/commands.h"
#include "restore/point_help.h"
#include "restore/write_arguments.h"

namespace restore {
namespace {

using base::options::value;

void declare_disk(base::options::options_description_easy_init add) {
  declare_store(add);
  add("disk", value<std::string>()->value_name("NAME"),
      "the disk to write (default: the point's only disk)");
  add("to", value<std::string>()->required()->value_name("FILE"),
      "the file to create, or a block device to overwrite");
  declare_writing(add);
}

std::string choose_disk(const base::Arguments& arguments, const images::Point& point) {
  if (!arguments.has("disk") && point.disks.size() == 1) return point.disks.front().name;
  return point.disk(arguments.get("disk")).name;
}

int run_disk(const base::Arguments& arguments) {
  base::StopSignals signals;
  std::unique_ptr<images::StoreReader> store = open_store(arguments, signals.token());
  DiskRestore options = writing_of(arguments, signals.token());
  options.store = store_of(arguments);
  options.target = arguments.get("to");
  images::Point point = store->read_point(store->find_point(arguments.get("POINT")));
  options.point = point.id;
  options.machine_name = point.machine_name;
  options.disk_name = choose_disk(arguments, point);
  DiskResult result = restore_with_progress(*store, options);
  if (arguments.json()) {
    nlohmann::json object = json_of(options, result);
    object["point"] = point.id.hex();
    object["machine"] = point.machine_name;
    fmt::print("{}\n", base::dump_text(object));
  } else {
    fmt::print("{}\n", sentence_of(options, result));
    for (const std::string& note : result.notes) fmt::print(stderr, "{}.\n", note);
  }
  return 0;
}

}  // namespace

base::Command disk_command() {
  base::Command command;
  command.name = "disk";
  command.summary = "Write one disk of a point to a file or a block device";
  command.positional = {"POINT"};
  command.declare_options = declare_disk;
  command.run = run_disk;
  command.notes =
      std::string(kPointHelp) +
      "\n\n"
      "A file appears when it is complete; until then, and after a failure, there is none. A block "
      "device, and with --in-place a raw file, is written where it is: it is read and compared "
      "first, and only what differs is written. Started again after an interruption, it goes on: "
      "what was written before is equal then."
      "\n\n"
      "What is mounted, part of a volume, swap, or open in a virtual machine is refused. Anything "
      "else that is not empty is named, and overwritten only with --overwrite NAME, or when the "
      "name is typed on a terminal.";
  return command;
}

}  // namespace restore
