// The boot service as a program of its own, for system tests: what the daemon does, without the
// daemon.
//   boot-tool start POINT --store DIR | start NAME --image vda=FILE    [options]
//   boot-tool list | adopt | tend | stop BOOT | power BOOT ACTION | wait BOOT --port 80 |
//   screenshot BOOT FILE
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "appliance/boot/boot_service.h"
#include "appliance/boot/guest/probe.h"
#include "appliance/boot/libvirt/libvirt_hypervisor.h"
#include "base/log.h"
#include "base/program.h"
#include "base/text.h"
#include "tests/appliance/boot/file_store.h"

namespace {

using namespace appliance::boot;
using nlohmann::json;
namespace options = base::options;

void declare_common(options::options_description_easy_init add) {
  add("state", options::value<std::string>(), "state folder");
  add("run", options::value<std::string>(), "run folder");
  add("connect", options::value<std::string>()->default_value("qemu:///system"), "libvirt");
  add("accelerator", options::value<std::string>()->default_value("tcg"), "auto, kvm or tcg");
  add("image", options::value<std::vector<std::string>>(),
      "NAME=FILE: boots this file instead of a point");
  add("store", options::value<std::string>(), "a store");
  add("definition", options::value<std::string>(), "libvirt XML of the machine, with --image");
  add("memory", options::value<std::string>(), "");
  add("bus", options::value<std::string>(), "");
  add("firmware", options::value<std::string>(), "");
  add("network", options::value<std::vector<std::string>>(), "");
  add("keep", "keep the overlay");
  add("shutdown", options::value<uint32_t>()->default_value(0),
      "seconds to wait for the guest's own shutdown");
  add("port", options::value<uint16_t>()->default_value(80), "");
  add("timeout", options::value<std::string>()->default_value("60s"), "");
  add("hold", "start: do not exit");
}

struct Session {
  explicit Session(const base::Arguments& arguments)
      : hypervisor(libvirt::connect(arguments.get("connect"))) {
    BootSettings settings;
    settings.state_directory = arguments.get("state");
    settings.run_directory = arguments.get("run");
    std::filesystem::create_directories(settings.state_directory);
    std::filesystem::create_directories(settings.run_directory);
    settings.accelerator = accelerator_from_name(arguments.get("accelerator"));
    for (const std::string& image : arguments.list("image")) {
      settings.export_command = {"file", image.substr(image.find('=') + 1)};
    }
    service = std::make_unique<BootService>(settings, *hypervisor);
  }
  std::unique_ptr<Hypervisor> hypervisor;
  std::unique_ptr<BootService> service;
};

json to_json(const InstantVm& vm) {
  return {{"boot", vm.id.hex()},
          {"state", vm_state_name(vm.state)},
          {"problem", vm.problem},
          {"domain", vm.domain_name},
          {"start_ms", vm.start_duration_ms},
          {"vnc_port", vm.console.vnc_port},
          {"websocket_port", vm.console.websocket_port},
          {"password", vm.console.password},
          {"serial_log", vm.serial_log_path},
          {"notes", vm.notes}};
}

int start(const base::Arguments& arguments) {
  Session session(arguments);
  BootOptions boot;
  if (arguments.has("memory")) boot.memory_size = base::parse_size(arguments.get("memory"));
  if (arguments.has("bus")) boot.disk_bus = disk_bus_from_name(arguments.get("bus"));
  if (arguments.has("firmware"))
    boot.firmware = images::firmware_from_name(arguments.get("firmware"));
  for (const std::string& name : arguments.list("network"))
    boot.networks.push_back(network_choice_from_name(name));
  std::unique_ptr<images::StoreReader> store;
  if (arguments.has("store")) {
    store = images::StoreReader::open(base::real_file_system(), arguments.get("store"));
  } else {
    images::MachineDefinition definition;
    if (arguments.has("definition")) {
      std::ifstream file(arguments.get("definition"));
      std::stringstream text;
      text << file.rdbuf();
      definition.libvirt_xml = text.str();
    }
    auto files = std::make_unique<FileStore>(arguments.get("POINT"), definition);
    for (const std::string& image : arguments.list("image")) {
      files->add_disk(image.substr(0, image.find('=')), image.substr(image.find('=') + 1));
    }
    store = std::move(files);
  }
  PointSource source{store.get(), arguments.get_or<std::string>("store", "/nowhere"), "", ""};
  InstantVm vm =
      session.service->start(source, store->find_point(arguments.get("POINT")), boot,
                             [](std::string_view step) { base::log().info("{}", step); });
  fmt::print("{}\n", to_json(vm).dump());
  std::fflush(stdout);
  while (arguments.has("hold")) ::pause();
  return 0;
}

int list(const base::Arguments& arguments) {
  for (const InstantVm& vm :
       Session(arguments).service->list(appliance::access::TenantScope::all()))
    fmt::print("{}\n", to_json(vm).dump());
  return 0;
}

int adopt(const base::Arguments& arguments) {
  AdoptReport report = Session(arguments).service->adopt();
  json running = json::array(), resting = json::array();
  for (const InstantVm& vm : report.running) running.push_back(vm.id.hex());
  for (const InstantVm& vm : report.resting) resting.push_back(vm.id.hex());
  fmt::print("{}\n", json{{"running", running},
                          {"resting", resting},
                          {"cleaned", report.cleaned},
                          {"problems", report.problems}}
                         .dump());
  return 0;
}

int tend(const base::Arguments& arguments) {
  for (const std::string& line : Session(arguments).service->tend()) fmt::print("{}\n", line);
  return 0;
}

int stop(const base::Arguments& arguments) {
  Session session(arguments);
  session.service->stop(
      session.service->find(arguments.get("BOOT"), appliance::access::TenantScope::all()),
      {arguments.has("keep"), arguments.get<uint32_t>("shutdown")});
  return 0;
}

int power(const base::Arguments& arguments) {
  Session session(arguments);
  session.service->power(
      session.service->find(arguments.get("BOOT"), appliance::access::TenantScope::all()),
      power_action_from_name(arguments.get("ACTION")));
  return 0;
}

int wait(const base::Arguments& arguments) {
  Session session(arguments);
  BootId id = session.service->find(arguments.get("BOOT"), appliance::access::TenantScope::all());
  Service service{Service::Kind::http, arguments.get<uint16_t>("port"), "/"};
  auto deadline = std::chrono::steady_clock::now() +
                  std::chrono::milliseconds(base::parse_duration_ms(arguments.get("timeout")));
  std::string address = "-";
  ServiceAnswer answer{false, "the guest has no address yet"};
  while (!answer.answered && std::chrono::steady_clock::now() < deadline) {
    for (const FoundGuest& guest : session.service->search(id).found) {
      if (answer.answered) break;
      address = guest.address;
      answer = guest.ask({service}, std::chrono::seconds(3)).front();
    }
    if (!answer.answered) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  fmt::print("{} {}\n", address, answer.detail);
  return answer.answered ? 0 : 6;
}

int screenshot(const base::Arguments& arguments) {
  Session session(arguments);
  Screenshot picture = session.service->screenshot(
      session.service->find(arguments.get("BOOT"), appliance::access::TenantScope::all()));
  std::ofstream file(arguments.get("FILE"), std::ios::binary);
  file.write(reinterpret_cast<const char*>(picture.bytes.data()),
             static_cast<std::streamsize>(picture.bytes.size()));
  fmt::print("{}\n", picture.mime_type);
  return 0;
}

int try_accelerator(const base::Arguments& arguments) {
  AcceleratorVerdict verdict = Session(arguments).service->accelerator();
  fmt::print("{}: {}\n", accelerator_name(verdict.accelerator), verdict.reason);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  base::start_log("boot-tool", "warn");
  base::Program program{
      "boot-tool",
      "the boot service, for tests",
      {{"start", "start a VM", {"POINT"}, declare_common, start, ""},
       {"list", "list VMs", {}, declare_common, list, ""},
       {"adopt", "take up what runs", {}, declare_common, adopt, ""},
       {"tend", "look after VMs once", {}, declare_common, tend, ""},
       {"stop", "stop a VM", {"BOOT"}, declare_common, stop, ""},
       {"power", "press a button", {"BOOT", "ACTION"}, declare_common, power, ""},
       {"wait", "wait for a web server", {"BOOT"}, declare_common, wait, ""},
       {"screenshot", "take a picture", {"BOOT", "FILE"}, declare_common, screenshot, ""},
       {"accelerator", "what VMs run under", {}, declare_common, try_accelerator, ""}}};
  return base::run_program(program, argc, argv);
}
