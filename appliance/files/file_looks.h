// Looks into the files of points. A look belongs to one tenant and one point: it has the processes
// that read the point's file systems (images/files/files_process.h), each confined as a user of its
// own, and ends after some idle minutes. A look may be given keys of encrypted volumes: they are kept
// in memory as long as it lasts, and nowhere else; only who knows the look's id uses them. A look
// without keys is shared by all who read the point's files without one.
//
// Each look is a job ("files") from its beginning to its end, whose log says who asked for what, so
// that a tenant can be told who looked at its files; each download is a job of its own. Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "appliance/access/requester.h"
#include "appliance/access/tenant_name.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"
#include "base/guarded.h"
#include "images/files/files_process.h"
#include "images/point.h"

namespace appliance::files {

struct LookLimits {
  std::chrono::milliseconds idle_end = std::chrono::minutes(10);
  size_t looks = 64, tenant_looks = 16;
  size_t processes = 24, tenant_processes = 8, look_processes = 4;
};

// How many processes there are. Shared with those who count.
struct ProcessCounts {
  size_t all = 0;
  std::map<access::TenantName, size_t> of_tenant;
};

class FileLook;
class FileLooks;

// A process that is used by one request, and given back at its end if it can be asked again.
class ProcessLease {
 public:
  ProcessLease(std::shared_ptr<FileLook> look, std::unique_ptr<images::files::FilesProcess> process)
      : look_(std::move(look)), process_(std::move(process)) {}
  ProcessLease(ProcessLease&&) noexcept = default;
  ProcessLease& operator=(ProcessLease&&) = delete;
  ~ProcessLease();

  images::files::FilesProcess& operator*() const { return *process_; }
  images::files::FilesProcess* operator->() const { return process_.get(); }
  FileLook& look() const { return *look_; }

 private:
  std::shared_ptr<FileLook> look_;
  std::unique_ptr<images::files::FilesProcess> process_;
};

// Thread-safe. Ends its processes and its job when it is destroyed.
class FileLook : public std::enable_shared_from_this<FileLook> {
 public:
  const std::string& id() const { return id_; }
  const access::TenantName& tenant() const { return tenant_; }
  const images::Point& point() const { return point_; }
  bool has_keys() const { return !keys_.empty(); }
  // What the first process found. The names and numbers are the same for all.
  const images::files::FoundFileSystems& found() const { return found_; }

  // An idle process, or a new one. Throws busy if there are too many; and as FilesProcess.
  ProcessLease borrow();
  // A line of its job's log: "alice listed vda1:/etc". Bounded in number.
  void note(const access::Requester& who, const std::string& what);

  FileLook(const FileLook&) = delete;
  ~FileLook();

 private:
  friend class FileLooks;
  friend class ProcessLease;
  using Clock = std::chrono::steady_clock;
  struct State {
    std::vector<std::unique_ptr<images::files::FilesProcess>> idle;
    size_t process_count = 0;
    Clock::time_point used = Clock::now();
    size_t note_count = 0;
  };
  FileLook() = default;
  std::unique_ptr<images::files::FilesProcess> make_process();
  void count_process();
  void uncount_process() noexcept;
  void give_back(std::unique_ptr<images::files::FilesProcess> process) noexcept;
  bool is_idle_since(Clock::time_point moment);

  std::string id_;
  access::TenantName tenant_;
  images::Point point_;
  std::vector<images::files::SharedDisk> disks_;
  std::vector<images::volumes::VolumeKey> keys_;
  LookLimits limits_;
  FileLooks* owner_ = nullptr;  // outlives it
  std::shared_ptr<base::Guarded<ProcessCounts>> counts_;
  images::files::FoundFileSystems found_;
  std::unique_ptr<jobs::AttachedJob> job_;
  base::Guarded<State> state_;
};

class FileLooks {
 public:
  FileLooks(stores::TenantStores& stores, jobs::JobRunner& jobs, const LookLimits& limits = {});
  ~FileLooks() { close(); }

  // The shared look of a point, which is begun if there is none. Throws not_found (no such point),
  // busy (too many looks), and as FilesProcess.
  std::shared_ptr<FileLook> shared(const access::TenantName& tenant, const images::PointId& point,
                                   const access::Requester& who);
  // A look of its own, with keys.
  std::shared_ptr<FileLook> open(const access::TenantName& tenant, const images::PointId& point,
                                 std::vector<images::volumes::VolumeKey> keys,
                                 const access::Requester& who);
  // The tenant's look of that id. Throws not_found: it has ended, or is another tenant's.
  std::shared_ptr<FileLook> find(const access::TenantName& tenant, const std::string& id);
  // Ends it as soon as nobody reads through it. Throws not_found.
  void end(const access::TenantName& tenant, const std::string& id);
  // Ends the looks into a point that nobody reads through now, so that it can be deleted.
  void let_go(const images::PointId& point);
  // Ends those that were idle for too long. To be called every few seconds.
  void tend();
  // Ends all that nobody reads through, and begins no more.
  void close();

 private:
  friend class FileLook;
  struct State {
    std::map<std::string, std::shared_ptr<FileLook>> looks;  // by id
    bool is_closed = false;
  };
  void make_room(const access::TenantName& tenant);
  // Ends the look that was idle for longest, of a tenant (null: of all), so that another may have a
  // process. False if there is none.
  bool end_oldest(const access::TenantName* tenant, const FileLook* except);
  std::vector<std::shared_ptr<FileLook>> take_if(const std::function<bool(FileLook&)>& is_meant);

  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  const LookLimits limits_;
  const std::shared_ptr<base::Guarded<ProcessCounts>> counts_;
  base::Guarded<State> state_;
};

}  // namespace appliance::files
