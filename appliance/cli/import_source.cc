#include "appliance/cli/import_source.h"

#include <fmt/format.h>

#include <set>

#include "appliance/cli/present.h"
#include "appliance/cli/table.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"
#include "images/sync/sync_engine.h"

namespace appliance::cli {
namespace {

using base::Error;
using base::ErrorCode;
using base::options::value;

constexpr uint64_t kMaxXml = 1 << 20;  // bytes
constexpr uint64_t kMaxCpus = 1024;
constexpr uint64_t kCheckEvery_ms = 2000;

struct ImageArgument {
  std::string disk;
  std::string path;
};

std::vector<ImageArgument> image_arguments(const base::Arguments& arguments) {
  std::vector<ImageArgument> images;
  for (const std::string& text : arguments.list("disk")) {
    size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("--disk '{}' is not NAME=FILE; write it like vda=disk.qcow2", text));
    }
    images.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return images;
}

}  // namespace

void declare_import(base::options::options_description_easy_init add) {
  using Words = std::vector<std::string>;
  add("machine", value<std::string>()->value_name("NAME"),
      "the machine of the point (default: the name that the export has for it)");
  add("disk", value<Words>()->value_name("NAME=FILE"),
      "a disk and its image, instead of an export");
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
}

ImportSource::ImportSource(const base::Arguments& arguments, const Base& base)
    : begin_ms_(base::steady_ms()) {
  bool is_export = arguments.has("EXPORT");
  if (is_export == arguments.has("disk")) {
    throw Error(ErrorCode::invalid_argument,
                is_export ? "give an EXPORT or images (--disk), not both"
                          : "give an EXPORT (OVA, OVF, VMX, VMA, a folder of Hyper-V), or images: "
                            "--disk NAME=FILE is missing");
  }
  if (is_export && (arguments.has("format") || arguments.has("libvirt-xml") || base.point)) {
    throw Error(ErrorCode::invalid_argument,
                "--format, --libvirt-xml and --bitmap are for images (--disk), not for an EXPORT");
  }
  if (is_export) open_export(arguments);
  else open_images(arguments, base);
  if (arguments.has("machine")) plan_.machine_name = arguments.get("machine");
  if (plan_.machine_name.empty())
    throw Error(ErrorCode::invalid_argument,
                is_export ? "the export does not name its machine: give --machine NAME"
                          : "--machine is missing");
  base::check_name(plan_.machine_name, "machine's name");
  describe(arguments);
  expect_unchanged();
}

void ImportSource::open_images(const base::Arguments& arguments, const Base& base) {
  images::ImageOptions options;
  options.allowed = arguments.list("allow");
  options.dirty_bitmap = base.bitmap;
  std::vector<ImageArgument> given = image_arguments(arguments);
  std::vector<std::string> names;
  for (const ImageArgument& image : given) names.push_back(image.disk);
  auto formats = images::formats_of_disks(arguments.list("format"), names);
  for (const ImageArgument& image : given) {
    options.format = formats[image.disk];
    images_.push_back(images::open_image_source(image.path, options));
    for (const std::string& file : images_.back().files) detectors_.emplace_back(file);
    disks_.push_back(images_.back().disk.get());
    plan_.disks.push_back({image.disk, disks_.back()->size(), base.point});
  }
}

void ImportSource::open_export(const base::Arguments& arguments) {
  base::TerminalLine line;
  images::MachineExportOptions options;
  options.allowed = arguments.list("allow");
  options.on_progress = [&](const std::string& step, uint64_t done, uint64_t total) {
    if (total != 0) line.show(step, {.done = done, .total = total});
    else line.show(fmt::format("{}: {}", step, base::format_size(done)));
  };
  machine_ = images::open_machine_export(arguments.get("EXPORT"), options);
  line.clear();
  std::set<std::string> watched(machine_->files.begin(), machine_->files.end());
  for (const std::string& file : watched) detectors_.emplace_back(file);
  plan_.machine_name = machine_->name;
  for (const images::ExportedDisk& disk : machine_->disks) {
    disks_.push_back(disk.source.get());
    plan_.disks.push_back({disk.name, disk.source->size(), std::nullopt});
  }
}

void ImportSource::describe(const base::Arguments& arguments) {
  details_.time_ms =
      arguments.has("time") ? base::parse_time_ms(arguments.get("time")) : base::now_ms();
  details_.dated_by_person = arguments.has("time");
  std::string note = machine_ ? images::note_of(*machine_) : "imported";
  if (arguments.has("note"))
    note = machine_ ? arguments.get("note") + "; " + note : arguments.get("note");
  details_.note = note;
  images::MachineDefinition& definition = details_.definition;
  if (machine_) definition = machine_->definition;
  if (arguments.has("firmware"))
    definition.firmware = images::firmware_from_name(arguments.get("firmware"));
  if (auto count = number_option(arguments, "cpus", 1, kMaxCpus))
    definition.cpu_count = static_cast<uint32_t>(*count);
  if (auto size = size_option(arguments, "memory")) definition.memory_size = *size;
  if (arguments.has("libvirt-xml")) {
    base::Bytes xml = base::read_to_end(arguments.get("libvirt-xml"), kMaxXml);
    definition.libvirt_xml = std::string(base::as_text(xml));
  }
}

void ImportSource::expect_unchanged() const {
  for (const images::FileChangeDetector& detector : detectors_) detector.check();
}

images::PointId ImportSource::copy_to(images::PointSink& sink) {
  base::TerminalLine line;
  images::CopyOptions options;
  uint64_t checked_ms = base::steady_ms();
  options.on_progress = [&](const images::CopyProgress& now) {
    line.show("importing", {.done = now.bytes_done, .total = now.bytes_total});
    if (base::steady_ms() - checked_ms < kCheckEvery_ms) return;
    expect_unchanged();
    checked_ms = base::steady_ms();
  };
  images::CopyProgress copied = images::copy_disks(plan_, disks_, sink, options);
  line.clear();
  expect_unchanged();
  details_.figures.bytes_read = copied.bytes_read;
  details_.figures.duration_ms = base::steady_ms() - begin_ms_;
  return sink.commit(details_);
}

}  // namespace appliance::cli
