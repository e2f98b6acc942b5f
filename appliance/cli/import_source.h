// What `store import` and `machine import` read: image files, or a machine that another hypervisor
// exported. Both commands take the same options, and differ only in where the point goes.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/program.h"
#include "base/progress.h"
#include "images/imports/machine_export.h"
#include "images/point_sink.h"
#include "images/sources/file_change_detector.h"
#include "images/sources/image_file_source.h"

namespace appliance::cli {

// EXPORT is a positional argument of the command.
void declare_import(base::options::options_description_easy_init add);

class ImportSource {
 public:
  struct Base {
    std::optional<images::PointId> point;  // since which `bitmap` records changes
    std::string bitmap;
  };
  // Opens everything, verifies what has checksums, and begins to watch the files. Shows its steps on
  // a terminal. Throws invalid_argument for options that contradict each other, and what
  // open_machine_export() and open_image_source() throw.
  ImportSource(const base::Arguments& arguments, const Base& base = {});

  const images::SyncPlan& plan() const { return plan_; }
  // Everything except the figures of the copy.
  const images::PointDetails& details() const { return details_; }

  // Copies into the sink, shows how far it is, and commits. Throws busy, without a point, if a file
  // was written to meanwhile.
  images::PointId copy_to(images::PointSink& sink);

 private:
  void open_images(const base::Arguments& arguments, const Base& base);
  void open_export(const base::Arguments& arguments);
  void describe(const base::Arguments& arguments);
  void expect_unchanged() const;

  const uint64_t begin_ms_;
  std::vector<images::ImageSource> images_;
  std::optional<images::MachineExport> machine_;
  std::vector<images::DiskSource*> disks_;
  std::vector<images::FileChangeDetector> detectors_;
  images::SyncPlan plan_;
  images::PointDetails details_;
};

}  // namespace appliance::cli
