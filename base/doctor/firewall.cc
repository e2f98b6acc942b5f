// Whether the firewall of this machine lets connections in. Only what is certain is called ok or wrong:
// rules can do things that no reader foresees.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/doctor/machine.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace base::doctor {
namespace {

using nlohmann::json;

constexpr auto kPatience = std::chrono::seconds(10);

// A value of a rule: a number, a range, a set of them, or a name of a set.
bool has_port(const json& value, uint16_t port) {
  if (value.is_number_unsigned()) return value.get<uint64_t>() == port;
  if (value.is_array()) {
    for (const json& each : value)
      if (has_port(each, port)) return true;
    return false;
  }
  if (const json* set = find_field(value, "set")) return has_port(*set, port);
  const json& range = find_list(value, "range");
  return range.size() == 2 && range[0].is_number_unsigned() && range[1].is_number_unsigned() &&
         range[0].get<uint64_t>() <= port && port <= range[1].get<uint64_t>();
}

struct RuleSense {
  bool accepts_port = false;
  bool is_opaque = false;  // iptables' own matches, which nft does not explain
};

RuleSense sense_of(const json& rule, uint16_t port) {
  RuleSense sense;
  bool matches = false, accepts = false;
  for (const json& expression : find_list(rule, "expr")) {
    if (expression.is_object() && expression.contains("xt")) sense.is_opaque = true;
    if (expression.is_object() && expression.contains("accept")) accepts = true;
    const json* match = find_field(expression, "match");
    if (match == nullptr) continue;
    const json* left = find_field(*match, "left");
    const json* payload = left == nullptr ? nullptr : find_field(*left, "payload");
    if (payload == nullptr || find_text(*payload, "field") != "dport") continue;
    const json* right = find_field(*match, "right");
    if (right != nullptr && find_text(*match, "op") == "==") matches = has_port(*right, port);
  }
  sense.accepts_port = matches && accepts;
  return sense;
}

std::string table_of(const json& object) {
  return find_text(object, "family").value_or("") + " " + find_text(object, "table").value_or("");
}

Finding closed(uint16_t port, const std::string& by) {
  return {Outcome::warn, "firewall",
          fmt::format("{} drops what no rule lets in, and no rule names port {}", by, port),
          fmt::format("let TCP port {} in from the hosts that are protected: docs/ports.md", port)};
}

}  // namespace

Finding judge_nft_rules(std::string_view answer, uint16_t port) {
  json parsed = parse_json(answer, "the answer of nft");
  std::set<std::string> closed_tables, open_tables, opaque_tables;
  for (const json& each : find_list(parsed, "nftables")) {
    if (const json* chain = find_field(each, "chain")) {
      if (find_text(*chain, "hook") == "input" && find_text(*chain, "policy") == "drop")
        closed_tables.insert(table_of(*chain));
    }
    if (const json* rule = find_field(each, "rule")) {
      RuleSense sense = sense_of(*rule, port);
      if (sense.accepts_port) open_tables.insert(table_of(*rule));
      if (sense.is_opaque) opaque_tables.insert(table_of(*rule));
    }
  }
  for (const std::string& table : closed_tables) {
    if (open_tables.count(table) != 0) continue;
    if (opaque_tables.count(table) != 0)
      throw Error(
          ErrorCode::unsupported,
          "the table '" + table + "' of nft has rules of iptables that nft does not explain");
    return closed(port, "the table '" + table + "' of nft");
  }
  return {Outcome::ok, "firewall",
          closed_tables.empty() ? "no rule of nft drops connections by default"
                                : fmt::format("a rule of nft lets port {} in", port),
          ""};
}

Finding judge_iptables_rules(std::string_view answer, uint16_t port) {
  bool drops = false, names_port = false;
  for (const std::string& line : split(answer, '\n')) {
    if (line == "-P INPUT DROP" || line == "-P INPUT REJECT") drops = true;
    std::string padded = line + " ";
    if (padded.find(fmt::format("--dport {} ", port)) != std::string::npos &&
        padded.find("-j ACCEPT ") != std::string::npos)
      names_port = true;
  }
  if (answer.find("-P INPUT ") == std::string_view::npos)
    throw Error(ErrorCode::invalid_argument, "iptables does not say what it does by default");
  if (drops && !names_port) return closed(port, "iptables");
  return {Outcome::ok, "firewall",
          drops ? fmt::format("a rule of iptables lets port {} in", port)
                : "iptables does not drop connections by default",
          ""};
}

Finding look_at_firewall(uint16_t port) {
  try {
    return judge_nft_rules(run_checked({"nft", "--json", "list", "ruleset"}, kPatience), port);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
  }
  try {
    return judge_iptables_rules(run_checked({"iptables", "-S", "INPUT"}, kPatience), port);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    throw Error(ErrorCode::unavailable, "neither nft nor iptables is installed");
  }
}

}  // namespace base::doctor
