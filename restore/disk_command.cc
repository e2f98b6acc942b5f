#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json_access.h"
#include "base/progress.h"
#include "base/stop_signals.h"
#include "base/text.h"
#include "restore/commands.h"
#include "restore/point_help.h"
#include "restore/restore_disk.h"

namespace restore {
namespace {

using base::options::value;

void declare_disk(base::options::options_description_easy_init add) {
  declare_store(add);
  add("disk", value<std::string>()->value_name("NAME"),
      "the disk to write (default: the point's only disk)");
  add("to", value<std::string>()->required()->value_name("FILE"),
      "the file to create, or a block device to overwrite");
  add("format",
      value<std::string>()->default_value("raw")->value_name(
          "raw|qcow2|vmdk|vhdx|vdi|vpc|qcow|qed|parallels"),
      "format of the file");
  add("force", "overwrite a file or block device that exists");
  add("threads", value<uint32_t>()->default_value(2)->value_name("COUNT"),
      "how many threads decompress and write");
}

std::string choose_disk(const base::Arguments& arguments, const images::Point& point) {
  if (!arguments.has("disk") && point.disks.size() == 1) return point.disks.front().name;
  return point.disk(arguments.get("disk")).name;
}

int run_disk(const base::Arguments& arguments) {
  base::StopSignals signals;
  std::unique_ptr<images::StoreReader> store = open_store(arguments);
  DiskRestore options;
  options.store = store_of(arguments);
  options.target = arguments.get("to");
  options.format = arguments.get("format");
  options.overwrite = arguments.has("force") ? Overwrite::replace : Overwrite::refuse;
  options.thread_count = arguments.get<uint32_t>("threads");
  options.stop = signals.token();
  images::Point point = store->read_point(store->find_point(arguments.get("POINT")));
  options.point = point.id;
  options.disk_name = choose_disk(arguments, point);
  DiskResult result;
  {
    base::ProgressPrinter printer(options.disk_name, base::progress_style_of_standard_error());
    options.on_progress = [&](const RestoreProgress& progress) {
      printer.show({.done = progress.bytes_done, .total = progress.bytes_total});
    };
    result = restore_disk(*store, options);
  }
  if (arguments.json()) {
    nlohmann::json object{{"point", point.id.hex()},         {"machine", point.machine_name},
                          {"disk", options.disk_name},       {"target", options.target},
                          {"format", options.format},        {"size", result.size},
                          {"written", result.bytes_written}, {"duration_ms", result.duration_ms}};
    fmt::print("{}\n", base::dump_text(object));
  } else {
    fmt::print("{} of {} is in {}: {}, {} written, {}\n", options.disk_name, point.machine_name,
               options.target, base::format_size(result.size),
               base::format_size(result.bytes_written),
               base::format_duration_ms(result.duration_ms));
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
      "device is overwritten in place, with --force.";
  return command;
}

}  // namespace restore
