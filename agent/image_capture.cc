#include "agent/image_capture.h"

#include "agent/host_name.h"
#include "base/error.h"
#include "base/text.h"
#include "images/sources/file_change_detector.h"
#include "images/sources/image_file_source.h"

namespace agent {
namespace {

class ImageCapture : public Capture {
 public:
  ImageCapture(const std::vector<ImageDisk>& images, const CaptureSettings& settings) {
    for (const ImageDisk& image : images) {
      base::check_name(image.name, "disk's name");
      auto opened =
          images::open_image_source(image.path, {.format = image.format,
                                                 .runtime_directory = settings.run_directory,
                                                 .allowed = settings.allowed_files});
      for (const std::string& file : opened.files) detectors_.emplace_back(file);
      uint64_t size = opened.disk->size();
      disks_.push_back({image.name,
                        size,
                        {false, "an image file does not record changes"},
                        std::move(opened.disk)});
    }
    details_.host = host_name();
    details_.time_ms = base::now_ms();
    details_.consistency = images::Consistency::crash;
  }

  const std::vector<CapturedDisk>& disks() const override { return disks_; }
  const images::PointDetails& details() const override { return details_; }
  void check() override {
    for (const images::FileChangeDetector& detector : detectors_) detector.check();
  }
  void end_reading() override {
    check();
    for (CapturedDisk& disk : disks_) disk.source.reset();
  }
  void committed(const images::PointId&) noexcept override {}

 private:
  std::vector<images::FileChangeDetector> detectors_;
  std::vector<CapturedDisk> disks_;
  images::PointDetails details_;
};

}  // namespace

std::unique_ptr<Capture> capture_images(const std::vector<ImageDisk>& images,
                                        const CaptureSettings& settings) {
  return std::make_unique<ImageCapture>(images, settings);
}

}  // namespace agent
