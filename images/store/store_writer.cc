#include "images/store/store_writer.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "images/store/compactor.h"
#include "images/store/local_sink.h"
#include "images/store/pack_appender.h"
#include "images/store/place/layout.h"
#include "images/store/place/local_place.h"
#include "images/store/point_lookup.h"
#include "images/store/reference_counter.h"
#include "images/store/store_checker.h"
#include "images/store/store_context.h"
#include "images/store/store_keyring.h"
#include "images/store/store_reader_over.h"
#include "images/store/store_recovery.h"
#include "images/store/timeline_guard.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using format::PublicManifest;

PublicManifest public_part(const Point& point) {
  PublicManifest manifest{point.id, point.machine, point.time_ms, point.consistency,
                          {},       point.dates,   point.lineage};
  for (const PointDisk& disk : point.disks)
    manifest.disks.push_back({disk.key, disk.size, disk.root});
  return manifest;
}

std::string index_path_of(StorePlace& place, const std::string& index_directory) {
  std::string path = index_directory.empty() ? place.index_directory() : index_directory;
  if (!path.empty()) return path;
  throw Error(ErrorCode::invalid_argument,
              "the store in " + place.location() + " has no folder for an index; name one");
}

// LMDB does its own I/O: the folder of the index is on a real file system even if the store is not.
std::string prepare_index_directory(StorePlace& place, const std::string& index_directory) {
  std::string path = index_path_of(place, index_directory);
  base::real_file_system().make_directory(path);
  return path;
}

// Turns an older store into one of this version, durably, before anything new is written to it: an
// older program then refuses it instead of misunderstanding it. The caller has the writer's lease.
void bring_up_to_date(StorePlace& place) {
  base::Bytes old = read_parameters_blob(place);
  format::StoreParameters parameters = format::decode_parameters(old);
  if (parameters.version == format::kStoreVersion) return;
  parameters.version = format::kStoreVersion;
  if (!place.blobs().replace(layout::parameters_file(""), old,
                             format::encode_parameters(parameters)))
    throw Error(ErrorCode::busy, "another process changed the store in " + place.location());
  base::log().info("the store in {} was upgraded to format version {}", place.location(),
                   parameters.version);
}

StoreFigures figures_of(StoreContext& store) {
  StoreFigures figures;
  auto transaction = store.index().read();
  MachineId last;
  transaction->for_each_point([&](const PublicManifest& point) {
    ++figures.point_count;
    if (figures.machine_count == 0 || point.machine != last) ++figures.machine_count;
    last = point.machine;
    for (const auto& disk : point.disks) figures.logical_size += disk.size;
  });
  transaction->for_each_pack([&](uint32_t, const PackEntry& row) {
    ++figures.pack_count;
    figures.pack_size += row.size;
    figures.live_size += row.live_size;
  });
  figures.chunk_count = transaction->chunk_count();
  return figures;
}

class IndexedWriter : public StoreWriter {
 public:
  IndexedWriter(std::shared_ptr<StoreContext> store, std::unique_ptr<Lease> lease,
                std::string index_directory, const WriterLimits& limits)
      : lease_(std::move(lease)), index_directory_(std::move(index_directory)), limits_(limits),
        clock_(limits.clock != nullptr ? *limits.clock : base::system_clock()),
        store_(std::move(store)), reader_(reader_over(store_, {})),
        appender_(*store_->place, *lease_, store_->parameters, store_->index(), store_->pack_size) {
  }

  // Without the mark the next opening examines everything: a failure here costs time, not data.
  ~IndexedWriter() override {
    try {
      appender_.seal();
      if (timeline_.sound) try_count_departures();
      // Throws if LMDB has failed permanently after a failed commit: then its file proves nothing.
      store_->index().write();
      if (timeline_.sound && lease_->is_held()) leave_clean_mark(index_directory_);
    } catch (const Error& error) {
      base::log().warn("the store in {} was not closed cleanly: {}", store_->directory,
                       error.message());
    }
  }

  bool usable() override {
    if (!timeline_.sound || !lease_->is_held()) return false;
    try {
      store_->index().write();
      return true;
    } catch (const Error& error) {
      return error.code() == ErrorCode::no_space;  // there may be room again
    }
  }

