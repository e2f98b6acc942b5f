// A VHDX file: fixed, dynamic or differencing. Layout according to Microsoft's [MS-VHDX].
#pragma once

#include <memory>
#include <optional>

#include "images/sources/image_headers.h"
#include "images/sources/image_layer.h"

namespace images {

// Null: not a VHDX. Throws corrupt for one that is damaged or cut off, unsupported for one that was
// not closed properly, whose log only Windows applies. `path` is for messages. The file must stay
// open while the layer is used.
std::unique_ptr<ImageLayer> open_vhdx_layer(const FilePart& part, const std::string& path);

// The link to its parent of a differencing VHDX; none for every other file, also a damaged one.
std::optional<ParentLink> parent_of_vhdx(const FilePart& part, const std::string& path);

}  // namespace images
