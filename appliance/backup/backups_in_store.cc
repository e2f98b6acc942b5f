#include "appliance/backup/backups_in_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "images/store/store_context.h"
#include "images/store/store_keyring.h"

namespace appliance::backup {
namespace {

using base::Error;
using base::ErrorCode;

constexpr const char* kFolder = "appliance";
constexpr std::string_view kSuffix = ".backup";
constexpr size_t kDigits = 13;
constexpr const char* kPurpose = "muletto appliance backup";

std::vector<std::string> names_in(images::BlobStore& blobs, const std::string& folder) {
  try {
    return blobs.list(folder);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return {};
    throw;
  }
}

// A name in the folder: "NODE-TIME.backup".
std::optional<StoredBackup> parse_name(const std::string& name) {
  constexpr size_t kNodeDigits = 16;
  if (name.size() != kNodeDigits + 1 + kDigits + kSuffix.size() || !name.ends_with(kSuffix) ||
      name[kNodeDigits] != '-')
    return std::nullopt;
  StoredBackup backup;
  try {
    backup.node = access::NodeId::from_hex(name.substr(0, kNodeDigits));
  } catch (const Error&) {
    return std::nullopt;
  }
  for (char digit : name.substr(kNodeDigits + 1, kDigits)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    backup.made_ms = backup.made_ms * 10 + static_cast<uint64_t>(digit - '0');
  }
  backup.name = std::string(kFolder) + "/" + name;
  return backup;
}

}  // namespace

std::vector<StoredBackup> backups_in(images::StorePlace& place) {
  std::vector<StoredBackup> all;
  for (const std::string& name : names_in(place.blobs(), kFolder)) {
    if (auto backup = parse_name(name)) all.push_back(std::move(*backup));
  }
  std::sort(all.begin(), all.end(), [](const StoredBackup& a, const StoredBackup& b) {
    return a.node != b.node ? a.node < b.node : a.made_ms > b.made_ms;
  });
  return all;
}

StoredBackup choose_backup(const std::vector<StoredBackup>& backups,
                           const std::optional<access::NodeId>& node) {
  std::string others;
  const StoredBackup* chosen = nullptr;
  for (const StoredBackup& each : backups) {
    if (node && each.node != *node) continue;
    if (chosen == nullptr) chosen = &each;
    if (each.node != chosen->node && others.find(each.node.hex()) == std::string::npos)
      others += " and " + each.node.hex();
  }
  if (chosen == nullptr)
    throw Error(ErrorCode::not_found, "the store holds no backup of " +
                                          (node ? "the appliance " + node->hex() : "an appliance"));
  if (!others.empty())
    throw Error(ErrorCode::invalid_argument,
                fmt::format("the store holds backups of the appliances {}{}: say which with --node",
                            chosen->node.hex(), others));
  return *chosen;
}

void put_backup(images::StorePlace& place, const access::NodeId& node, uint64_t made_ms,
                base::ByteView bytes) {
  images::BlobStore& blobs = place.blobs();
  blobs.put(fmt::format("{}/{}-{:013}{}", kFolder, node.hex(), made_ms, kSuffix), bytes);
  // By its name a backup of a wrong clock's future would stay for ever and displace the others: what
  // was just written is kept in any case.
  size_t kept = 0;
  for (const StoredBackup& each : backups_in(place)) {
    if (each.node != node) continue;
    if (each.made_ms == made_ms || (each.made_ms < made_ms && kept < kBackupsKept - 1)) {
      kept += each.made_ms < made_ms ? 1 : 0;
      continue;
    }
    blobs.remove(each.name);
  }
  blobs.sync_names(kFolder);
}

std::optional<base::Key256> store_backup_key(images::StorePlace& place,
                                             const images::KeySource& source) {
  if (!images::read_parameters(place).encrypted) return std::nullopt;
  return base::derive_key(images::open_store_keys(place.blobs(), source).manifests, kPurpose);
}

}  // namespace appliance::backup