  StoreReader& reader() override { return *reader_; }

  std::unique_ptr<StoreSink> begin(const SyncPlan& plan) override {
    require_sound();
    if (!store_->codec.can_open_chunks()) {
      throw Error(ErrorCode::unauthorized, "the store is encrypted; give its key");
    }
    return std::make_unique<LocalSink>(
        *store_, appender_, registry_, plan,
        [this](Point point, Dating dating) { publish(std::move(point), dating); });
  }

  void delete_point(const PointId& id) override {
    require_sound();
    auto point = store_->index().read()->find_point(id);
    const MachineId machine = point ? point->machine : find_unlisted(id);
    const std::string name = layout::manifest_file("", machine, id);
    auto alone = lease_for_deletion(id, name);
    std::lock_guard timeline(timeline_.mutex);
    require_sound();
    store_->blobs.remove(layout::marks_file("", machine, id));
    store_->blobs.remove(name);
    change_index([&](ReferenceCounter& counter) {
      store_->blobs.sync_names(layout::machine_directory("", machine));
      if (point) counter.remove(*point);
    });
    if (store_->index().read()->departure_count() >= limits_.departures) try_count_departures();
  }

  void set_marks(const PointId& id, const PointMarks& marks) override {
    std::lock_guard timeline(timeline_.mutex);
    require_sound();
    auto point = store_->index().read()->find_point(id);
    if (!point) throw Error(ErrorCode::not_found, "there is no point " + id.hex());
    store_->write_marks(point->machine, id, marks);
  }

  CompactResult compact(const CompactOptions& options) override {
    std::lock_guard one_at_a_time(compacting_);
    list_what_was_refused();
    {
      std::lock_guard timeline(timeline_.mutex);
      require_sound();
      ReferenceCounter(*store_).count_departures();
    }
    return compact_store(*store_, registry_, timeline_, options);
  }

  CheckReport check(const CheckOptions& options) override {
    return check_open_store(*store_, options, DamageNotes::keep);
  }

  StoreFigures figures() override {
    {
      std::lock_guard timeline(timeline_.mutex);
      if (timeline_.sound) try_count_departures();
    }
    return figures_of(*store_);
  }

 private:
  // Packs of abandoned syncs are durable, and are entered into the index with the next commit,
  // which never comes while a full store refuses all syncs. Then nothing could be freed.
  void list_what_was_refused() {
    try {
      appender_.flush();
    } catch (const Error& error) {
      base::log().warn("what unfinished syncs left cannot be freed now: {}", error.message());
    }
  }

  void require_sound() const {
    timeline_.require_sound();
    lease_->require_held();
  }

  // The machine whose manifest has this id, even one that is not in the index because it cannot be
  // read.
  std::optional<MachineId> find_machine(const PointId& id) {
    for (const std::string& name : store_->blobs.list(layout::points_directory(""))) {
      auto machine = layout::machine_of_name(name);
      if (machine && store_->blobs.exists(layout::manifest_file("", *machine, id))) return machine;
    }
    return std::nullopt;
  }

  MachineId find_unlisted(const PointId& id) {
    if (auto machine = find_machine(id)) return *machine;
    throw Error(ErrorCode::not_found, "there is no point " + id.hex());
  }

