#include "agent/homeward/restore_order.h"

#include <filesystem>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace agent::homeward {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxName = 255;   // bytes
constexpr size_t kMaxPath = 1024;  // bytes
constexpr size_t kMaxNetworks = 64;

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::invalid_argument, "the order to restore cannot be obeyed: " + sentence);
}

std::string path_in(const json& object, const char* name) {
  std::string text = base::expect_text(object, name, kMaxPath);
  std::filesystem::path path(text);
  bool good = path.is_absolute() && path.lexically_normal().string() == text &&
              path.has_filename() && base::clean_text(text, kMaxPath) == text;
  if (!good) refuse("'" + base::clean_text(text, kMaxPath) + "' is not a plain absolute path");
  return text;
}

std::string format_in(const json& object) {
  std::string format = base::expect_text(object, "format", kMaxName);
  if (format != "raw" && format != "qcow2") refuse("a disk's format is raw or qcow2");
  return format;
}

bool flag_in(const json& object, const char* name) {
  return base::find_flag(object, name).value_or(false);
}

void read_places(const json& text, RestoreOrder& order) {
  for (const json& entry : base::find_list(text, "targets")) {
    if (order.targets.size() == images::wire::kMaxDisks) refuse("it has too many targets");
    order.targets.push_back(
        {base::expect_text(entry, "disk", kMaxName), path_in(entry, "path"), format_in(entry)});
  }
  if (base::find_field(text, "folder") != nullptr) order.folder = path_in(text, "folder");
  order.in_place = flag_in(text, "in_place");
  int ways = int{!order.targets.empty()} + int{!order.folder.empty()} + int{order.in_place};
  if (ways != 1) refuse("it does not say, in one way, where to restore to");
}

constexpr size_t kNumberDigits = 32;

bool is_number(const std::string& text) {
  return text.size() == kNumberDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

HomeOrder home_in(const json& text) {
  HomeOrder home;
  home.failback = base::expect_natural(text, "failback");
  home.boot = base::expect_text(text, "boot", kMaxName);
  std::string step = base::expect_text(text, "step", kMaxName);
  if (step == "copy") home.step = HomeOrder::Step::copy;
  else if (step == "last") home.step = HomeOrder::Step::last;
  else if (step == "start") home.step = HomeOrder::Step::start;
  else if (step == "never-start") home.step = HomeOrder::Step::never_start;
  else refuse("it has an unknown step of a failback; update this agent");
  if (auto base = base::find_text(text, "base")) home.base = images::PointId::from_hex(*base);
  home.number = base::find_text(text, "number").value_or("");
  bool needs_number =
      home.step == HomeOrder::Step::start || home.step == HomeOrder::Step::never_start;
  if (needs_number != is_number(home.number)) refuse("the number of its start is none");
  return home;
}

}  // namespace

RestoreOrder parse_restore_order(const json& text) {
  RestoreOrder order;
  order.order = base::expect_natural(text, "order");
  std::string ticket = base::expect_text(text, "ticket", 2 * images::wire::kTicketSize);
  base::Bytes bytes = base::from_hex(ticket, images::wire::kTicketSize);
  std::copy(bytes.begin(), bytes.end(), order.ticket.bytes.begin());
  order.machine = base::expect_text(text, "machine", kMaxName);
  base::check_name(order.machine, "machine's name");
  order.point =
      images::PointId::from_hex(base::expect_text(text, "point", 2 * images::PointId::kSize));
  for (const json& disk : base::expect_list(text, "disks", images::wire::kMaxDisks)) {
    if (!disk.is_string()) refuse("a disk's name is no text");
    order.disks.push_back(disk.get<std::string>());
    base::check_name(order.disks.back(), "disk's name");
  }
  read_places(text, order);
  order.format = format_in(text);
  order.shut_down = flag_in(text, "shut_down");
  order.define = flag_in(text, "define");
  order.start = flag_in(text, "start");
  if (base::find_field(text, "name") != nullptr) {
    order.name = base::expect_text(text, "name", kMaxName);
    base::check_name(order.name, "machine's name");
  }
  for (const json& network : base::find_list(text, "networks")) {
    if (order.networks.size() == kMaxNetworks) refuse("it has too many networks");
    std::string to = base::expect_text(network, "to", kMaxName);
    base::check_name(to, "network's name");
    order.networks[base::expect_text(network, "from", kMaxName)] = to;
  }
  order.overwrite = base::find_text(text, "overwrite").value_or("");
  order.verify = restore::verify_from_name(base::find_text(text, "verify").value_or("written"));
  order.erase_foreign = flag_in(text, "erase_foreign");
  order.survey = flag_in(text, "survey");
  order.rate = base::find_natural(text, "rate").value_or(0);
  if (const json* home = base::find_field(text, "home")) order.home = home_in(*home);
  return order;
}

}  // namespace agent::homeward
