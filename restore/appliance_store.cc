#include "restore/appliance_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>

#include "base/answered_error.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"
#include "base/http_client.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"
#include "base/tls_context.h"
#include "base/transfer_upgrade.h"
#include "images/wire/remote_point.h"

namespace restore {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kPatience{10};
constexpr std::chrono::milliseconds kPause{2000};
constexpr size_t kMaxListed = 5000;  // points of one answer
constexpr size_t kMaxName = 255;     // bytes

base::HttpClient client_of(const base::Endpoint& endpoint, const std::string& fingerprint) {
  base::TlsClientOptions tls;
  tls.authority_fingerprint = fingerprint;
  return base::HttpClient::over_tls(endpoint, base::TlsContext::client(tls));
}

json body_of(const base::HttpResponse& answer, const std::string& place) {
  if (answer.status >= 400)
    throw base::error_of_answer(answer).with_context("the appliance " + place);
  json body = base::find_json(answer.body, base::kOwnJsonLimits).value_or(json());
  if (!body.is_object())
    throw Error(ErrorCode::corrupt,
                place + " answered something that is not an appliance's answer");
  return body;
}

// How to ask the appliance.
class Api {
 public:
  explicit Api(const ApplianceAccess& access)
      : access_(access), client_(client_of(access.endpoint, access.fingerprint)) {}

  json get(const std::string& path) const {
    return body_of(client_.send(request(path)), access_.endpoint.text());
  }
  std::unique_ptr<base::ByteStream> open_fetch(const images::PointId& point) const {
    std::string path = std::string(base::kFetchPath).substr(7) + "?point=" + point.hex();
    return client_.upgrade(
        request(path), base::kTransferProtocol, [this](const base::HttpResponse& answer) {
          return base::error_of_answer(answer).with_context("the appliance " +
                                                            access_.endpoint.text());
        });
  }
  const std::stop_token& stop() const { return access_.stop; }

 private:
  // `path` follows /api/v1.
  base::HttpRequest request(std::string path) const {
    if (!access_.tenant.empty()) {
      path += (path.find('?') == std::string::npos ? "?tenant=" : "&tenant=") +
              base::encode_percent(access_.tenant);
    }
    return {"GET", "/api/v1" + path, {{"Authorization", "Bearer " + access_.token}}, ""};
  }

  const ApplianceAccess access_;
  const base::HttpClient client_;
};

// The connection over which one point is read, made again when it breaks.
class PointConnection {
 public:
  PointConnection(std::shared_ptr<const Api> api, const images::PointId& id)
      : api_(std::move(api)), id_(id) {
    connect(*state_.lock());
  }

  struct Current {
    std::shared_ptr<images::RemotePoint> remote;
    uint64_t number = 0;  // of the connection
  };
  Current current() { return state_.lock()->current; }

  // The connection after the one of this number, which failed with `error`. Throws that if it is
  // nothing that passes, or the appliance stays away.
  Current after(uint64_t number, const Error& error) {
    bool is_temporary = error.code() == ErrorCode::unavailable || error.code() == ErrorCode::busy;
    if (!is_temporary) throw error;
    auto state = state_.lock();
    for (auto begin = Clock::now(); state->current.number == number;) {
      if (Clock::now() - begin > kPatience) throw error;
      base::log().warn("the appliance is gone for now: {}", error.message());
      if (!base::sleep_unless_stopped(api_->stop(), kPause))
        throw Error(ErrorCode::cancelled, "interrupted");
      try {
        connect(*state);
      } catch (const Error& again) {
        bool waits = again.code() == ErrorCode::unavailable || again.code() == ErrorCode::busy;
        if (!waits) throw;
      }
    }
    return state->current;
  }

  uint64_t received_size() {
    auto state = state_.lock();
    return state->received_before + state->current.remote->received_size();
  }

 private:
  struct State {
    Current current;
    uint64_t received_before = 0;
  };

