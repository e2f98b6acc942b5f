// A VHD file: fixed, dynamic or differencing. Layout according to Microsoft's "Virtual Hard Disk
// Image Format Specification", version 1.0.
#pragma once

#include <memory>
#include <optional>

#include "images/sources/image_headers.h"
#include "images/sources/image_layer.h"

namespace images {

// Null: not a VHD. Throws corrupt for one that is damaged or cut off, unsupported for sizes that no
// VHD has. `path` is for messages. The file must stay open while the layer is used.
std::unique_ptr<ImageLayer> open_vhd_layer(const FilePart& part, const std::string& path);

// The link to its parent of a differencing VHD; none for every other file. Reads two headers only.
std::optional<ParentLink> parent_of_vhd(const FilePart& part);

}  // namespace images
