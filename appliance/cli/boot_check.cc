#include <fmt/format.h>

#include "appliance/cli/api_client.h"
#include "appliance/cli/boot_machine_options.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/table.h"
#include "base/error.h"

namespace appliance::cli {
namespace {

void declare_boot_check(base::options::options_description_easy_init add) {
  declare_machine(add);
  declare_connection(add);
}

void print_check(const nlohmann::json& check) {
  Sheet sheet;
  sheet.add("Machine", text_of(check, "machine"));
  sheet.add("Point", text_of(check, "point"));
  sheet.add("Can be started", check["possible"].get<bool>() ? "yes" : "no");
  for (const nlohmann::json& reason : check["reasons"])
    sheet.add("Reason", reason.get<std::string>());
  std::string firmware = text_of(check, "firmware");
  if (check["secure_boot"].get<bool>()) firmware += " with Secure Boot";
  sheet.add("Hardware", fmt::format("{} CPUs, {}, {}, {}, {}", text_of(check, "cpu_count"),
                                    size_of(check, "memory_size"), firmware,
                                    text_of(check, "machine_type"), text_of(check, "accelerator")));
  sheet.add("TPM", text_of(check, "tpm"));
  for (const nlohmann::json& disk : check["disks"]) {
    sheet.add("Disk", fmt::format("{} on {}, as {}", text_of(disk, "name"), text_of(disk, "bus"),
                                  text_of(disk, "target")));
  }
  for (const nlohmann::json& card : check["network_cards"]) {
    sheet.add("Network card", fmt::format("{} {} on {}", text_of(card, "model"),
                                          text_of(card, "mac"), text_of(card, "network")));
  }
  for (const nlohmann::json& note : check["notes"]) sheet.add("Note", note.get<std::string>());
  sheet.print();
}

int run_boot_check(const base::Arguments& arguments) {
  nlohmann::json body = machine_body(arguments);
  body["point"] = arguments.get("POINT");
  nlohmann::json answer = ApiClient(arguments).post("/boots/check", body);
  if (!print_if_json(arguments, answer)) {
    print_check(answer["check"]);
  }
  return answer["check"]["possible"].get<bool>() ? 0
                                                 : base::exit_code(base::ErrorCode::unsupported);
}

}  // namespace

base::Command boot_check_command() {
  base::Command command;
  command.name = "boot check";
  command.summary = "Check whether a point can be started; starts nothing";
  command.positional = {"POINT"};
  command.declare_options = declare_boot_check;
  command.run = run_boot_check;
  command.notes = std::string(kPointHelp) +
                  "\n\nExit code 2: the point cannot be started; the reasons are printed.";
  return command;
}

}  // namespace appliance::cli
