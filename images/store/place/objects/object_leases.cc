#include "images/store/place/objects/object_leases.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace images {

using base::Error;
using base::ErrorCode;

namespace {

constexpr std::string_view kExclusive = ".exclusive";
const std::string kWriters = "writers/";

std::string folder_of(const std::string& name) { return "leases/" + name + "/"; }

uint64_t end_of(const ObjectInfo& lease) { return lease.modified_ms + ObjectLeases::kTime_ms; }

std::vector<ObjectInfo> list_all(ObjectStore& objects, const std::string& folder) {
  std::vector<ObjectInfo> all;
  std::string from;
  do {
    ObjectPage page = objects.list(folder, from);
    std::move(page.objects.begin(), page.objects.end(), std::back_inserter(all));
    from = page.next;
  } while (!from.empty());
  return all;
}

// Of an object writers/NUMBER; nothing for another name.
std::optional<uint64_t> number_of(const ObjectInfo& writer) {
  std::string digits = writer.name.substr(kWriters.size());
  if (digits.size() != 12 || digits.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoull(digits);
}

}  // namespace

struct ObjectLeases::Hold {
  struct Standing {
    std::string version;
    uint64_t end_ms = 0;
    bool lost = false;
  };
  std::string object;
  Kind kind = Kind::shared;
  base::Guarded<Standing> standing;

  // Whether it may be relied on at this time, and renewed.
  bool is_held(uint64_t now_ms) {
    auto now = standing.lock();
    return !now->lost && now_ms + kMargin_ms < now->end_ms;
  }
};

class ObjectLeases::HeldLease : public Lease {
 public:
  HeldLease(ObjectStore& objects, std::shared_ptr<Hold> hold)
      : objects_(objects), hold_(std::move(hold)) {}

  ~HeldLease() override {
    hold_->standing.lock()->lost = true;
    try {
      objects_.remove(hold_->object);
    } catch (const Error& error) {
      base::log().warn("the lease {} ends later, by itself: {}", hold_->object, error.message());
    }
  }

  bool is_held() const override { return hold_->is_held(objects_.now_ms()); }

  void require_held() const override {
    if (is_held()) return;
    throw Error(ErrorCode::unavailable,
                "the lease on the store in " + objects_.location() +
                    " has ended: it was not renewed in time, because this machine slept or could "
                    "not reach the store. Open the store again");
  }

