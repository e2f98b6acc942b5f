#include "tests/images/store/store_workload.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "images/codec.h"

namespace images {
namespace {

bool same_point(const ModelPoint& point, const PointSummary& summary) {
  return point.machine == summary.machine_name && point.time_ms == summary.dates.host_time_ms;
}

// One sync of a model's point, in full, that can be led along step by step.
class ModelSync {
 public:
  ModelSync(StoreWriter& writer, const ModelPoint& point)
      : point_(point), chunk_size_(writer.reader().hasher().chunk_size()) {
    SyncPlan plan{point.machine, {}};
    for (const auto& [name, content] : point.disks)
      plan.disks.push_back({name, content.size() * chunk_size_, {}});
    sink_ = writer.begin(plan);
  }

  // Sends the next chunks of the first disk; false after its end.
  bool send(size_t count) {
    const ModelContent& content = point_.disks.begin()->second;
    if (next_ >= content.size()) return false;
    Batch batch{sequence_++, 0, {}};
    size_t first = next_;
    for (; next_ < content.size() && next_ < first + count; ++next_) {
      ChunkId id;
      if (content[next_] != 0)
        id = sink_->hasher().id_of(chunk_of_seed(content[next_], chunk_size_));
      batch.places.push_back({next_, 1, id});
    }
    ChunkEncoder encoder(1);
    sink_->send(batch, [&](size_t i) {
      return encoder.encode(chunk_of_seed(content[first + i], chunk_size_));
    });
    return true;
  }

  PointId commit() {
    PointDetails details;
    details.time_ms = point_.time_ms;
    return sink_->commit(details);
  }

