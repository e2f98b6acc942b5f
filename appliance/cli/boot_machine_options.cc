#include "appliance/cli/boot_machine_options.h"

#include "appliance/cli/present.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr uint64_t kMaxCpus = 1024;

}  // namespace

void declare_machine(base::options::options_description_easy_init add) {
  add("network", value<std::vector<std::string>>()->value_name("N"),
      "none, isolated, isolated:NAME, nat or bridge:BRIDGE; once for each network card (default "
      "isolated)")("memory", value<std::string>()->value_name("SIZE"),
                   "instead of the machine's own, such as 2G")(
      "cpus", value<std::string>()->value_name("N"), "instead of the machine's own")(
      "disk-bus", value<std::string>()->value_name("BUS"), "virtio, scsi, sata or ide")(
      "firmware", value<std::string>()->value_name("F"), "bios or uefi")(
      "fresh-macs", "new MAC addresses, for a VM beside the original")(
      "accept-damage", "start also a point whose image is known to be damaged");
}

nlohmann::json machine_body(const base::Arguments& arguments) {
  nlohmann::json body = nlohmann::json::object();
  if (arguments.has("network")) body["networks"] = arguments.list("network");
  if (auto size = size_option(arguments, "memory")) body["memory_size"] = *size;
  if (auto count = number_option(arguments, "cpus", 1, kMaxCpus)) body["cpu_count"] = *count;
  if (arguments.has("disk-bus")) body["disk_bus"] = arguments.get("disk-bus");
  if (arguments.has("firmware")) body["firmware"] = arguments.get("firmware");
  if (arguments.has("fresh-macs")) body["fresh_macs"] = true;
  if (arguments.has("accept-damage")) body["accept_damage"] = true;
  return body;
}

}  // namespace appliance::cli
