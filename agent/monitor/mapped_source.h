// A disk whose content comes from one source, and what changed in it from another. The map may
// mark more than what changed, never less. As thread-safe as its two sources.
#pragma once

#include <memory>

#include "images/disk_source.h"

namespace agent::monitor {

// Takes both. Of the map only what it calls `unchanged` counts: its data and zeros may be of
// another instant. Throws busy if the two are not of one size.
std::unique_ptr<images::DiskSource> mapped_source(std::unique_ptr<images::DiskSource> content,
                                                  std::unique_ptr<images::DiskSource> map);

}  // namespace agent::monitor
