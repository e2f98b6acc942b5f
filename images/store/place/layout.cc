#include "images/store/place/layout.h"

#include "base/error.h"
#include "base/file_system.h"

namespace images::layout {
namespace {

using base::join_path;

constexpr std::string_view kPackSuffix = ".pack";
constexpr std::string_view kPointSuffix = ".point";
constexpr std::string_view kMarksSuffix = ".marks";

template <typename AnyId>
std::optional<AnyId> id_of_name(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  try {
    AnyId id = AnyId::from_hex(name);
    return id.hex() == name ? std::optional(id) : std::nullopt;
  } catch (const base::Error&) {
    return std::nullopt;  // not one of our files
  }
}

}  // namespace

std::string parameters_file(const std::string& store) { return join_path(store, "store"); }
std::string key_file(const std::string& store) { return join_path(store, "key"); }
std::string writer_lock(const std::string& store) { return join_path(store, "writer.lock"); }
std::string index_directory(const std::string& store) { return join_path(store, "index"); }
std::string packs_directory(const std::string& store) { return join_path(store, "packs"); }

std::string pack_shard(const std::string& store, const PackId& pack) {
  return join_path(packs_directory(store), pack.hex().substr(0, 2));
}

std::string pack_file(const std::string& store, const PackId& pack) {
  return join_path(pack_shard(store, pack), pack.hex() + std::string(kPackSuffix));
}

bool is_leftover(const std::string& name) {
  return name.ends_with(std::string(kPackSuffix) + ".tmp") ||
         name.ends_with(std::string(kPointSuffix) + ".tmp") ||
         name.ends_with(std::string(kMarksSuffix) + ".tmp");
}

std::optional<PackId> pack_of_name(const std::string& name) {
  return id_of_name<PackId>(name, kPackSuffix);
}

std::string audit_directory(const std::string& store) { return join_path(store, "audit"); }

std::string audit_file(const std::string& store, const std::string& appliance) {
  return join_path(audit_directory(store), appliance);
}

std::string points_directory(const std::string& store) { return join_path(store, "points"); }

std::string machine_directory(const std::string& store, const MachineId& machine) {
  return join_path(points_directory(store), machine.hex());
}

std::string manifest_file(const std::string& store, const MachineId& machine,
                          const PointId& point) {
  return join_path(machine_directory(store, machine), point.hex() + std::string(kPointSuffix));
}

std::string marks_file(const std::string& store, const MachineId& machine, const PointId& point) {
  return join_path(machine_directory(store, machine), point.hex() + std::string(kMarksSuffix));
}

std::optional<MachineId> machine_of_name(const std::string& name) {
  return id_of_name<MachineId>(name, "");
}
std::optional<PointId> point_of_name(const std::string& name) {
  return id_of_name<PointId>(name, kPointSuffix);
}

}  // namespace images::layout
