#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/contact.h"
#include "agent/enrollment.h"
#include "agent/state_layout.h"
#include "base/answered_error.h"
#include "base/doctor/doctor_command.h"
#include "base/doctor/libvirt_machines.h"
#include "base/doctor/machine.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"
#include "base/transfer_upgrade.h"

namespace agent::cli {
namespace {

using base::doctor::Check;
using base::doctor::Finding;
using base::doctor::Outcome;

using Findings = std::vector<Finding>;

constexpr int kUpgradeRequired = 426;  // to a host that may sync

// The folder that exists at or above the state folder: enrolment makes it.
std::string existing_above(std::string path) {
  while (!std::filesystem::exists(path)) path = base::parent_path(path);
  return path;
}

std::optional<Enrollment> enrollment_of(const Config& config) {
  if (!is_enrolled(config.state_directory)) return std::nullopt;
  return load_enrollment(config.state_directory);
}

Findings look_at_service(const Config& config) {
  auto contact = read_contact(config.state_directory);
  std::string problem = contact_problem(contact, base::now_ms());
  if (problem.empty())
    return {{Outcome::ok, "service", "the appliance answered it within the last minutes", ""}};
  return {{Outcome::fail, "service", problem,
           "systemctl enable --now muletto-agent; then 'muletto-agent status'"}};
}

// Connects, proves who both are, and asks for a sync without beginning one.
Findings look_at_appliance(const Enrollment& enrollment) {
  std::string name = enrollment.appliance.text();
  try {
    base::HttpResponse answer =
        appliance_client(enrollment).send({"GET", base::kTransferPath, {}, ""});
    if (answer.status == kUpgradeRequired)
      return {{Outcome::ok, "appliance", name + " answers, and is the one this host is enrolled at",
               ""}};
    return {{Outcome::fail, "appliance",
             fmt::format("{}: {}", name, base::error_of_answer(answer).message()),
             says_revoked(answer) ? "enrol this host again: 'muletto token create' on the appliance"
                                  : "muletto doctor, on the appliance"}};
  } catch (const base::Error& error) {
    return {
        {Outcome::fail, "appliance", error.message(),
         "check its address, the way to it and its firewall; on the appliance: 'muletto doctor'"}};
  }
}

// Without an enrolment one finding says so; with one, everything about the appliance is looked at.
std::vector<Check> appliance_checks(const Config& config) {
  std::optional<Enrollment> enrollment;
  try {
    enrollment = enrollment_of(config);
  } catch (const base::Error& error) {
    Finding finding{Outcome::fail, "enrolment", error.message(),
                    "muletto-agent enroll --replace, with a new token"};
    return {{"enrolment", [finding] { return Findings{finding}; }}};
  }
  if (!enrollment) {
    Finding finding{Outcome::warn, "enrolment", "this host is not enrolled at an appliance",
                    "run what 'muletto token create' prints on the appliance"};
    return {{"enrolment", [finding] { return Findings{finding}; }}};
  }
  Enrollment known = *enrollment;
  return {
      {"service", [=] { return look_at_service(config); }},
      {"names", [=] { return base::doctor::look_at_names(known.appliance.host); }},
      {"appliance", [=] { return look_at_appliance(known); }},
      {"path MTU", [=] { return Findings{base::doctor::look_at_path_mtu(known.appliance)}; }},
      {"certificate",
       [=] {
         return Findings{base::doctor::look_at_certificate(
             known.credentials.certificate_pem, "host's certificate",
             "the service renews it: systemctl restart muletto-agent", base::now_ms())};
       }},
  };
}

std::vector<Check> machine_checks(const Config& config) {
  using namespace base::doctor;
  std::vector<Check> checks{
      {"qemu-img", [] { return Findings{look_at_program("qemu-img", "qemu-utils")}; }},
      {"qemu-nbd", [] { return Findings{look_at_program("qemu-nbd", "qemu-utils")}; }},
      {"free space",
       [=] { return Findings{look_at_space(existing_above(config.state_directory))}; }},
      {"disk speed", [=] { return look_at_disk_speed(existing_above(config.state_directory)); }},
      {"time",
       [=] {
         return look_at_clock({enrollment_path(config.state_directory), "/etc/os-release"});
       }},
      {"MTU", look_at_mtu},
  };
  if (config.libvirt_uri.empty()) return checks;
  checks.push_back({"libvirt", [=] { return Findings{look_at_libvirt(config.libvirt_uri)}; }});
  checks.push_back(
      {"guest agent", [=] { return look_at_guest_agents(config.libvirt_uri, {"muletto-"}); }});
  return checks;
}

int run_doctor(const base::Arguments& arguments) {
  Config config;
  Finding settings{Outcome::ok, "settings", "can be read", ""};
  try {
    config = common_config(arguments);
  } catch (const base::Error& error) {
    // The rest is looked at with the defaults, and what is wrong is said first.
    settings = {Outcome::fail, "settings", error.message(), "correct agent.toml"};
  }
  std::vector<Check> checks{
      {"settings", [settings] { return Findings{settings}; }},
      {"version", [] {
         return Findings{{Outcome::ok, "version", "muletto-agent " MULETTO_VERSION, ""}};
       }}};
  for (auto part : {appliance_checks(config), machine_checks(config)})
    for (Check& check : part) checks.push_back(std::move(check));
  return base::doctor::run_doctor(arguments, checks);
}

}  // namespace

base::Command doctor_command() {
  base::Command command;
  command.name = "doctor";
  command.summary = "Check this host: its appliance, libvirt, guests, disks and clock";
  command.notes =
      std::string(
          "Works when the service does not, and needs root. The disk is tried with a file "
          "of 64 MiB without a name.\n\n") +
      base::doctor::kDoctorNotes;
  command.declare_options = declare_common_options;
  command.run = run_doctor;
  return command;
}

}  // namespace agent::cli
