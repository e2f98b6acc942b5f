#include "appliance/cli/boot_machine_options.h"

#include "appliance/cli/present.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr uint64_t kMaxCpus = 1024;

}  // namespace

void declare_machine(base::options::options_description_easy_init add) {
  add("network",
      value<std::vector<std::string>>()->value_name(
          "none|isolated|isolated:NAME|nat|bridge:BRIDGE"),
      "network of a network card, once for each card in their order (default: isolated)")(
      "memory", value<std::string>()->value_name("SIZE"),
      "memory, such as 2G (default: as the machine had)")(
      "cpus", value<std::string>()->value_name("COUNT"),
      "number of CPUs (default: as the machine had)")(
      "disk-bus", value<std::string>()->value_name("virtio|scsi|sata|ide"),
      "bus of the disks (default: as the machine had)")(
      "firmware", value<std::string>()->value_name("bios|uefi"),
      "firmware (default: as the machine had)")(
      "fresh-macs", "give the network cards new MAC addresses, to run beside the original machine")(
      "original", value<std::string>()->value_name("beside|replaced"),
      "where the original machine is seen running: try the copy out beside it, or let the copy "
      "take its place (default: the start is refused, or asks on a terminal)")(
      "accept-damage", "start the point even if its image is known to be damaged")(
      "prepare", value<std::string>()->value_name("auto|none"),
      "whether a Windows on other hardware has its drivers switched on, in the VM only (default: "
      "auto)");
}

nlohmann::json machine_body(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (arguments.has("network")) body["networks"] = arguments.list("network");
  if (auto size = size_option(arguments, "memory")) body["memory_size"] = *size;
  if (auto count = number_option(arguments, "cpus", 1, kMaxCpus)) body["cpu_count"] = *count;
  if (arguments.has("disk-bus")) body["disk_bus"] = arguments.get("disk-bus");
  if (arguments.has("firmware")) body["firmware"] = arguments.get("firmware");
  if (arguments.has("fresh-macs")) body["fresh_macs"] = true;
  if (arguments.has("original")) body["original"] = arguments.get("original");
  if (arguments.has("accept-damage")) body["accept_damage"] = true;
  if (arguments.has("prepare")) body["prepare"] = arguments.get("prepare");
  return body;
}

}  // namespace appliance::cli
