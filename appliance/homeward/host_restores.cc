#include "appliance/homeward/host_restores.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/crypto.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"

namespace appliance::homeward {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

// No daemon gives more orders than that in a millisecond, so the next one's numbers are higher.
constexpr uint64_t kOrdersPerMs = 1000;

constexpr uint64_t kHurryMs = 5'000, kHurriedWaitMs = 200;

// What every order ends with that a host is told about a ticket that it may not use.
[[noreturn]] void refuse_ticket() {
  throw Error(
      ErrorCode::unauthorized,
      "this host has no order to restore with this ticket: it was never given, or has ended");
}

bool are_equal(const images::wire::Ticket& one, const images::wire::Ticket& other) {
  return base::sha256(one.bytes) == base::sha256(other.bytes);  // tells nothing by its duration
}

// The base is a help: without it the host compares the disks as a whole.
void open_base(images::StoreReader& reader, const images::PointId& id,
               const std::vector<images::PointDisk>& disks, images::OpenedPoint& opened) {
  try {
    std::vector<std::unique_ptr<images::DiskReader>> readers;
    for (const images::PointDisk& disk : disks) {
      readers.push_back(reader.open_disk(id, disk.name));
      if (readers.back()->size() != disk.size) return;
    }
    opened.base_disks = std::move(readers);
    opened.base = id;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
  }
}

Error cancellation(bool was_given) {
  return Error(ErrorCode::cancelled,
               was_given ? "it was cancelled; the target holds a part of the disks, and an order "
                           "for it again continues there"
                         : "it was cancelled before the host had begun");
}

}  // namespace

HostRestores::HostRestores(catalog::Catalog& catalog, stores::TenantStores& stores,
                           jobs::JobRunner& jobs, const base::Clock& clock)
    : catalog_(catalog), stores_(stores), jobs_(jobs), clock_(clock) {
  state_.lock()->next_order = clock.wall_ms() * kOrdersPerMs;
}

HostRestores::~HostRestores() { stop(); }

jobs::JobId HostRestores::order(const HostRestore& restore, const access::Requester& requester) {
  auto host = catalog_.find_host(restore.host);
  if (!host || host->tenant != restore.tenant)
    throw Error(ErrorCode::not_found, "there is no such host");
  if (host->revoked) {
    throw Error(ErrorCode::unauthorized,
                fmt::format("the host '{}' was revoked; nothing is restored to it", host->name));
  }
  images::Point point = stores_.writer(restore.tenant)->reader().read_point(restore.point);
  Live live;
  live.restore = restore;
  if (live.restore.disks.empty()) {
    for (const images::PointDisk& disk : point.disks) live.restore.disks.push_back(disk.name);
  }
  for (const std::string& name : live.restore.disks) live.size += point.disk(name).size;
  live.machine = point.machine_name;
  live.host = host->name;
  live.ticket.bytes = base::random_array<images::wire::kTicketSize>();

  auto state = state_.lock();
  if (state->stopping) throw Error(ErrorCode::unavailable, "the appliance is stopping");
  if (state->orders.size() >= kMaxOrders)
    throw Error(ErrorCode::busy, "too many restores to hosts wait or run; try again later");
  live.job = jobs_.attach({restore.job_kind, restore.tenant, live.machine, requester});
  live.job->context().set_figures(figures_of(live, ""));  // saved with the progress
  live.job->context().set_progress({0, live.size, "waiting for the agent of " + host->name});
  live.job->context().log(
      fmt::format("point {} is to be restored to the host '{}'", restore.point.hex(), host->name));
  jobs::JobId id = live.job->id();
  state->orders.emplace(++state->next_order, std::move(live));
  return id;
}

std::string HostRestores::order_text(uint64_t id, const Live& live) {
  json order = base::find_json(live.restore.target).value_or(json::object());
  order["order"] = id;
  order["ticket"] = base::to_hex(live.ticket.bytes);
  order["machine"] = live.machine;
  order["point"] = live.restore.point.hex();
  order["disks"] = live.restore.disks;
  return base::dump_text(order);
}

std::string HostRestores::figures_of(const Live& live, const std::string& reported) {
  json figures = base::find_json(reported).value_or(json::object());
  figures["target"] = {{"kind", "host"}, {"name", live.host}};
  figures["point"] = live.restore.point.hex();
  figures["survey"] = live.restore.is_survey;
  figures["size"] = live.size;
  return base::dump_text(figures);
}

HostRestores::Orders::iterator HostRestores::end(State& state, Orders::iterator order,
                                                 const std::optional<Error>& error) {
  Live& live = order->second;
  for (base::ByteStream* stream : live.streams) stream->abort();
  if (error) live.job->fail(*error);
  else live.job->succeed();
  return state.orders.erase(order);
}

void HostRestores::take_report(State& state, const catalog::Host& host, const RestoreReport& report,
                               RestoreAnswer& answer) {
  auto order = state.orders.find(report.order);
  bool is_known = order != state.orders.end() && order->second.restore.host == host.id;
  if (!is_known) {
    if (report.state == RestoreReport::State::running) answer.ended.push_back(report.order);
    return;
  }
  Live& live = order->second;
  live.given = live.begun = true;
  live.heard_ms = clock_.steady_ms();
  jobs::JobContext& job = live.job->context();
  if (report.state == RestoreReport::State::running) {
    if (job.stop().stop_requested()) answer.ended.push_back(report.order);
    job.set_progress({report.done, report.total > 0 ? report.total : live.size, report.doing});
    if (!report.figures.empty()) job.set_figures(figures_of(live, report.figures));
    return;
  }
  if (!report.figures.empty()) job.set_figures(figures_of(live, report.figures));
  for (const std::string& note : report.notes) job.log(note);
  bool succeeded = report.state == RestoreReport::State::succeeded;
  if (succeeded) job.set_progress({live.size, live.size, "restored"});
  std::optional<Error> error;
  if (!succeeded && job.stop().stop_requested()) {
    error = cancellation(true);
  } else if (!succeeded) {
    error.emplace(ErrorCode::io, fmt::format("the agent of {}: {}", host.name, report.error));
  }
  end(state, order, error);
}