  void connect(State& state) {
    auto remote = images::RemotePoint::open(api_->open_fetch(id_), images::wire::Ticket{});
    if (remote->point().id != id_)
      throw Error(ErrorCode::corrupt, "the appliance gives another point than was asked for");
    if (state.current.remote) {
      // The disks of what was begun are those of what goes on.
      const auto& old = state.current.remote->point().disks;
      const auto& now = remote->point().disks;
      bool are_equal = std::equal(old.begin(), old.end(), now.begin(), now.end(),
                                  [](const auto& a, const auto& b) {
                                    return a.name == b.name && a.size == b.size && a.root == b.root;
                                  });
      if (!are_equal)
        throw Error(ErrorCode::corrupt, "the appliance gives another point than a moment ago");
      state.received_before += state.current.remote->received_size();
    }
    state.current = {std::move(remote), state.current.number + 1};
  }

  const std::shared_ptr<const Api> api_;
  const images::PointId id_;
  base::Guarded<State> state_;
};

class FetchedDisk : public images::DiskReader {
 public:
  FetchedDisk(std::shared_ptr<PointConnection> connection, const std::string& name)
      : connection_(std::move(connection)), name_(name) {
    auto now = connection_->current();
    auto opened = open(now);
    hasher_ = opened->hasher();
    disk_ = opened->disk();
  }

  const images::PointDisk& disk() const override { return disk_; }
  uint64_t size() const override { return disk_.size; }
  const images::ChunkHasher& hasher() const override { return hasher_; }

  std::vector<images::ChunkId> chunk_ids(uint64_t first, uint64_t count) override {
    return ask([&](images::DiskReader& disk) { return disk.chunk_ids(first, count); });
  }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    return ask([&](images::DiskReader& disk) { return disk.extents(offset, length); });
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    ask([&](images::DiskReader& disk) {
      disk.read(offset, out);
      return true;
    });
  }
  images::EncodedChunk encoded_chunk(uint64_t number, base::Bytes& buffer) override {
    return ask([&](images::DiskReader& disk) { return disk.encoded_chunk(number, buffer); });
  }

 private:
  struct Opened {
    std::shared_ptr<images::DiskReader> reader;
    uint64_t number = 0;
  };

  std::shared_ptr<images::DiskReader> open(const PointConnection::Current& now) {
    auto opened = opened_.lock();
    if (opened->number != now.number) *opened = {now.remote->open_disk(name_), now.number};
    return opened->reader;
  }

  template <typename Call>
  std::invoke_result_t<Call, images::DiskReader&> ask(Call call) {
    for (PointConnection::Current now = connection_->current();;) {
      try {
        return call(*open(now));
      } catch (const Error& error) {
        now = connection_->after(now.number, error);
      }
    }
  }

  const std::shared_ptr<PointConnection> connection_;
  const std::string name_;
  images::ChunkHasher hasher_{4096};
  images::PointDisk disk_;
  base::Guarded<Opened> opened_;
};

uint64_t time_in(const json& object, const char* name) {
  return base::parse_time_ms(base::expect_text(object, name, 64));
}

images::PointSummary summary_of(const json& entry) {
  images::PointSummary point;
  point.id = images::PointId::from_hex(base::expect_text(entry, "id", 2 * images::PointId::kSize));
  point.machine_name = base::expect_text(entry, "machine", kMaxName);
  base::check_name(point.machine_name, "machine's name");
  point.time_ms = time_in(entry, "time");
  point.dates.host_time_ms = time_in(entry, "host_time");
  point.size = base::expect_natural(entry, "size");
  point.consistency = images::consistency_from_name(base::expect_text(entry, "consistency", 64));
  return point;
}

images::PointMarks marks_of(const json& entry) {
  images::PointMarks marks;
  if (const json* boot = base::find_field(entry, "boot"); boot != nullptr && boot->is_object()) {
    images::BootMark mark;
    mark.verdict = base::expect_text(*boot, "verdict", images::kMaxMarkText);
    mark.reason = base::find_text(*boot, "reason").value_or("");
    mark.tested_ms = time_in(*boot, "tested");
    mark.appliance_name = base::find_text(*boot, "appliance").value_or("");
    marks.boot = mark;
  }
  if (auto reason = base::find_text(entry, "hold")) marks.hold = images::HoldMark{*reason, 0, {}};
  return marks;
}

