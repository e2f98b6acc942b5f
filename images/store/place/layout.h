// The names of all blobs and folders of a store, and nothing else. Pure functions. With "" as the
// store they are names inside it, as StorePlace takes them; with a directory they are paths of
// files, for a store in a local file system.
//   DIR/store          format file         DIR/packs/ab/<pack id>.pack
//   DIR/key            wrapped key         DIR/points/<machine id>/<point id>.point
//                                          DIR/points/<machine id>/<point id>.marks
//   DIR/writer.lock    held by the writer  DIR/index/ (LMDB; derived)
//   DIR/audit/<appliance>                  audit anchors of an appliance
#pragma once

#include <optional>
#include <string>

#include "images/ids.h"

namespace images::layout {

std::string parameters_file(const std::string& store);
std::string key_file(const std::string& store);
std::string writer_lock(const std::string& store);
std::string index_directory(const std::string& store);

std::string packs_directory(const std::string& store);
std::string pack_shard(const std::string& store, const PackId& pack);  // folder
std::string pack_file(const std::string& store, const PackId& pack);
// Whether a file in a shard or in a machine's folder is what an interrupted writing of one left.
bool is_leftover(const std::string& name);
std::optional<PackId> pack_of_name(const std::string& name);  // a file's name in a shard

std::string audit_directory(const std::string& store);
std::string audit_file(const std::string& store, const std::string& appliance);

std::string points_directory(const std::string& store);
std::string machine_directory(const std::string& store, const MachineId& machine);
std::string manifest_file(const std::string& store, const MachineId& machine, const PointId& point);
std::string marks_file(const std::string& store, const MachineId& machine, const PointId& point);
std::optional<MachineId> machine_of_name(const std::string& name);
std::optional<PointId> point_of_name(const std::string& name);

}  // namespace images::layout