RestoreAnswer HostRestores::poll(const catalog::Host& host,
                                 const std::vector<RestoreReport>& reports) {
  RestoreAnswer answer;
  auto state = state_.lock();
  std::set<uint64_t> told;
  for (const RestoreReport& report : reports) {
    if (report.state == RestoreReport::State::running) told.insert(report.order);
    take_report(*state, host, report, answer);
  }
  size_t of_host = 0;
  for (auto& [id, live] : state->orders) {
    if (live.restore.host != host.id) continue;
    if (told.contains(id)) ++of_host;
  }
  for (auto& [id, live] : state->orders) {
    bool is_ours = live.restore.host == host.id && !told.contains(id) &&
                   !live.job->context().stop().stop_requested();
    if (!is_ours || of_host >= kMaxOfHost || state->stopping) continue;
    ++of_host;
    if (live.begun) live.job->context().log("the agent was restarted: the order is given again");
    if (!live.given || live.begun) live.heard_ms = clock_.steady_ms();
    live.given = true;
    live.begun = false;
    answer.orders.push_back(order_text(id, live));
  }
  auto hurried = state->hurried.find(host.id);
  if (hurried != state->hurried.end()) {
    if (clock_.steady_ms() < hurried->second) answer.wait_ms = kHurriedWaitMs;
    else state->hurried.erase(hurried);
  }
  return answer;
}

void HostRestores::hurry(const catalog::HostId& host) {
  state_.lock()->hurried[host] = clock_.steady_ms() + kHurryMs;
}

void HostRestores::tend() {
  auto state = state_.lock();
  for (auto order = state->orders.begin(); order != state->orders.end();) {
    Live& live = order->second;
    auto host = catalog_.find_host(live.restore.host);
    std::optional<Error> over;
    if (live.job->context().stop().stop_requested()) {
      over = cancellation(live.given);
    } else if (!host || host->revoked) {
      over.emplace(ErrorCode::unauthorized, "the host was revoked");
    } else if (live.given && !live.begun && clock_.steady_ms() - live.heard_ms > kBeginMs) {
      over.emplace(ErrorCode::unsupported,
                   fmt::format("the agent of {} was told and did not begin: it is too old, or fell "
                               "silent; see 'muletto host show'",
                               host->name));
    } else if (live.given && clock_.steady_ms() - live.heard_ms > kSilenceMs) {
      over.emplace(ErrorCode::unavailable,
                   fmt::format("the agent of {} has been silent for half an hour; an order for it "
                               "again continues where it was",
                               host->name));
    }
    if (over) order = end(*state, order, over);
    else ++order;
  }
}

void HostRestores::stop() {
  auto state = state_.lock();
  state->stopping = true;
  for (auto order = state->orders.begin(); order != state->orders.end();) {
    order = end(*state, order,
                Error(ErrorCode::unavailable,
                      "the appliance was stopped; order it again, and it continues where it was"));
  }
}

std::unique_ptr<images::OpenedPoint> HostRestores::open(const catalog::Host& host,
                                                        const images::wire::Ticket& ticket,
                                                        base::ByteStream& stream) {
  HostRestore restore;
  uint64_t id = 0;
  {
    auto state = state_.lock();
    auto order = std::find_if(state->orders.begin(), state->orders.end(), [&](const auto& each) {
      return each.second.restore.host == host.id && are_equal(each.second.ticket, ticket);
    });
    if (order == state->orders.end() || !order->second.given ||
        order->second.job->context().stop().stop_requested())
      refuse_ticket();
    id = order->first;
    restore = order->second.restore;
    // An agent that lost its connection may be back before we notice: its newer session wins.
    for (base::ByteStream* older : order->second.streams) older->abort();
    order->second.streams.insert(&stream);
  }
  // From here on the session is registered, and `keeps` ends that.
  auto opened = std::make_unique<images::OpenedPoint>();
  struct Registration {
    HostRestores& owner;
    uint64_t id;
    base::ByteStream* stream;
    std::shared_ptr<images::StoreWriter> store;
    ~Registration() {
      auto state = owner.state_.lock();
      auto order = state->orders.find(id);
      if (order != state->orders.end()) order->second.streams.erase(stream);
    }
  };
  auto registration = std::make_shared<Registration>(Registration{*this, id, &stream, nullptr});
  registration->store = stores_.writer(restore.tenant);
  images::StoreReader& reader = registration->store->reader();
  images::Point point = reader.read_point(restore.point);
  std::vector<images::PointDisk> disks;
  for (const std::string& name : restore.disks) disks.push_back(point.disk(name));
  point.disks = disks;
  for (const images::PointDisk& disk : disks)
    opened->disks.push_back(reader.open_disk(restore.point, disk.name));
  if (restore.base) open_base(reader, *restore.base, disks, *opened);
  opened->point = std::move(point);
  opened->tells_definition = restore.tells_definition;
  opened->hasher = reader.hasher();
  opened->keeps = std::move(registration);
  base::log().info("host {} reads the point {} for its order to restore", host.name,
                   restore.point.hex());
  return opened;
}

}  // namespace appliance::homeward