class HttpStore : public ApplianceStore {
 public:
  explicit HttpStore(const ApplianceAccess& access) : api_(std::make_shared<Api>(access)) {
    json answer = api_->get("/fetch/points?limit=1");
    id_ = images::StoreId::from_hex(base::expect_text(answer, "store", 2 * images::StoreId::kSize));
  }

  images::StoreId id() const override { return id_; }
  // Of the points that were opened: all points of a store have the same.
  const images::ChunkHasher& hasher() const override {
    if (!hasher_)
      throw Error(ErrorCode::unsupported, "how chunks are named is known when a point is open");
    return *hasher_;
  }

  std::vector<images::PointSummary> points() override { return listed("/fetch/points?limit=5000"); }
  std::vector<images::PointSummary> points_of(std::string_view machine) override {
    return listed("/fetch/points?limit=5000&machine=" + base::encode_percent(std::string(machine)));
  }
  images::PointId find_point(std::string_view selector) override {
    json answer = api_->get("/fetch/points/" + base::encode_percent(std::string(selector)));
    const json* point = base::find_field(answer, "point");
    if (point == nullptr) throw Error(ErrorCode::corrupt, "the appliance's answer names no point");
    return remember(*point).id;
  }

  images::Point read_point(const images::PointId& id) override {
    return connection(id)->current().remote->point();
  }
  images::PointMarks marks(const images::PointId& id) override {
    if (auto known = find_marks(id)) return *known;
    find_point(id.hex());
    return find_marks(id).value_or(images::PointMarks{});
  }
  std::unique_ptr<images::DiskReader> open_disk(const images::PointId& id,
                                                std::string_view name) override {
    auto opened = connection(id);
    static_cast<void>(opened->current().remote->point().disk(name));  // or not_found
    return std::make_unique<FetchedDisk>(opened, std::string(name));
  }

  uint64_t received_size() const override {
    uint64_t size = 0;
    auto state = state_.lock();
    for (const auto& [id, connection] : state->connections) size += connection->received_size();
    return size;
  }

 private:
  struct State {
    std::map<images::PointId, std::shared_ptr<PointConnection>> connections;
    std::map<images::PointId, images::PointMarks> marks;
  };

  std::optional<images::PointMarks> find_marks(const images::PointId& id) {
    auto state = state_.lock();
    auto found = state->marks.find(id);
    return found == state->marks.end() ? std::nullopt : std::optional(found->second);
  }

  images::PointSummary remember(const json& entry) {
    images::PointSummary point = summary_of(entry);
    state_.lock()->marks[point.id] = marks_of(entry);
    return point;
  }

  std::vector<images::PointSummary> listed(const std::string& path) {
    json answer = api_->get(path);
    std::vector<images::PointSummary> points;
    for (const json& entry : base::expect_list(answer, "points", kMaxListed))
      points.push_back(remember(entry));
    if (base::find_flag(answer, "more").value_or(false))
      base::log().warn("only the last {} points of the list are shown", points.size());
    return points;
  }

  std::shared_ptr<PointConnection> connection(const images::PointId& id) {
    auto state = state_.lock();
    auto& connection = state->connections[id];
    if (!connection) {
      connection = std::make_shared<PointConnection>(api_, id);
      hasher_ = connection->current().remote->hasher();
    }
    return connection;
  }

  const std::shared_ptr<const Api> api_;
  images::StoreId id_;
  std::optional<images::ChunkHasher> hasher_;
  mutable base::Guarded<State> state_;
};

}  // namespace

std::string exchange_rescue_code(const base::Endpoint& endpoint, const std::string& fingerprint,
                                 const std::string& code) {
  base::HttpRequest request{
      "POST", "/api/v1/rescue-sessions", {}, base::dump_text({{"code", code}})};
  json body = body_of(client_of(endpoint, fingerprint).send(request), endpoint.text());
  const json* rescue = base::find_field(body, "rescue");
  if (rescue == nullptr) throw Error(ErrorCode::corrupt, "the appliance's answer has no session");
  return base::expect_text(*rescue, "token", 256);
}

std::unique_ptr<ApplianceStore> ApplianceStore::open(const ApplianceAccess& access) {
  return std::make_unique<HttpStore>(access);
}

}  // namespace restore
