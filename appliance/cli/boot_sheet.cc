#include "appliance/cli/boot_sheet.h"

#include <fmt/format.h>

#include "appliance/cli/present.h"
#include "appliance/cli/table.h"

namespace appliance::cli {

void print_boot(const nlohmann::json& boot) {
  Sheet sheet;
  sheet.add("Instant VM", text_of(boot, "id"));
  sheet.add("Machine", text_of(boot, "machine"));
  sheet.add("State", text_of(boot, "state"));
  if (!boot["problem"].is_null()) sheet.add("Problem", text_of(boot, "problem"));
  sheet.add("Point", text_of(boot, "point"));
  sheet.add("Tenant", text_of(boot, "tenant"));
  if (!boot["node"].is_null()) sheet.add("Node", text_of(boot, "node"));
  sheet.add("Requested by", text_of(boot, "requested_by"));
  sheet.add("Started", fmt::format("{}, within {}", text_of(boot, "started"),
                                   duration_of(boot, "start_duration_ms")));
  sheet.add("Hardware", fmt::format("{} CPUs, {}, {}, {}", text_of(boot, "cpu_count"),
                                    size_of(boot, "memory_size"), text_of(boot, "firmware"),
                                    text_of(boot, "accelerator")));
  sheet.add("After a power loss",
            text_of(boot, "restart") == "wait" ? "it waits" : "it is started again");
  if (boot.value("restart_count", 0) > 0) {
    sheet.add("Started again", fmt::format("{} times, last {}", text_of(boot, "restart_count"),
                                           text_of(boot, "restarted")));
  }
  sheet.add("Timeline", text_of(boot, "timeline") == "instant"
                            ? "its syncs continue the machine's"
                            : "the host's syncs continue it; this VM's writes are in no point");
  for (const nlohmann::json& disk : boot["disks"]) {
    sheet.add("Disk", fmt::format("{}, {}, {} written", text_of(disk, "name"),
                                  size_of(disk, "size"), size_of(disk, "overlay_size")));
  }
  for (const nlohmann::json& card : boot["network_cards"]) {
    sheet.add("Network card",
              fmt::format("{} on {}", text_of(card, "mac"), text_of(card, "network")));
  }
  if (boot.contains("addresses")) {
    for (const nlohmann::json& address : boot["addresses"])
      sheet.add("Address", address.get<std::string>());
  }
  if (boot["local"] == true || boot["pulling"] == true) {
    sheet.add("Storage", boot["local"] == true ? "local: it needs neither the store nor the point"
                                               : "being moved to local storage");
  }
  sheet.add("libvirt name", text_of(boot, "domain"));
  for (const nlohmann::json& note : boot["notes"]) sheet.add("Note", note.get<std::string>());
  sheet.print();
}

}  // namespace appliance::cli
