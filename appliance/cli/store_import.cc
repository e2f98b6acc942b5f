#include <fmt/format.h>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/store_options.h"
#include "appliance/cli/table.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"
#include "images/sources/image_file_source.h"
#include "images/store/place/open_place.h"
#include "images/sync/sync_engine.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr uint64_t kMaxXml = 1 << 20;  // bytes
constexpr uint64_t kMaxCpus = 1024;

void declare_options(base::options::options_description_easy_init add) {
  using Words = std::vector<std::string>;
  add("machine", value<std::string>()->required()->value_name("NAME"), "the machine of the point");
  add("disk", value<Words>()->required()->value_name("NAME=FILE"), "a disk and its image");
  add("format", value<Words>()->value_name("[NAME=]FORMAT"),
      "format of all images, or of one: raw, qcow2, vmdk, vhdx, vpc, vdi, … (default: raw)");
  add("allow", value<Words>()->value_name("FILE"),
      "a file, or a folder with everything below it, that images elsewhere may build on");
  add("firmware", value<std::string>()->value_name("bios|uefi"), "firmware of the machine");
  add("cpus", value<std::string>()->value_name("COUNT"), "number of CPUs of the machine");
  add("memory", value<std::string>()->value_name("SIZE"), "memory of the machine, such as 2G");
  add("libvirt-xml", value<std::string>()->value_name("FILE"),
      "libvirt's definition of the machine, from 'virsh dumpxml'");
  add("time", value<std::string>()->value_name("TIME"),
      "when the images were taken, which is kept and shown (default: now); the point is "
      "ordered after the machine's other points all the same");
  add("note", value<std::string>()->value_name("TEXT"), "a note that is kept with the point");
  add("base", value<std::string>()->value_name("POINT"),
      "the point since which --bitmap records changes");
  add("bitmap", value<std::string>()->value_name("NAME"),
      "read only what this dirty bitmap of the qcow2 images marks; the rest is as in --base");
  declare_key(add);
}

struct ImageArgument {
  std::string disk;
  std::string path;
};

std::vector<ImageArgument> image_arguments(const base::Arguments& arguments) {
  std::vector<ImageArgument> images;
  for (const std::string& text : arguments.list("disk")) {
    size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
      throw base::Error(
          base::ErrorCode::invalid_argument,
          fmt::format("--disk '{}' is not NAME=FILE; write it like vda=disk.qcow2", text));
    }
    images.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  if (images.empty())
    throw base::Error(base::ErrorCode::invalid_argument, "--disk is missing; give at least one");
  return images;
}

images::PointDetails point_details(const base::Arguments& arguments) {
  images::PointDetails details;
  details.time_ms =
      arguments.has("time") ? base::parse_time_ms(arguments.get("time")) : base::now_ms();
  details.dated_by_person = arguments.has("time");
  details.note = arguments.get_or<std::string>("note", "imported");
  images::MachineDefinition& definition = details.definition;
  if (arguments.has("firmware"))
    definition.firmware = images::firmware_from_name(arguments.get("firmware"));
  definition.cpu_count =
      static_cast<uint32_t>(number_option(arguments, "cpus", 1, kMaxCpus).value_or(0));
  definition.memory_size = size_option(arguments, "memory").value_or(0);
  if (arguments.has("libvirt-xml")) {
    base::Bytes xml = base::read_to_end(arguments.get("libvirt-xml"), kMaxXml);
    definition.libvirt_xml = std::string(base::as_text(xml));
  }
  return details;
}

// The images, opened; each outlives the copy.
struct Sources {
  std::vector<images::ImageSource> images;
  std::vector<images::DiskSource*> disks;
  images::SyncPlan plan;
};

// The point from --base, which must be used together with --bitmap.
std::optional<images::PointId> base_of(const base::Arguments& arguments,
                                       images::StoreReader& reader) {
  if (arguments.has("base") != arguments.has("bitmap")) {
    throw base::Error(base::ErrorCode::invalid_argument, "--base and --bitmap go together");
  }
  if (!arguments.has("base")) return std::nullopt;
  return reader.find_point(arguments.get("base"));
}

Sources open_sources(const base::Arguments& arguments,
                     const std::optional<images::PointId>& base_point) {
  Sources sources;
  sources.plan.machine_name = arguments.get("machine");
  base::check_name(sources.plan.machine_name, "machine's name");
  images::ImageOptions options;
  options.allowed = arguments.list("allow");
  options.dirty_bitmap = arguments.get_or<std::string>("bitmap", "");
  std::vector<ImageArgument> given = image_arguments(arguments);
  std::vector<std::string> names;
  for (const ImageArgument& image : given) names.push_back(image.disk);
  auto formats = images::formats_of_disks(arguments.list("format"), names);
  for (const ImageArgument& image : given) {
    options.format = formats[image.disk];
    sources.images.push_back(images::open_image_source(image.path, options));
    sources.disks.push_back(sources.images.back().disk.get());
    sources.plan.disks.push_back({image.disk, sources.disks.back()->size(), base_point});
  }
  return sources;
}

void print_outcome(const base::Arguments& arguments, const images::Point& point) {
  if (arguments.json()) {
    print_json({{"point", point.id.hex()},
                {"machine", point.machine_name},
                {"time", base::format_time_ms(point.time_ms)},
                {"bytes_read", point.figures.bytes_read},
                {"bytes_sent", point.figures.bytes_sent},
                {"bytes_stored", point.figures.bytes_stored},
                {"duration_ms", point.figures.duration_ms}});
    return;
  }
  fmt::print("Point {} of {}: {} read, {} stored, {}.\n", point.id.hex(),
             printable(point.machine_name), base::format_size(point.figures.bytes_read),
             base::format_size(point.figures.bytes_stored),
             base::format_duration_ms(point.figures.duration_ms));
}

int run(const base::Arguments& arguments) {
  uint64_t begin_ms = base::steady_ms();
  images::PointDetails details = point_details(arguments);
  auto writer =
      images::StoreWriter::open(images::open_place(arguments.get("DIR")), key_of(arguments));
  Sources sources = open_sources(arguments, base_of(arguments, writer->reader()));
  images::PointId id;
  {
    auto sink = writer->begin(sources.plan);
    base::TerminalLine line;
    images::CopyOptions options;
    options.on_progress = [&](const images::CopyProgress& now) {
      line.show("importing", {.done = now.bytes_done, .total = now.bytes_total});
    };
    images::CopyProgress copied = images::copy_disks(sources.plan, sources.disks, *sink, options);
    line.clear();
    details.figures.bytes_read = copied.bytes_read;
    details.figures.duration_ms = base::steady_ms() - begin_ms;
    id = sink->commit(details);
  }
  print_outcome(arguments, writer->reader().read_point(id));
  return 0;
}

}  // namespace

base::Command store_import_command() {
  base::Command command;
  command.name = "store import";
  command.summary = "Create a point from image files";
  command.positional = {"DIR"};
  command.declare_options = declare_options;
  command.run = run;
  command.notes = "Each point is complete. Chunks that the store has already are not stored again.";
  return command;
}

}  // namespace appliance::cli
