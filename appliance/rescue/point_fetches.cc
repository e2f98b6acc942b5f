#include "appliance/rescue/point_fetches.h"

#include <fmt/format.h>

#include <atomic>
#include <optional>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/text.h"
#include "images/wire/transfer_server.h"

namespace appliance::rescue {

using base::Error;
using base::ErrorCode;

namespace {

[[noreturn]] void refuse_writing() {
  throw Error(ErrorCode::unauthorized, "this connection reads a point; it adds nothing");
}

}  // namespace

images::Point find_fetchable(images::StoreReader& reader, const std::string& selector,
                             const std::set<std::string>& machines) {
  auto hidden = [&] {
    return Error(ErrorCode::not_found,
                 fmt::format("no point that may be read here is meant by '{}'",
                             base::clean_text(selector, 200)));
  };
  images::PointId id;
  try {
    id = reader.find_point(selector);
  } catch (const Error& error) {
    // What it says of other machines' points is not for everyone.
    if (machines.empty()) throw;
    throw hidden();
  }
  images::Point point = reader.read_point(id);
  if (!machines.empty() && !machines.contains(point.machine_name)) throw hidden();
  return point;
}

// One connection.
class FetchSession : public images::TransferHost {
 public:
  FetchSession(PointFetches& owner, base::ByteStream& stream, const Fetch& fetch,
               access::Requester requester)
      : owner_(owner), stream_(stream), fetch_(fetch), requester_(std::move(requester)) {}

  void authorize(const std::string&) override { refuse_writing(); }
  std::optional<images::wire::LastPoint> last_point(const std::string&) override {
    refuse_writing();
  }
  std::vector<images::PointSummary> points(const std::string&) override { refuse_writing(); }
  void authorize_copy(const images::PointOrigin&) override { refuse_writing(); }
  std::unique_ptr<images::StoreSink> begin(const images::SyncPlan&) override { refuse_writing(); }
  void on_progress(const images::SinkProgress&) override {}
  void on_commit(const images::PointId&, const images::PointDetails&) override {}

  std::unique_ptr<images::OpenedPoint> open_point(const images::wire::Ticket&) override {
    auto store = owner_.stores_.writer(fetch_.tenant);
    images::StoreReader& reader = store->reader();
    auto opened = std::make_unique<images::OpenedPoint>();
    opened->keeps = store;
    opened->point = find_fetchable(reader, fetch_.point, fetch_.machines);
    opened->tells_definition = true;
    opened->hasher = reader.hasher();
    for (const images::PointDisk& disk : opened->point.disks)
      opened->disks.push_back(reader.open_disk(opened->point.id, disk.name));
    job_ = owner_.jobs_.attach({"fetch", fetch_.tenant, opened->point.machine_name, requester_});
    on_cancel_.emplace(job_->context().stop(), [this] {
      is_cancelled_ = true;
      stream_.abort();
    });
    job_->context().log(fmt::format("{} at {} reads the point {}", requester_.text(),
                                    stream_.peer(), opened->point.id.hex()));
    job_->context().set_progress({0, 0, "being read by " + requester_.text()});
    return opened;
  }

  void on_end(const std::optional<Error>& error) {
    if (!job_) return;
    on_cancel_.reset();
    if (is_cancelled_) job_->fail(Error(ErrorCode::cancelled, "it was cancelled"));
    else if (error) job_->fail(*error);
    else job_->succeed();
  }

 private:
  PointFetches& owner_;
  base::ByteStream& stream_;
  const Fetch& fetch_;
  const access::Requester requester_;
  std::unique_ptr<jobs::AttachedJob> job_;
  std::optional<std::stop_callback<std::function<void()>>> on_cancel_;
  std::atomic<bool> is_cancelled_{false};
};

void PointFetches::serve(base::ByteStream& stream, const Fetch& fetch,
                         const access::Requester& requester) {
  if (fetch.rescue != 0) streams_.lock()->emplace(&stream, fetch.rescue);
  struct Removal {
    PointFetches& owner;
    base::ByteStream& stream;
    ~Removal() { owner.streams_.lock()->erase(&stream); }
  } removal{*this, stream};
  FetchSession session(*this, stream, fetch, requester);
  try {
    images::serve_transfer(stream, session);
  } catch (const Error& error) {
    session.on_end(error);
    throw;
  }
  session.on_end(std::nullopt);
}

void PointFetches::cut(uint64_t rescue) {
  auto streams = streams_.lock();
  for (auto& [stream, session] : *streams)
    if (session == rescue) stream->abort();
}

}  // namespace appliance::rescue