  std::unique_ptr<Lease> lease_for_deletion(const PointId& id, const std::string& name) {
    try {
      return store_->place->leases().exclusive(name);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::busy) throw;
      throw Error(ErrorCode::busy, "point " + id.hex().substr(0, 8) +
                                       " is in use: an export, a restore or a sync relies on it");
    }
  }

  void publish(Point point, Dating dating) {
    std::lock_guard timeline(timeline_.mutex);
    require_sound();
    if (!is_up_to_date_) bring_up_to_date(*store_->place);
    is_up_to_date_ = true;
    if (dating == Dating::kept) require_new(point.id);
    else date(point, dating);
    base::Bytes manifest = format::encode_manifest(point, store_->manifest_key());
    if (manifest.size() > format::kMaxManifestSize) {
      throw Error(ErrorCode::invalid_argument,
                  "the machine's definition is too large: its manifest would have " +
                      base::format_size(manifest.size()) + ", 16 MiB are allowed");
    }
    std::string name = layout::manifest_file("", point.machine, point.id);
    change_index([&](ReferenceCounter& counter) {
      write_manifest(name, manifest);
      counter.add(public_part(point));
    });
  }

  // A copy comes with its id. If a point with that id was deleted, its references are counted first:
  // its row would be mistaken for that of the copy. The timeline lock is held.
  void require_new(const PointId& id) {
    if (store_->index().read()->find_point(id) || find_machine(id)) {
      throw Error(ErrorCode::already_exists,
                  "point " + id.hex() + " is already in the store in " + store_->directory);
    }
    ReferenceCounter(*store_).count_departures();
  }

  // The point follows all others of its machine, whatever any clock says. The timeline lock is
  // held.
  void date(Point& point, Dating dating) {
    point.time_ms = std::min(clock_.wall_ms(), kLatestTime_ms);
    point.dates.host_clock_wrong =
        dating == Dating::now &&
        is_host_clock_wrong(point.dates.host_time_ms, point.time_ms, point.figures.duration_ms);
    if (limits_.order_by_host_time) {
      point.dates.order = point.dates.host_time_ms;
      return;
    }
    PublicManifest last{PointId{}, point.machine, 0, Consistency::crash, {}, {}};
    last.id.bytes.fill(0xff);
    last.dates.order = ~0ull;
    auto newest = store_->index().read()->point_before(last);
    point.dates.order = std::max(point.time_ms, newest ? newest->dates.order + 1 : 0);
    if (point.dates.order >> 63 != 0) {
      throw Error(ErrorCode::corrupt, "point " + newest->id.hex() + " of '" + point.machine_name +
                                          "' has the last possible place; delete it");
    }
  }

  // If it fails, nothing that could be taken for a point is left: the store is intact. If not even
  // that is possible, the point may or may not exist.
  void write_manifest(const std::string& name, const base::Bytes& manifest) {
    try {
      store_->blobs.put(name, manifest);
    } catch (const Error&) {
      if (store_->blobs.exists(name)) throw;
      throw NothingChanged{std::current_exception()};
    }
  }

  struct NothingChanged {
    std::exception_ptr reason;
  };

  // Best effort; retried later. The timeline lock is held.
  void try_count_departures() {
    try {
      ReferenceCounter(*store_).count_departures();
    } catch (const Error& error) {
      base::log().warn("the references of deleted points are counted later: {}", error.message());
    }
  }

  // The manifest changes and the index must follow. If it cannot, it is brought up to date when the
  // store is opened next, and nothing else is written before that.
  template <typename Change>
  void change_index(Change change) {
    ReferenceCounter counter(*store_);
    try {
      change(counter);
    } catch (const NothingChanged& nothing) {
      std::rethrow_exception(nothing.reason);
    } catch (...) {
      timeline_.sound = false;
      throw;
    }
  }

  std::unique_ptr<Lease> lease_;
  std::string index_directory_;
  const WriterLimits limits_;
  const base::Clock& clock_;
  std::shared_ptr<StoreContext> store_;
  std::unique_ptr<StoreReader> reader_;
  PackAppender appender_;
  SyncRegistry registry_;
  TimelineGuard timeline_;
  bool is_up_to_date_ = store_->parameters.version == format::kStoreVersion;  // timeline_'s lock
  std::mutex compacting_;  // one compaction at a time, its I/O included
};

}  // namespace

void init_store(StorePlace& place, const InitOptions& options) {
  if (!format::is_chunk_size(options.chunk_size)) {
    throw Error(ErrorCode::invalid_argument,
                "a chunk size is a power of two from 4 KiB to 1 MiB, not " +
                    std::to_string(options.chunk_size) + " bytes");
  }
  format::StoreParameters parameters;
  parameters.id = StoreId::random();
  parameters.chunk_size = options.chunk_size;
  parameters.encrypted = !options.key.empty();
  std::vector<NewBlob> blobs;
  if (parameters.encrypted) blobs.push_back(new_store_key(options.key, options.scrypt_log2_n));
  // The format file is written last: a place without it is not a store.
  blobs.push_back({layout::parameters_file(""), format::encode_parameters(parameters)});
  place.create(blobs);
}

