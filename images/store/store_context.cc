#include "images/store/store_context.h"

#include "base/error.h"
#include "images/store/layout.h"
#include "images/store/store_keyring.h"

namespace images {

using base::Error;
using base::ErrorCode;

StoreContext::StoreContext(base::FileSystem& store_files, const std::string& store,
                           const format::StoreParameters& store_parameters,
                           std::optional<StoreKeys> store_keys)
    : files(store_files), directory(store), parameters(store_parameters),
      keys(std::move(store_keys)), shape(TreeShape::of(parameters)),
      hasher(parameters.chunk_size, keys ? std::optional(keys->ids) : std::nullopt),
      codec(parameters, keys) {}

void StoreContext::open_index(const std::string& index_directory, bool create) {
  index_ = ChunkIndex::open(index_directory, parameters.id, create);
  records_ = std::make_unique<RecordReader>(files, directory, *index_, codec);
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

std::optional<base::Key256> StoreContext::manifest_key() const {
  return keys ? std::optional(keys->manifests) : std::nullopt;
}

Point StoreContext::read_point(const MachineId& machine, const PointId& id) const {
  std::string path = layout::manifest_file(directory, machine, id);
  try {
    return format::decode_manifest(base::read_file(files, path, format::kMaxManifestSize),
                                   manifest_key());
  } catch (const Error& error) {
    throw error.with_context("point " + id.hex().substr(0, 8));
  }
}

format::StoreParameters read_parameters(base::FileSystem& files, const std::string& directory) {
  std::string path = layout::parameters_file(directory);
  if (!files.exists(path)) throw Error(ErrorCode::not_found, "there is no store in " + directory);
  return format::decode_parameters(base::read_file(files, path, 4096));
}

std::unique_ptr<StoreContext> open_store_context(base::FileSystem& files,
                                                 const std::string& directory, const KeySource& key,
                                                 KeyUse use) {
  format::StoreParameters parameters = read_parameters(files, directory);
  std::optional<StoreKeys> keys;
  if (parameters.encrypted && (use == KeyUse::required || !key.empty())) {
    keys = open_store_keys(files, directory, key);
  }
  if (!parameters.encrypted && !key.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "a key was given, but the store in " + directory + " is not encrypted");
  }
  return std::make_unique<StoreContext>(files, directory, parameters, std::move(keys));
}

}  // namespace images