 private:
  const ModelPoint& point_;
  uint64_t chunk_size_;
  std::unique_ptr<PointSink> sink_;
  size_t next_ = 0;
  uint64_t sequence_ = 0;
};

}  // namespace

std::vector<std::string> settle(StoreReader& reader, Expectation& expected) {
  std::vector<std::string> problems;
  ModelStore found;
  for (const PointSummary& listed : reader.points()) {
    auto sure = expected.points.find(listed.id);
    auto undeleted = expected.maybe_deleted.find(listed.id);
    auto added = std::find_if(expected.maybe_added.begin(), expected.maybe_added.end(),
                              [&](const ModelPoint& point) { return same_point(point, listed); });
    if (sure != expected.points.end()) {
      found.insert(*sure);
    } else if (undeleted != expected.maybe_deleted.end()) {
      found.insert(*undeleted);
    } else if (added != expected.maybe_added.end()) {
      found[listed.id] = *added;
      expected.maybe_added.erase(added);
    } else {
      problems.push_back("point " + listed.id.hex() + " is listed, and nobody made it");
    }
  }
  for (const auto& [id, point] : expected.points) {
    if (found.count(id) == 0)
      problems.push_back("point " + id.hex() + " of " + point.machine + " is lost");
  }
  expected = {found, {}, {}};
  std::vector<std::string> differing = differences(reader, found);
  problems.insert(problems.end(), differing.begin(), differing.end());
  return problems;
}

void StoreWorkload::step(StoreWriter& writer) {
  size_t point_count = expected.points.size();
  uint32_t choice = static_cast<uint32_t>(random_() % 16);
  if (point_count < 3 || choice < 5) {
    if (point_count < options_.most_points) return choice % 3 == 2 ? add_two(writer) : add(writer);
    return remove(writer);
  }
  if (choice < 9) return remove(writer);
  if (choice < 12) return void(writer.compact({.rewrite_below = 0.9, .stop = {}}));
  if (choice < 13) return check(writer);
  read(writer);
}

// A point of the machine, by its place in time; none if it has none.
std::optional<PointId> StoreWorkload::choose_point(const std::string& machine) {
  std::vector<std::pair<uint64_t, PointId>> points;
  for (const auto& [id, point] : expected.points) {
    if (machine.empty() || point.machine == machine) points.emplace_back(point.time_ms, id);
  }
  uint32_t choice = static_cast<uint32_t>(random_());
  if (points.empty()) return std::nullopt;
  std::sort(points.begin(), points.end());
  return points[choice % points.size()].second;
}

ModelPoint StoreWorkload::next_point(std::optional<PointId>& base) {
  std::string machine = "machine " + std::to_string(random_() % 2);
  base = choose_point(machine);
  bool in_full = random_() % 4 == 0;
  // Some points go in between older ones.
  uint64_t time_ms = next_time_ms_ += 1000;
  if (random_() % 4 == 0) time_ms -= random_() % 5000 + 1;
  ModelPoint point;
  if (base && !in_full) {
    point = expected.points.at(*base);
    for (auto& [name, content] : point.disks) change_at_random(content, random_() % 12, random_);
  } else {
    base.reset();
    ModelContent content(options_.chunk_count);
    change_at_random(content, options_.chunk_count / 3, random_);
    point.disks["vda"] = content;
    if (random_() % 3 == 0) point.disks["vdb"] = ModelContent(20, 7);
  }
  point.machine = machine;
  point.time_ms = time_ms;
  return point;
}

void StoreWorkload::commit(const ModelPoint& point, const std::function<PointId()>& make) {
  expected.maybe_added.push_back(point);
  on_change_();
  PointId id = make();
  expected.maybe_added.pop_back();
  expected.points[id] = point;
  on_change_();
}

void StoreWorkload::add(StoreWriter& writer) {
  std::optional<PointId> base;
  ModelPoint point = next_point(base);
  commit(point, [&] {
    return sync_model_point(writer, point, base, base ? &expected.points.at(*base) : nullptr);
  });
}

// Two syncs take turns; they share half of what they send.
void StoreWorkload::add_two(StoreWriter& writer) {
  ModelPoint points[2];
  for (int i = 0; i < 2; ++i) {
    points[i].machine = "machine " + std::to_string(i);
    points[i].time_ms = next_time_ms_ += 1000;
  }
  ModelContent content(options_.chunk_count / 2);
  change_at_random(content, content.size(), random_);
  points[0].disks["vda"] = content;
  change_at_random(content, content.size() / 2, random_);
  points[1].disks["vda"] = content;
  ModelSync first(writer, points[0]), second(writer, points[1]);
  for (bool more = true; more;) {
    more = first.send(10);
    more = second.send(10) || more;
  }
  for (int i = 0; i < 2; ++i) {
    commit(points[i], [&] { return (i == 0 ? first : second).commit(); });
  }
}

void StoreWorkload::remove(StoreWriter& writer) {
  auto victim = choose_point("");
  if (!victim || (held_ && held_->point == *victim)) return;
  auto point = *expected.points.find(*victim);
  expected.points.erase(point.first);
  expected.maybe_deleted.insert(point);
  on_change_();
  writer.delete_point(point.first);
  expected.maybe_deleted.erase(point.first);
  on_change_();
}

void StoreWorkload::read(StoreWriter& writer) {
  if (!held_ || random_() % 3 == 0) {
    held_.reset();
    auto point = choose_point("");
    if (!point) return;
    auto disk = writer.reader().open_disk(*point, "vda");
    held_ = std::make_unique<Held>(
        Held{*point, std::move(disk), expected.points.at(*point).disks.at("vda")});
  }
  uint32_t chunk_size = writer.reader().hasher().chunk_size();
  base::Bytes bytes(chunk_size);
  for (int i = 0; i < 8; ++i) {
    size_t place = random_() % held_->content.size();
    held_->disk->read(uint64_t{place} * chunk_size, bytes);
    if (bytes != chunk_of_seed(held_->content[place], chunk_size))
      complaints.push_back("a reader saw wrong bytes");
  }
}

void StoreWorkload::check(StoreWriter& writer) {
  CheckReport report = writer.check({.deep = true, .on_progress = {}, .stop = {}});
  for (const std::string& problem : report.problems) complaints.push_back("check: " + problem);
}

}  // namespace images