std::unique_ptr<StoreWriter> StoreWriter::open(std::shared_ptr<StorePlace> place,
                                               const KeySource& key,
                                               const std::string& index_directory,
                                               const WriterLimits& limits) {
  std::shared_ptr<StoreContext> store = open_store_context(place, key, KeyUse::optional);
  store->pack_size = limits.pack_size;
  store->reference_slice = limits.reference_slice;
  auto lease = place->leases().writer();
  std::string index_path = prepare_index_directory(*place, index_directory);
  recover_store(*store, index_path);
  try {
    bring_up_to_date(*place);
  } catch (const Error& error) {
    // Points must remain deletable on a full disk. The next commit tries again.
    base::log().warn("the store in {} could not be upgraded to the current format yet: {}",
                     place->location(), error.message());
  }
  return std::make_unique<IndexedWriter>(std::move(store), std::move(lease), std::move(index_path),
                                         limits);
}

CheckReport check_store(std::shared_ptr<StorePlace> place, const KeySource& key,
                        const CheckOptions& options, const std::string& index_directory) {
  std::shared_ptr<StoreContext> store = open_store_context(place, key, KeyUse::optional);
  std::unique_ptr<Lease> lease;
  try {
    lease = place->leases().writer();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::busy) throw;
    store->open_index(index_path_of(*place, index_directory), false);
    return check_open_store(*store, options, DamageNotes::report);
  }
  std::string index_path = prepare_index_directory(*place, index_directory);
  recover_store(*store, index_path);
  CheckReport report = check_open_store(*store, options, DamageNotes::keep);
  leave_clean_mark(index_path);
  return report;
}

RebuildReport rebuild_index(std::shared_ptr<StorePlace> place, const std::string& index_directory) {
  std::shared_ptr<StoreContext> store = open_store_context(place, {}, KeyUse::optional);
  auto lease = place->leases().writer();
  return rebuild_from_packs(*store, prepare_index_directory(*place, index_directory));
}

StoreFigures read_figures(std::shared_ptr<StorePlace> place) {
  std::shared_ptr<StoreContext> store = open_store_context(place, {}, KeyUse::optional);
  store->open_index(index_path_of(*place, ""), false);
  return figures_of(*store);
}

void change_store_key(StorePlace& place, const KeySource& old_key, const KeySource& new_key,
                      uint32_t scrypt_log2_n) {
  if (!read_parameters(place).encrypted) {
    throw Error(ErrorCode::unsupported, "the store in " + place.location() + " is not encrypted");
  }
  rewrap_store_key(place.blobs(), old_key, new_key, scrypt_log2_n);
}

// --- in a directory

void init_store(base::FileSystem& files, const std::string& directory, const InitOptions& options) {
  init_store(*local_place(files, directory), options);
}

std::unique_ptr<StoreWriter> StoreWriter::open(base::FileSystem& files,
                                               const std::string& directory, const KeySource& key,
                                               const std::string& index_directory,
                                               const WriterLimits& limits) {
  return open(local_place(files, directory), key, index_directory, limits);
}

CheckReport check_store(base::FileSystem& files, const std::string& directory, const KeySource& key,
                        const CheckOptions& options) {
  return check_store(local_place(files, directory), key, options);
}

RebuildReport rebuild_index(base::FileSystem& files, const std::string& directory,
                            const std::string& index_directory) {
  return rebuild_index(local_place(files, directory), index_directory);
}

StoreFigures read_figures(base::FileSystem& files, const std::string& directory) {
  return read_figures(local_place(files, directory));
}

void change_store_key(base::FileSystem& files, const std::string& directory,
                      const KeySource& old_key, const KeySource& new_key, uint32_t scrypt_log2_n) {
  change_store_key(*local_place(files, directory), old_key, new_key, scrypt_log2_n);
}

}  // namespace images
