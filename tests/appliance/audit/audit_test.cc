// The audit log: its chain, what is found when somebody changes it, and what is not listed.
#include <catch2/catch.hpp>
#include <map>

#include "appliance/audit/audit_chain.h"
#include "appliance/audit/audit_log.h"
#include "base/error.h"
#include "base/json_access.h"
#include "images/format/audit_anchor_format.h"

namespace appliance::audit {
namespace {

// Rows that a test can change, and a disk that can be full.
class Rows : public catalog::AuditRecords {
 public:
  void append_audit(const catalog::AuditRow& row) override {
    if (failures > 0) {
      --failures;
      throw base::Error(base::ErrorCode::no_space, "the disk is full");
    }
    if (!rows.emplace(row.sequence, row).second)
      throw base::Error(base::ErrorCode::already_exists, "there is one");
  }
  std::optional<catalog::AuditRow> last_audit() override {
    return rows.empty() ? std::nullopt : std::optional(rows.rbegin()->second);
  }
  std::vector<catalog::AuditRow> audit(uint64_t first, uint32_t limit) override {
    std::vector<catalog::AuditRow> found;
    for (auto at = rows.lower_bound(first); at != rows.end() && found.size() < limit; ++at)
      found.push_back(at->second);
    return found;
  }
  std::map<uint64_t, catalog::AuditRow> rows;
  int failures = 0;
};

Happening happening(const std::string& who = "user anna", const std::string& from = "192.0.2.1") {
  return {who, from, "DELETE /api/v1/points/1a2b", "acme", {{"reason", "old"}}};
}

nlohmann::json entry(Rows& rows, uint64_t sequence) {
  return base::parse_json(rows.rows.at(sequence).body, "the entry");
}

// A log with 21 entries, and what was remembered at the 11th.
struct Filled {
  Rows rows;
  Memory memory;
  Filled() {
    AuditLog log(rows, {.appliance = "a1"});
    for (int i = 0; i < 10; ++i) {
      log.end(log.begin(happening()), {200, "", 7});
      if (i == 4) memory = {"the store", log.head().sequence, log.head().hash};
    }
  }
  void hash_again_from(uint64_t sequence) {
    base::Sha256 hash = rows.rows.at(sequence - 1).hash;
    for (auto at = rows.rows.find(sequence); at != rows.rows.end(); ++at)
      hash = at->second.hash = chain_hash(hash, at->second.body);
  }
};

}  // namespace

TEST_CASE("an entry says who did what from where, and what came of it", "[audit]") {
  Rows rows;
  AuditLog log(rows, {.appliance = "a1"});
  CHECK(entry(rows, 1)["kind"] == "begun");
  uint64_t number = log.begin(happening());
  CHECK(number == 2);
  log.end(number, {202, "", 17});
  nlohmann::json request = entry(rows, 2), answer = entry(rows, 3);
  CHECK(request["who"] == "user anna");
  CHECK(request["from"] == "192.0.2.1");
  CHECK(request["what"] == "DELETE /api/v1/points/1a2b");
  CHECK(request["tenant"] == "acme");
  CHECK(request["details"]["reason"] == "old");
  CHECK(answer["of"] == 2);
  CHECK(answer["outcome"] == "done");
  CHECK(answer["job"] == 17);
  log.note(happening("", ""), {401, "wrong", {}});
  CHECK(entry(rows, 4)["who"] == "a stranger");
  CHECK(entry(rows, 4)["from"] == "this machine");
  CHECK(entry(rows, 4)["outcome"] == "refused");
  CHECK(check_chain(rows, {}).good());
  // What a later process appends belongs to the same chain.
  AuditLog again(rows, {.appliance = "a1"});
  again.begin(happening());
  CHECK(check_chain(rows, {}).entry_count == 5);
}

TEST_CASE("texts from outside are bounded and always JSON", "[audit]") {
  Rows rows;
  AuditLog log(rows, {.appliance = "a1"});
  std::string wild = "\xFF\"\n\x01" + std::string(100'000, 'x') + "\xE2\x82";
  log.end(log.begin({wild, wild, wild, wild, {{"name", wild.substr(0, 200)}}}), {400, wild, {}});
  for (uint64_t i = 2; i <= 3; ++i) {
    CHECK(rows.rows.at(i).body.size() < 4000);
    CHECK(entry(rows, i).is_object());
  }
}

TEST_CASE("whatever is changed in the log shows", "[audit]") {
  Filled log;
  ChainCheck good = check_chain(log.rows, {log.memory});
  REQUIRE(good.good());
  CHECK(good.entry_count == 21);
  auto first_wrong = [&] {
    ChainCheck check = check_chain(log.rows, {log.memory});
    INFO(check.problem);
    CHECK_FALSE(check.good());
    return check.first_wrong;
  };
  SECTION("a letter") {
    log.rows.rows.at(7).body[20] ^= 1;
    CHECK(first_wrong() == 7);
  }
  SECTION("a hash") {
    log.rows.rows.at(7).hash[0] ^= 1;
    CHECK(first_wrong() == 7);
  }
  SECTION("one is removed") {
    log.rows.rows.erase(9);
    CHECK(first_wrong() == 9);
  }
  SECTION("the first is removed") {
    log.rows.rows.erase(1);
    CHECK(first_wrong() == 1);
  }
  SECTION("two are exchanged") {
    std::swap(log.rows.rows.at(5).body, log.rows.rows.at(6).body);
    CHECK(first_wrong() == 5);
  }
  SECTION("one is put before the first") {
    log.rows.rows[0] = log.rows.rows.at(1);
    log.rows.rows[0].sequence = 0;
    CHECK_FALSE(check_chain(log.rows, {}).good());
  }
  SECTION("changed, and all hashes computed again: the anchor remembers") {
    log.rows.rows.at(7).body[20] ^= 1;
    log.hash_again_from(7);
    CHECK(check_chain(log.rows, {}).good());
    CHECK(first_wrong() == 1);  // at 11 at the latest; nothing before is anchored
  }
  SECTION("the end is removed up to before the anchor") {
    while (log.rows.rows.size() > 10) log.rows.rows.erase(std::prev(log.rows.rows.end()));
    CHECK(check_chain(log.rows, {}).good());
    CHECK(first_wrong() == 11);
  }
  SECTION("all is removed") {
    log.rows.rows.clear();
    CHECK(first_wrong() == 1);
  }
  SECTION("after the anchor it is not found: the next anchor is what finds it") {
    log.rows.rows.at(15).body[20] ^= 1;
    log.hash_again_from(15);
    CHECK(check_chain(log.rows, {log.memory}).good());
  }
}

TEST_CASE("without an entry nothing may be changed", "[audit]") {
  Rows rows;
  AuditLog log(rows, {.appliance = "a1"});
  rows.failures = 2;
  CHECK_THROWS_AS(log.begin(happening()), base::Error);
  CHECK_FALSE(log.problem().empty());
  CHECK_THROWS_AS(log.require_writable(), base::Error);
  CHECK_NOTHROW(log.require_writable());
  CHECK(log.problem().empty());
  // An outcome that could not be written is said later.
  uint64_t number = log.begin(happening());
  rows.failures = 1;
  log.end(number, {200, "", {}});
  CHECK_FALSE(log.problem().empty());
  CHECK(entry(rows, log.begin(happening()))["lost_before"] == 1);
  CHECK(check_chain(rows, {}).good());
}

TEST_CASE("a full disk gets room made once", "[audit]") {
  Rows rows;
  int made = 0;
  AuditLog log(rows, {.appliance = "a1", .make_room = [&] { ++made; }});
  rows.failures = 1;
  CHECK_NOTHROW(log.begin(happening()));
  CHECK(made == 1);
  CHECK(log.problem().empty());
}

TEST_CASE("strangers do not fill the log, and what was not listed is counted", "[audit]") {
  Rows rows;
  base::ManualClock clock;
  AuditLog log(rows, {.appliance = "a1"}, clock);
  for (int i = 0; i < 10'000; ++i)
    log.note(happening("", "192.0.2." + std::to_string(i % 4)), {401, "", {}});
  CHECK(rows.rows.size() == 1 + 4 * 60);
  for (int i = 0; i < 10'000; ++i)
    log.note(happening("", "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)),
             {401, "", {}});
  CHECK(rows.rows.size() == 1 + 600);
  // A change is always listed. What was not listed is counted in the entries that were.
  log.begin(happening());
  uint64_t unlisted = 0;
  for (const auto& [sequence, row] : rows.rows)
    unlisted += entry(rows, sequence).value("unlisted_before", uint64_t{0});
  CHECK(unlisted == 20'000 - 600);
  log.note(happening(""), {401, "", {}});
  log.round();
  CHECK(rows.rows.size() == 602);
  clock.pass(3'600'000);
  log.round();
  CHECK(rows.rows.size() == 603);
  CHECK(entry(rows, 603)["unlisted_before"] == 1);
  log.note(happening(""), {401, "", {}});
  CHECK(rows.rows.size() == 604);
}

TEST_CASE("anchors are read as they were written, and nothing else is", "[audit]") {
  images::format::ApplianceBytes me{1, 2, 3, 4, 5, 6, 7, 8}, other{};
  std::vector<images::AuditAnchor> anchors;
  for (uint64_t i = 1; i <= 3; ++i)
    anchors.push_back({i * 10, i * 1000, chain_hash({}, std::to_string(i))});
  base::Bytes bytes = images::format::encode_audit_anchors(me, anchors);
  CHECK(base::to_hex(base::ByteView(bytes).first(24)) ==
        "4d554c41554449540100000003000000"
        "0102030405060708");
  CHECK(bytes.size() == 24 + 3 * 48 + 8);
  CHECK(images::format::decode_audit_anchors(bytes, me) == anchors);
  CHECK_THROWS_AS(images::format::decode_audit_anchors(bytes, other), base::Error);
  for (size_t i = 0; i < bytes.size(); ++i) {
    base::Bytes bad = bytes;
    bad[i] ^= 0x41;
    CHECK_THROWS_AS(images::format::decode_audit_anchors(bad, me), base::Error);
    CHECK_THROWS_AS(images::format::decode_audit_anchors(base::ByteView(bytes).first(i), me),
                    base::Error);
  }
  std::vector<images::AuditAnchor> many;
  for (uint64_t i = 1; i <= 1500; ++i) many.push_back({i, i, {}});
  auto kept =
      images::format::decode_audit_anchors(images::format::encode_audit_anchors(me, many), me);
  CHECK(kept.size() == images::format::kMaxAuditAnchors);
  CHECK(kept.back().sequence == 1500);
}

}  // namespace appliance::audit
