#include "appliance/files/file_looks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "images/volumes/keys/key_stretching.h"

namespace appliance::files {
namespace {

using base::Error;
using base::ErrorCode;
using images::files::FilesProcess;

constexpr size_t kMaxNotes = 1000;  // of one look

Error too_many(const char* what) {
  return Error(ErrorCode::busy, fmt::format("{}: wait until one has ended, or end one", what));
}

}  // namespace

// --- A process in use.

ProcessLease::~ProcessLease() {
  if (process_) look_->give_back(std::move(process_));
}

// --- A look.

FileLook::~FileLook() {
  auto state = state_.lock();
  for (auto& each : state->idle) {
    each.reset();
    uncount_process();
  }
  if (job_) base::run_guarded("the end of a look into files", [this] { job_->succeed(); });
}

ProcessLease FileLook::borrow() {
  {
    auto state = state_.lock();
    state->used = Clock::now();
    if (!state->idle.empty()) {
      std::unique_ptr<FilesProcess> process = std::move(state->idle.back());
      state->idle.pop_back();
      return {shared_from_this(), std::move(process)};
    }
    if (state->process_count >= limits_.look_processes)
      throw too_many("this point's files are being read by too many requests at the same time");
    ++state->process_count;
  }
  try {
    count_process();
  } catch (...) {
    --state_.lock()->process_count;
    throw;
  }
  try {
    return {shared_from_this(), make_process()};
  } catch (...) {
    uncount_process();
    --state_.lock()->process_count;
    throw;
  }
}

std::unique_ptr<FilesProcess> FileLook::make_process() {
  images::files::ProcessLimits limits;
  if (!keys_.empty()) limits.memory_size += images::volumes::kMaxStretchMemory;
  return std::make_unique<FilesProcess>(disks_, keys_, limits);
}

void FileLook::count_process() {
  while (true) {
    bool is_tenant_full = false;
    {
      auto counts = counts_->lock();
      size_t& of_tenant = counts->of_tenant[tenant_];
      is_tenant_full = of_tenant >= limits_.tenant_processes;
      if (!is_tenant_full && counts->all < limits_.processes) {
        ++of_tenant;
        ++counts->all;
        return;
      }
    }
    if (!owner_->end_oldest(is_tenant_full ? &tenant_ : nullptr, this))
      throw too_many("the files of too many points are being read at the same time");
  }
}

void FileLook::uncount_process() noexcept {
  auto counts = counts_->lock();
  --counts->all;
  if (--counts->of_tenant[tenant_] == 0) counts->of_tenant.erase(tenant_);
}

void FileLook::give_back(std::unique_ptr<FilesProcess> process) noexcept {
  bool is_useful = process->is_ready();
  if (!is_useful) {
    process.reset();
    uncount_process();
  }
  auto state = state_.lock();
  state->used = Clock::now();
  if (is_useful) state->idle.push_back(std::move(process));
  else --state->process_count;
}

bool FileLook::is_idle_since(Clock::time_point moment) {
  auto state = state_.lock();
  return state->idle.size() == state->process_count && state->used <= moment;
}

void FileLook::note(const access::Requester& who, const std::string& what) {
  {
    auto state = state_.lock();
    state->used = Clock::now();
    if (++state->note_count > kMaxNotes) return;
  }
  job_->context().log(fmt::format("{} {}", who.text(), what));
}

// --- All of them.

FileLooks::FileLooks(stores::TenantStores& stores, jobs::JobRunner& jobs, const LookLimits& limits)
    : stores_(stores), jobs_(jobs), limits_(limits),
      counts_(std::make_shared<base::Guarded<ProcessCounts>>()) {}

std::shared_ptr<FileLook> FileLooks::shared(const access::TenantName& tenant,
                                            const images::PointId& point,
                                            const access::Requester& who) {
  {
    auto state = state_.lock();
    for (auto& [id, look] : state->looks) {
      if (look->tenant_ == tenant && look->point_.id == point && !look->has_keys()) return look;
    }
  }
  return open(tenant, point, {}, who);
}

std::shared_ptr<FileLook> FileLooks::open(const access::TenantName& tenant,
                                          const images::PointId& point,
                                          std::vector<images::volumes::VolumeKey> keys,
                                          const access::Requester& who) {
  auto writer = stores_.writer(tenant);
  std::shared_ptr<FileLook> look(new FileLook());
  look->id_ = base::to_hex(base::random_array<16>());
  look->tenant_ = tenant;
  look->point_ = writer->reader().read_point(point);
  look->keys_ = std::move(keys);
  look->limits_ = limits_;
  look->counts_ = counts_;
  look->owner_ = this;
  for (const images::PointDisk& disk : look->point_.disks)
    look->disks_.push_back({disk.name, std::shared_ptr<images::DiskReader>(
                                           writer->reader().open_disk(point, disk.name))});
  make_room(tenant);
  look->job_ = jobs_.attach({"files", tenant, look->point_.machine_name, who});
  look->job_->context().log(
      fmt::format("{} opened the files of point {}{}", who.text(), point.hex(),
                  look->keys_.empty() ? "" : ", with keys of encrypted volumes"));
  try {
    ProcessLease first = look->borrow();
    look->found_ = first->found();
  } catch (const Error& error) {
    std::exchange(look->job_, nullptr)->fail(error);
    throw;
  }
  auto state = state_.lock();
  if (state->is_closed) throw Error(ErrorCode::unavailable, "the appliance is stopping");
  state->looks[look->id_] = look;
  return look;
}

std::shared_ptr<FileLook> FileLooks::find(const access::TenantName& tenant, const std::string& id) {
  auto state = state_.lock();
  auto found = state->looks.find(id);
  if (found == state->looks.end() || found->second->tenant_ != tenant)
    throw Error(ErrorCode::not_found,
                "there is no such look into files: it has ended after some minutes without use, or "
                "with the daemon; open another one");
  return found->second;
}

void FileLooks::end(const access::TenantName& tenant, const std::string& id) {
  std::shared_ptr<FileLook> look = find(tenant, id);
  state_.lock()->looks.erase(id);
}

std::vector<std::shared_ptr<FileLook>> FileLooks::take_if(
    const std::function<bool(FileLook&)>& is_meant) {
  std::vector<std::shared_ptr<FileLook>> taken;
  auto state = state_.lock();
  for (auto each = state->looks.begin(); each != state->looks.end();) {
    bool is_taken = is_meant(*each->second);
    if (is_taken) taken.push_back(std::move(each->second));
    each = is_taken ? state->looks.erase(each) : std::next(each);
  }
  return taken;  // their processes end when the lock is released
}

// A tenant's oldest idle look gives way to a new one.
void FileLooks::make_room(const access::TenantName& tenant) {
  std::shared_ptr<FileLook> oldest;
  auto state = state_.lock();
  size_t own_count = 0;
  for (auto& [id, look] : state->looks) {
    if (look->tenant_ != tenant) continue;
    ++own_count;
    bool is_idle = look->is_idle_since(FileLook::Clock::now());
    if (is_idle && (!oldest || look->state_.lock()->used < oldest->state_.lock()->used))
      oldest = look;
  }
  if (own_count < limits_.tenant_looks && state->looks.size() < limits_.looks) return;
  if (!oldest) throw too_many("the files of too many points are open at the same time");
  state->looks.erase(oldest->id_);
}

bool FileLooks::end_oldest(const access::TenantName* tenant, const FileLook* except) {
  std::shared_ptr<FileLook> oldest;  // destroyed after the lock is released
  FileLook::Clock::time_point oldest_used;
  auto state = state_.lock();
  for (auto& [id, look] : state->looks) {
    if (look.get() == except || (tenant != nullptr && look->tenant_ != *tenant)) continue;
    auto inside = look->state_.lock();
    bool is_idle = !inside->idle.empty() && inside->idle.size() == inside->process_count;
    if (!is_idle || (oldest && oldest_used <= inside->used)) continue;
    oldest = look;
    oldest_used = inside->used;
  }
  if (!oldest) return false;
  state->looks.erase(oldest->id_);
  return true;
}

void FileLooks::let_go(const images::PointId& point) {
  take_if([&](FileLook& look) {
    return look.point_.id == point && look.is_idle_since(FileLook::Clock::now());
  });
}

void FileLooks::tend() {
  auto moment = FileLook::Clock::now() - limits_.idle_end;
  take_if([&](FileLook& look) { return look.is_idle_since(moment); });
}

void FileLooks::close() {
  state_.lock()->is_closed = true;
  take_if([](FileLook&) { return true; });
}

}  // namespace appliance::files
