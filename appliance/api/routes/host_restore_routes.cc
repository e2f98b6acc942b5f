// POST /api/v1/restores with the target "host": a restore that the host's agent carries out.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/restore_routes.h"
#include "appliance/homeward/host_restores.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"
#include "restore/engine/disk_writer.h"

namespace appliance::api {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxTargets = 64;
constexpr size_t kMaxPath = 1024;  // bytes
constexpr size_t kMaxNetworks = 64;

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::invalid_argument, sentence);
}

// The host decides what it lets be written; this only keeps out what no host could mean.
void check_path(const std::string& path) {
  std::filesystem::path given(path);
  bool good = path.size() <= kMaxPath && given.is_absolute() &&
              given.lexically_normal().string() == path && base::clean_text(path, kMaxPath) == path;
  if (!good) {
    refuse(fmt::format("'{}' is not an absolute path without '..', '//' and control characters",
                       base::clean_text(path, kMaxPath)));
  }
}

void check_format(const std::string& format) {
  if (format != "raw" && format != "qcow2") refuse("a host's disk has the format raw or qcow2");
}

json targets_of(BodyFields& body) {
  json targets = json::array();
  for (auto& target : body.text_objects("targets", {"disk", "path", "format"}, kMaxTargets)) {
    check_path(target["path"]);
    check_format(target["format"]);
    targets.push_back(target);
  }
  return targets;
}

json networks_of(BodyFields& body) {
  json networks = json::array();
  for (auto& network : body.text_objects("networks", {"from", "to"}, kMaxNetworks)) {
    base::check_name(network["to"], "network's name");
    networks.push_back(network);
  }
  return networks;
}

struct Wishes {
  json target;
  std::string point;
  std::vector<std::string> disks;
  bool defines = false;
};

// What is missing or contradicts itself.
void check(const json& target, bool is_in_place, bool defines) {
  bool has_folder = target.contains("folder"), has_targets = !target["targets"].empty();
  if (int{has_folder} + int{has_targets} + int{is_in_place} != 1) {
    refuse("say where to restore to, in one way: 'targets', 'folder', or 'in_place'");
  }
  if (target["start"] == true && !defines && !is_in_place)
    refuse("'start' needs 'define' or 'in_place': a machine that is not defined cannot be started");
  if (target["shut_down"] == true && !is_in_place)
    refuse("'shut_down' is for a restore 'in_place'");
  if (is_in_place && defines)
    refuse("a restore 'in_place' keeps the machine's definition: leave 'define' out");
}

Wishes read_wishes(BodyFields& body) {
  Wishes wishes;
  json& target = wishes.target;
  wishes.point = body.required_text("point");
  wishes.disks = body.texts("disks", kMaxTargets);
  target["targets"] = targets_of(body);
  if (auto folder = body.text("folder")) {
    check_path(*folder);
    target["folder"] = *folder;
  }
  std::string format = body.text("format").value_or("qcow2");
  check_format(format);
  target["format"] = format;
  bool is_in_place = body.flag("in_place");
  target["in_place"] = is_in_place;
  target["shut_down"] = body.flag("shut_down");
  wishes.defines = body.flag("define");
  target["define"] = wishes.defines;
  target["start"] = body.flag("start");
  if (auto name = body.text("name")) {
    base::check_name(*name, "machine's name");
    target["name"] = *name;
  }
  target["networks"] = networks_of(body);
  target["overwrite"] = body.text("overwrite").value_or("");
  target["erase_foreign"] = body.flag("erase_foreign");
  target["verify"] =
      restore::verify_name(restore::verify_from_name(body.text("verify").value_or("written")));
  target["survey"] = body.flag("survey");
  target["rate"] = body.natural("rate", 1, UINT64_MAX).value_or(0);
  body.require_no_more();
  check(target, is_in_place, wishes.defines);
  return wishes;
}

}  // namespace

Response restore_to_host(Services& services, const Request& request, BodyFields& body) {
  require_privilege(request.principal, Privilege::host_restore);
  catalog::Host host = services.catalog.host(body.required_text("host"), request.scope());
  Wishes wishes = read_wishes(body);
  homeward::HostRestore restore;
  restore.tenant = host.tenant;
  restore.host = host.id;
  images::StoreReader& reader = services.stores.writer(host.tenant)->reader();
  restore.point = reader.find_point(wishes.point);
  restore.disks = wishes.disks;
  restore.tells_definition = wishes.defines;
  std::string machine = reader.read_point(restore.point).machine_name;
  if (wishes.target["in_place"] == true && wishes.target["survey"] == false &&
      wishes.target["overwrite"] != machine) {
    refuse(
        fmt::format("this overwrites the disks of '{0}' on the host '{1}': confirm it with "
                    "'overwrite': '{0}'",
                    machine, host.name));
  }
  restore.is_survey = wishes.target["survey"] == true;
  restore.target = base::dump_text(wishes.target);
  return accepted(services, services.host_restores->order(restore, request.requester()));
}

}  // namespace appliance::api
