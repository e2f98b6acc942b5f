#include "appliance/boot/host/linux_bridges.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

#include "appliance/boot/host/mac_solicitation.h"
#include "base/bytes.h"

namespace appliance::boot {

constexpr size_t kMaxTable = 1 << 20;  // bytes

bool LinuxBridges::has_bridge(const std::string& name) {
  struct stat status;
  return !name.empty() && name.find('/') == std::string::npos &&
         ::stat(fmt::format("/sys/class/net/{}/bridge", name).c_str(), &status) == 0;
}

std::vector<ForwardingEntry> LinuxBridges::forwarding_table(const std::string& bridge) {
  if (!has_bridge(bridge)) return {};
  std::ifstream file(fmt::format("/sys/class/net/{}/brforward", bridge), std::ios::binary);
  std::string table(kMaxTable, '\0');
  file.read(table.data(), static_cast<std::streamsize>(table.size()));
  table.resize(static_cast<size_t>(file.gcount()));
  return read_forwarding_table(bridge, table);
}

void LinuxBridges::solicit_reply(const std::string& bridge, const std::string& mac) {
  if (has_bridge(bridge)) send_solicitation(bridge, mac);
}

std::vector<ForwardingEntry> read_forwarding_table(const std::string& bridge,
                                                   std::string_view table) {
  constexpr size_t kRecordSize = 16, kLocal = 7, kAge = 8;
  constexpr uint64_t kTicks = 100;  // USER_HZ: clock_t to user space is hundredths of a second
  std::vector<ForwardingEntry> entries;
  for (size_t at = 0; at + kRecordSize <= table.size(); at += kRecordSize) {
    base::ByteView record = base::as_bytes(table.substr(at, kRecordSize));
    if (record[kLocal] != 0) continue;
    ForwardingEntry entry;
    entry.bridge = bridge;
    for (size_t i = 0; i < 6; ++i)
      entry.mac += fmt::format("{}{:02x}", i == 0 ? "" : ":", record[i]);
    entry.age_ms = uint64_t{base::load_u32(record.data() + kAge)} * 1000 / kTicks;
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace appliance::boot
