#include "appliance/access/node_id.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::access {
namespace {

constexpr uint64_t kMaxFile = 1024;  // bytes

}  // namespace

NodeId open_node_id(const std::string& path, const std::optional<NodeId>& remembered) {
  base::FileSystem& files = base::real_file_system();
  if (!files.exists(path)) {
    NodeId made = remembered ? *remembered : NodeId::random();
    base::write_file_durably(files, path, base::as_bytes(made.hex() + "\n"));
    return made;
  }
  base::Bytes text = base::read_file(files, path, kMaxFile);
  try {
    return NodeId::from_hex(base::trim(base::as_text(text)));
  } catch (const base::Error&) {
    throw base::Error(base::ErrorCode::corrupt,
                      fmt::format("{} does not hold the id of this installation: remove it, and it "
                                  "is written again",
                                  path));
  }
}

}  // namespace appliance::access
