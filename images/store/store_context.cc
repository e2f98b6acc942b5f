#include "images/store/store_context.h"

#include "base/error.h"
#include "images/store/place/layout.h"
#include "images/store/place/local_place.h"
#include "images/store/store_keyring.h"

namespace images {

using base::Error;
using base::ErrorCode;

namespace {
constexpr uint64_t kMaxParameters = 4096;  // bytes of the format file
}  // namespace

StoreContext::StoreContext(std::shared_ptr<StorePlace> store_place,
                           const format::StoreParameters& store_parameters,
                           std::optional<StoreKeys> store_keys)
    : place(std::move(store_place)), blobs(place->blobs()), directory(place->location()),
      parameters(store_parameters), keys(std::move(store_keys)), shape(TreeShape::of(parameters)),
      hasher(parameters.chunk_size, keys ? std::optional(keys->ids) : std::nullopt),
      codec(parameters, keys) {}

void StoreContext::open_index(const std::string& index_directory, bool create) {
  index_ = ChunkIndex::open(index_directory, parameters.id, create);
  records_ = std::make_unique<RecordReader>(blobs, *index_, codec);
}

void StoreContext::close_index() {
  records_.reset();
  index_.reset();
}

std::shared_ptr<const format::Node> StoreContext::load_node(const ChunkId& id) const {
  if (auto cached = nodes_.find(id)) return cached;
  auto node = records_->read_node(id);
  nodes_.put(id, node);
  return node;
}

NodeLoader StoreContext::node_loader() const {
  return [this](const ChunkId& id) { return load_node(id); };
}

PointMarks StoreContext::read_marks(const MachineId& machine, const PointId& id) const {
  std::string name = layout::marks_file("", machine, id);
  if (!blobs.exists(name)) return {};
  return format::decode_marks_file(blobs.get(name, format::kMaxMarksFileSize), id, manifest_key());
}

void StoreContext::write_marks(const MachineId& machine, const PointId& id,
                               const PointMarks& marks) const {
  std::string name = layout::marks_file("", machine, id);
  if (marks.empty()) {
    if (!blobs.exists(name)) return;
    blobs.remove(name);
    blobs.sync_names(layout::machine_directory("", machine));
    return;
  }
  if (parameters.encrypted && !keys) {
    throw Error(ErrorCode::unauthorized, "the store is encrypted; give its key");
  }
  blobs.put(name, format::encode_marks_file(id, marks, manifest_key()));
}

std::optional<base::Key256> StoreContext::manifest_key() const {
  return keys ? std::optional(keys->manifests) : std::nullopt;
}

Point StoreContext::read_point(const MachineId& machine, const PointId& id) const {
  std::string name = layout::manifest_file("", machine, id);
  try {
    return format::decode_manifest(blobs.get(name, format::kMaxManifestSize), manifest_key());
  } catch (const Error& error) {
    throw error.with_context("point " + id.hex().substr(0, 8));
  }
}

base::Bytes read_parameters_blob(StorePlace& place) {
  std::string name = layout::parameters_file("");
  if (!place.blobs().exists(name))
    throw Error(ErrorCode::not_found, "there is no store in " + place.location());
  return place.blobs().get(name, kMaxParameters);
}

format::StoreParameters read_parameters(StorePlace& place) {
  return format::decode_parameters(read_parameters_blob(place));
}

format::StoreParameters read_parameters(base::FileSystem& files, const std::string& directory) {
  return read_parameters(*local_place(files, directory));
}

std::unique_ptr<StoreContext> open_store_context(std::shared_ptr<StorePlace> place,
                                                 const KeySource& key, KeyUse use) {
  format::StoreParameters parameters = read_parameters(*place);
  std::optional<StoreKeys> keys;
  if (parameters.encrypted && (use == KeyUse::required || !key.empty())) {
    keys = open_store_keys(place->blobs(), key);
  }
  if (!parameters.encrypted && !key.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "a key was given, but the store in " + place->location() + " is not encrypted");
  }
  return std::make_unique<StoreContext>(std::move(place), parameters, std::move(keys));
}

}  // namespace images
