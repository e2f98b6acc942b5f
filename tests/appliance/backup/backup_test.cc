#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <random>
#include <thread>

#include "appliance/backup/backups_in_store.h"
#include "appliance/backup/content.h"
#include "appliance/backup/store_backups.h"
#include "appliance/pki/authority.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/private_file.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "images/store/place/open_place.h"
#include "images/store/store_writer.h"

namespace appliance::backup {
namespace {

using base::Error;
using base::ErrorCode;
using Catch::Contains;

Backup small_backup() {
  Backup backup;
  backup.made_ms = 1'790'000'000'000;
  backup.node = access::NodeId::random();
  backup.host_name = "backup1";
  backup.version = "0.1.0";
  base::Bytes large(3'500'000);
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<uint8_t>(i * i >> 7);
  backup.files = {
      {"catalog.sqlite", large}, {"pki/ca.crt", {1, 2, 3}}, {"pki/ca.key", {4}}, {"node-id", {}}};
  return backup;
}

BackupKey passphrase(const char* text) { return {text, std::nullopt}; }

void check_equal(const Backup& a, const Backup& b) {
  CHECK(a.made_ms == b.made_ms);
  CHECK(a.node == b.node);
  CHECK(a.host_name == b.host_name);
  REQUIRE(a.files.size() == b.files.size());
  for (size_t i = 0; i < a.files.size(); ++i) {
    CHECK(a.files[i].name == b.files[i].name);
    CHECK((a.files[i].bytes == b.files[i].bytes));
  }
}

ErrorCode code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::cancelled;
}

// A state folder as a daemon leaves it.
struct Appliance {
  base::ScratchDirectory scratch{"/tmp", "muletto-backup-test"};
  Config config;
  std::unique_ptr<catalog::Catalog> catalog;
  std::unique_ptr<stores::TenantStores> stores;

  explicit Appliance(bool is_made = true) {
    config.state_directory = scratch.path() + "/state";
    if (!is_made) return;
    base::make_passable_directory(config.state_directory);
    base::make_private_directory(config.stores_directory());
    catalog = catalog::Catalog::open(config.catalog_path());
    access::open_node_id(config.node_path(), std::nullopt);
    pki::Authority::open(config.pki_directory(), {{"localhost"}, {}});
    stores = std::make_unique<stores::TenantStores>(base::real_file_system(),
                                                    config.stores_directory(), *catalog);
    stores->open_existing();
  }
  std::string store() { return config.stores_directory() + "/default"; }
};

}  // namespace

TEST_CASE("a backup is read back, sealed or not, and only with its key") {
  Backup backup = small_backup();
  check_equal(decode_backup(encode_backup(backup, {}), {}), backup);

  base::Bytes sealed = encode_backup(backup, passphrase("correct horse"));
  CHECK(sealing_of(sealed) == Sealing::passphrase);
  check_equal(decode_backup(sealed, passphrase("correct horse")), backup);
  CHECK(code_of([&] { decode_backup(sealed, passphrase("wrong horse")); }) ==
        ErrorCode::unauthorized);
  CHECK(code_of([&] { decode_backup(sealed, {}); }) == ErrorCode::unauthorized);
  CHECK(std::string(base::as_text(sealed)).find("ca.key") == std::string::npos);

  BackupKey store_key{"", base::random_array<32>()};
  base::Bytes stored = encode_backup(backup, store_key);
  check_equal(decode_backup(stored, store_key), backup);
  CHECK(code_of([&] {
          decode_backup(stored, {"", base::random_array<32>()});
        }) == ErrorCode::unauthorized);
}

TEST_CASE("a damaged or hostile backup is refused and needs no memory") {
  Backup backup = small_backup();
  backup.files[0].bytes.resize(5000);
  base::Bytes good = encode_backup(backup, {});
  std::mt19937 random(7);
  for (int i = 0; i < 4000; ++i) {
    base::Bytes bad = good;
    size_t flips = 1 + random() % 4;
    for (size_t k = 0; k < flips; ++k) bad[random() % bad.size()] ^= uint8_t(1 + random() % 255);
    if (i % 3 == 0) bad.resize(random() % bad.size());
    // Whoever makes a backup can also make its checksum right.
    if (i % 2 == 0 && bad.size() > 80) {
      base::store_u64(bad.data() + 64, bad.size() - 80);
      base::store_u64(bad.data() + bad.size() - 8,
                      base::checksum64(base::ByteView(bad).first(bad.size() - 8)));
    }
    try {
      decode_backup(bad, {});
    } catch (const Error&) {
    }
  }
}

