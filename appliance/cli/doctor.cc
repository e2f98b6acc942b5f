#include "appliance/cli/appliance_commands.h"
#include "appliance/doctor/appliance_checks.h"
#include "base/doctor/doctor_command.h"
#include "base/error.h"

namespace appliance::cli {
namespace {

using base::options::value;

std::optional<std::string> given(const base::Arguments& arguments, const char* name) {
  return arguments.has(name) ? std::optional(arguments.get(name)) : std::nullopt;
}

int run_doctor(const base::Arguments& arguments) {
  ConfigOverrides overrides;
  overrides.state_directory = given(arguments, "state-directory");
  overrides.run_directory = given(arguments, "run-directory");
  overrides.listen = given(arguments, "listen");
  overrides.libvirt_uri = given(arguments, "libvirt-uri");
  Config config;
  std::vector<base::doctor::Check> checks;
  base::doctor::Finding settings{base::doctor::Outcome::ok, "settings", "can be read", ""};
  try {
    config = load_config(given(arguments, "config"), overrides);
  } catch (const base::Error& error) {
    // The rest is looked at with the settings of a new appliance, and what is wrong is said first.
    settings = {base::doctor::Outcome::fail, "settings", error.message(),
                "correct it; the values that are allowed are in mulettod.toml's comments"};
    config = parse_config("", "");
    config.state_directory = overrides.state_directory.value_or(config.state_directory);
    config.run_directory = overrides.run_directory.value_or(config.run_directory);
  }
  checks.push_back({"settings", [settings] { return std::vector{settings}; }});
  for (base::doctor::Check& check : doctor::appliance_checks(config))
    checks.push_back(std::move(check));
  return base::doctor::run_doctor(arguments, checks);
}

}  // namespace

base::Command doctor_command() {
  base::Command command;
  command.name = "doctor";
  command.summary = "Check this appliance and its machine, without asking the daemon";
  command.declare_options = [](base::options::options_description_easy_init add) {
    add("config", value<std::string>()->value_name("FILE"),
        "settings of mulettod (default: /etc/muletto/mulettod.toml, if it exists)");
    add("state-directory", value<std::string>()->value_name("DIR"), "as for mulettod");
    add("run-directory", value<std::string>()->value_name("DIR"), "as for mulettod");
    add("listen", value<std::string>()->value_name("HOST:PORT"), "as for mulettod");
    add("libvirt-uri", value<std::string>()->value_name("URI"), "as for mulettod");
  };
  command.notes =
      "Works when mulettod does not, and needs root. KVM is tried with a small guest, the disk "
      "with a "
      "file of 64 MiB without a name.\n\n" +
      std::string(base::doctor::kDoctorNotes);
  command.run = run_doctor;
  return command;
}

}  // namespace appliance::cli
