#include "base/doctor/libvirt_machines.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace base::doctor {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);
constexpr size_t kMaxMachines = 1000;
constexpr size_t kMaxAsked = 40;  // guest agents; a silent one takes two seconds

std::string ask(const std::string& uri, std::vector<std::string> words) {
  words.insert(words.begin(), {"virsh", "--quiet", "-c", uri});
  return run_checked(words, kPatience);
}

std::vector<std::string> names(const std::string& uri, const char* which) {
  std::vector<std::string> found;
  for (const std::string& line : split(ask(uri, {"list", "--name", which}), '\n')) {
    std::string name = trim(line);
    if (!name.empty() && found.size() < kMaxMachines) found.push_back(name);
  }
  return found;
}

Finding look_at_guest_agent(const std::string& uri, const std::string& name) {
  CommandResult result =
      run_command({"virsh", "--quiet", "-c", uri, "qemu-agent-command", "--timeout", "2",
                   "--domain", name, R"({"execute":"guest-info"})"},
                  kPatience);
  auto answer = result.status == 0 ? find_json(result.output) : std::nullopt;
  const nlohmann::json* info = answer ? find_field(*answer, "return") : nullptr;
  if (info == nullptr)
    return {Outcome::warn, "guest agent",
            fmt::format("{}'s does not answer, so its points are as after a power cut", name),
            "install and start qemu-guest-agent in it, with its channel in the definition"};
  return {Outcome::ok, "guest agent",
          fmt::format("{}'s has version {}", name, find_text(*info, "version").value_or("unknown")),
          ""};
}

}  // namespace

Finding look_at_libvirt(const std::string& uri) {
  constexpr const char* kRemedy =
      "systemctl restart libvirtd; then 'virsh -c qemu:///system version'";
  try {
    std::string said;
    for (const std::string& line : split(ask(uri, {"version"}), '\n')) {
      // "Using library: libvirt 9.0.0", "Running hypervisor: QEMU 7.2.11"
      if (line.starts_with("Using library") || line.starts_with("Running hypervisor"))
        said += (said.empty() ? "" : ", ") + trim(line.substr(line.find(':') + 1));
    }
    return {Outcome::ok, "libvirt", fmt::format("{} answers: {}", uri, said), ""};
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found)
      return {Outcome::fail, "libvirt", "virsh is not installed", "apt install libvirt-clients"};
    return {Outcome::fail, "libvirt", fmt::format("{} does not answer: {}", uri, error.message()),
            kRemedy};
  }
}

std::vector<std::string> paths_of_block_list(std::string_view answer) {
  std::vector<std::string> paths;
  for (const std::string& line : split(answer, '\n')) {
    size_t path = line.find(" /");
    if (path != std::string::npos) paths.push_back(trim(line.substr(path + 1)));
  }
  return paths;
}

std::vector<LibvirtMachine> libvirt_machines(const std::string& uri) {
  std::vector<LibvirtMachine> machines;
  std::vector<std::string> running = names(uri, "--state-running");
  for (const std::string& name : names(uri, "--all")) {
    LibvirtMachine machine{
        name, std::find(running.begin(), running.end(), name) != running.end(), {}};
    for (std::string& path : paths_of_block_list(ask(uri, {"domblklist", "--domain", name})))
      if (::access(path.c_str(), F_OK) == 0) machine.disks.push_back(std::move(path));
    machines.push_back(std::move(machine));
  }
  return machines;
}

std::vector<Finding> look_at_guest_agents(const std::string& uri,
                                          const std::vector<std::string>& passed_over) {
  std::vector<Finding> found;
  for (const std::string& name : names(uri, "--state-running")) {
    if (std::any_of(passed_over.begin(), passed_over.end(),
                    [&](const std::string& begin) { return name.starts_with(begin); }))
      continue;
    if (found.size() == kMaxAsked) {
      found.push_back({Outcome::unknown, "guest agent",
                       fmt::format("only the first {} machines were asked", kMaxAsked), ""});
      break;
    }
    found.push_back(look_at_guest_agent(uri, name));
  }
  if (found.empty())
    found.push_back({Outcome::ok, "guest agent", "no machine of libvirt runs here", ""});
  return found;
}

}  // namespace base::doctor