TEST_CASE("an appliance is restored from its backup where there is none") {
  Appliance old;
  old.catalog->add_tenant(access::TenantName("acme"), 1);
  std::string fingerprint = base::certificate_fingerprint(
      base::read_private_file(old.config.pki_directory() + "/ca.crt", base::kMaxPemSize));
  base::write_private_file(old.scratch.path() + "/mulettod.toml", "log_level = \"debug\"\n");
  Backup backup =
      collect_backup(old.config, old.scratch.path() + "/mulettod.toml", StoreKeysIn::included);

  Appliance fresh(false);
  // An earlier restore that ended between keys and catalog may be repeated; other keys stay.
  restore_backup(fresh.config, backup);
  std::filesystem::remove(fresh.config.catalog_path());
  restore_backup(fresh.config, backup);
  auto catalog = catalog::Catalog::open(fresh.config.catalog_path());
  CHECK(catalog->tenants(access::TenantScope::all()).size() == 2);
  auto authority = pki::Authority::open(fresh.config.pki_directory(), {{"localhost"}, {}});
  CHECK(authority->fingerprint() == fingerprint);
  CHECK(access::open_node_id(fresh.config.node_path(), std::nullopt) == backup.node);
  CHECK(base::read_private_file(fresh.config.state_directory + "/mulettod.toml", 100) ==
        "log_level = \"debug\"\n");
  struct stat status {};
  REQUIRE(::stat((fresh.config.pki_directory() + "/ca.key").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  CHECK(code_of([&] { restore_backup(fresh.config, backup); }) == ErrorCode::already_exists);
  Appliance other;
  std::filesystem::remove(other.config.catalog_path());
  CHECK(code_of([&] { restore_backup(other.config, backup); }) == ErrorCode::already_exists);
}

TEST_CASE("a backup cannot put a file anywhere else") {
  Appliance old;
  Backup good = collect_backup(old.config, "", StoreKeysIn::included);
  for (const char* name : {"../evil", "/etc/evil", "keys/../evil", "keys/a/b", "keys/", "keys/..",
                           "pki/evil", "stores/default/store", "catalog.sqlite-wal"}) {
    Appliance fresh(false);
    Backup bad = good;
    bad.files.push_back({name, {1}});
    CHECK(code_of([&] { restore_backup(fresh.config, bad); }) == ErrorCode::corrupt);
    CHECK_FALSE(std::filesystem::exists(fresh.config.state_directory));
  }
  Appliance fresh(false);
  Backup twice = good;
  twice.files.push_back(good.files[0]);
  CHECK(code_of([&] { restore_backup(fresh.config, twice); }) == ErrorCode::corrupt);
  Backup without = good;
  without.files.erase(without.files.begin());
  CHECK(code_of([&] { restore_backup(fresh.config, without); }) == ErrorCode::corrupt);
}

TEST_CASE("each store gets a backup each day, and after what people change") {
  Appliance appliance;
  base::ManualClock clock(base::now_ms(), 1'000'000);
  StoreBackups backups(appliance.config, "", *appliance.catalog, *appliance.stores, clock);
  auto place = images::open_place(appliance.store());
  auto count = [&] { return backups_in(*place).size(); };
  auto round_after = [&](uint64_t ms) {
    clock.pass(ms);
    backups.round();
  };
  backups.round();
  CHECK(count() == 1);  // at the first start
  round_after(60'000);
  CHECK(count() == 1);
  appliance.catalog->set_policy(access::TenantName("default"), "nightly", "{}");
  round_after(6000);
  CHECK(count() == 1);  // not settled yet
  round_after(StoreBackups::kSettleMs);
  CHECK(count() == 2);
  round_after(60'000);
  CHECK(count() == 2);
  CHECK(backups.conditions(clock.wall_ms()).empty());
  for (int day = 0; day < 4; ++day) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // names are times
    round_after(StoreBackups::kEveryMs);
  }
  CHECK(count() == kBackupsKept);
}

TEST_CASE("a store that takes no backup for two days is an alert") {
  Appliance appliance;
  base::ManualClock clock(base::now_ms(), 1'000'000);
  StoreBackups backups(appliance.config, "", *appliance.catalog, *appliance.stores, clock);
  backups.round();
  appliance.stores->close();
  std::filesystem::rename(appliance.store(), appliance.store() + ".away");
  appliance.stores->look();
  for (int i = 0; i < 30; ++i) {
    clock.pass(2 * 3'600'000);
    backups.round();
  }
  auto found = backups.conditions(clock.wall_ms());
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == std::string(alerts::kBackupOld));
  CHECK_THAT(found[0].message, Contains("last got"));
}

TEST_CASE("the backup of an encrypted store is sealed with its key") {
  Appliance appliance;
  appliance.stores->create_tenant(access::TenantName("acme"), true);
  base::ManualClock clock(base::now_ms(), 1'000'000);
  StoreBackups backups(appliance.config, "", *appliance.catalog, *appliance.stores, clock);
  backups.round();
  access::TenantName acme("acme");
  auto place = images::open_place(appliance.stores->directory_of(acme));
  StoredBackup newest = choose_backup(backups_in(*place), std::nullopt);
  base::Bytes bytes = place->blobs().get(newest.name, kMaxBackupSize);
  CHECK(sealing_of(bytes) == Sealing::store_key);
  BackupKey key;
  key.store_key =
      store_backup_key(*place, images::read_key_source("", appliance.stores->key_file_of(acme)));
  Backup backup = decode_backup(bytes, key);
  // No store's key is in a store.
  for (const BackupFile& file : backup.files) CHECK_FALSE(file.name.starts_with("keys/"));
  CHECK(collect_backup(appliance.config, "", StoreKeysIn::included).files.size() ==
        backup.files.size() + 1);
}

TEST_CASE("the newest backup of the right appliance is chosen") {
  access::NodeId one = access::NodeId::random(), two = access::NodeId::random();
  std::vector<StoredBackup> all{{one, 2000, "b"}, {one, 1000, "a"}, {two, 3000, "c"}};
  CHECK(choose_backup(all, one).name == "b");
  CHECK(choose_backup(all, two).name == "c");
  CHECK(code_of([&] { choose_backup(all, std::nullopt); }) == ErrorCode::invalid_argument);
  CHECK(code_of([&] { choose_backup({}, std::nullopt); }) == ErrorCode::not_found);
}

}  // namespace appliance::backup