 private:
  ObjectStore& objects_;
  std::shared_ptr<Hold> hold_;
};

ObjectLeases::ObjectLeases(ObjectStore& objects)
    : objects_(objects), process_(base::to_hex(base::random_array<8>())) {}

std::unique_ptr<Lease> ObjectLeases::writer() {
  auto hold = acquire("writer", Kind::exclusive,
                      "another process writes to the store in " + objects_.location());
  auto lease = std::make_unique<HeldLease>(objects_, hold);
  number_writer(hold);
  return lease;
}

std::unique_ptr<Lease> ObjectLeases::shared(const std::string& name) {
  return std::make_unique<HeldLease>(objects_,
                                     acquire(name, Kind::shared, name + " is being removed"));
}

std::unique_ptr<Lease> ObjectLeases::exclusive(const std::string& name) {
  return std::make_unique<HeldLease>(objects_, acquire(name, Kind::exclusive, name + " is in use"));
}

std::string ObjectLeases::new_holder() {
  return process_ + "-" + std::to_string(++*holder_count_.lock());
}

std::shared_ptr<ObjectLeases::Hold> ObjectLeases::acquire(const std::string& name, Kind kind,
                                                          const std::string& refusal) {
  auto hold = std::make_shared<Hold>();
  hold->kind = kind;
  hold->object = folder_of(name) + new_holder() +
                 (kind == Kind::exclusive ? std::string(kExclusive) : ".shared");
  PutOptions options;
  options.only = PutOptions::Only::if_absent;
  auto info = objects_.put(hold->object, {}, options);
  if (!info) throw Error(ErrorCode::busy, refusal);
  *hold->standing.lock() = {info->version, end_of(*info), false};
  try {
    require_no_other(folder_of(name), *hold, refusal);
  } catch (...) {
    objects_.remove(hold->object);
    throw;
  }
  auto held = held_.lock();
  std::erase_if(*held, [](const auto& each) { return each.expired(); });
  held->insert(hold);
  return hold;
}

void ObjectLeases::require_no_other(const std::string& folder, const Hold& mine,
                                    const std::string& refusal) {
  for (const ObjectInfo& other : list_all(objects_, folder)) {
    if (other.name == mine.object) continue;
    if (mine.kind == Kind::shared && !other.name.ends_with(kExclusive)) continue;
    if (!end(other)) throw Error(ErrorCode::busy, refusal);
  }
}

bool ObjectLeases::end(const ObjectInfo& lease) {
  if (objects_.now_ms() < end_of(lease)) return false;
  PutOptions options;
  options.only = PutOptions::Only::if_version;
  options.version = lease.version;
  if (!objects_.put(lease.name, {}, options)) return !objects_.find(lease.name).has_value();
  objects_.remove(lease.name);
  return true;
}

void ObjectLeases::renew() {
  std::lock_guard one_at_a_time(renewing_);
  std::vector<std::shared_ptr<Hold>> holds;
  {
    auto held = held_.lock();
    for (const auto& each : *held) {
      if (auto hold = each.lock()) holds.push_back(std::move(hold));
    }
  }
  for (const auto& hold : holds) {
    try {
      renew(*hold);
    } catch (const Error& error) {
      base::log().warn("the lease {} was not renewed: {}", hold->object, error.message());
    }
  }
}

void ObjectLeases::renew(Hold& hold) {
  if (!hold.is_held(objects_.now_ms())) return;
  PutOptions options;
  options.only = PutOptions::Only::if_version;
  options.version = hold.standing.lock()->version;
  auto info = objects_.put(hold.object, {}, options);
  auto standing = hold.standing.lock();
  if (info) *standing = {info->version, end_of(*info), standing->lost};
  else standing->lost = true;
}

// The numbers of all writers so far, and one more for this one.
void ObjectLeases::number_writer(const std::shared_ptr<Hold>& hold) {
  Writer writer;
  writer.hold = hold;
  for (const ObjectInfo& each : list_all(objects_, kWriters)) {
    if (auto number = number_of(each)) writer.starts_ms[*number] = each.modified_ms;
  }
  writer.number = writer.starts_ms.empty() ? 1 : writer.starts_ms.rbegin()->first + 1;
  PutOptions options;
  options.only = PutOptions::Only::if_absent;
  auto info = objects_.put(fmt::format("{}{:012}", kWriters, writer.number), {}, options);
  if (!info) {
    throw Error(ErrorCode::busy,
                "another process began to write to the store in " + objects_.location());
  }
  writer.starts_ms[writer.number] = info->modified_ms;
  *writer_.lock() = std::move(writer);
}

uint64_t ObjectLeases::require_writer() const {
  auto writer = writer_.lock();
  auto hold = writer->hold.lock();
  if (!hold) return 0;
  if (hold->is_held(objects_.now_ms())) return writer->number;
  throw Error(ErrorCode::unavailable,
              "nothing was saved: this process no longer has the lease to write to the store in " +
                  objects_.location() + ". Open the store again");
}

bool ObjectLeases::may_be_late(const ObjectInfo& info) const {
  auto writer = writer_.lock();
  if (writer->starts_ms.size() < 2) return false;
  return info.modified_ms > std::next(writer->starts_ms.begin())->second;
}

bool ObjectLeases::is_late(const ObjectInfo& info) const {
  if (info.writer == 0) return false;
  auto writer = writer_.lock();
  auto next = writer->starts_ms.upper_bound(info.writer);
  return next != writer->starts_ms.end() && info.modified_ms > next->second;
}

}  // namespace images
