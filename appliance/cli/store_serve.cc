#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "appliance/cli/store_options.h"
#include "base/error.h"
#include "base/guarded_thread.h"
#include "base/stop_signals.h"
#include "images/export/export_process.h"
#include "images/store/place/open_place.h"
#include "images/store/store_reader.h"

namespace appliance::cli {
namespace {

using base::options::value;

void declare_store_serve(base::options::options_description_easy_init add) {
  add("disk", value<std::vector<std::string>>()->value_name("NAME"),
      "a disk to serve, under its name (default: all)")(
      "socket", value<std::string>()->required()->value_name("PATH"), "the unix socket to create");
  declare_key(add);
}

images::ExportOptions export_options(const base::Arguments& arguments) {
  std::string directory = std::filesystem::absolute(arguments.get("DIR")).string();
  auto reader = images::StoreReader::open(images::open_place(directory), key_of(arguments));
  images::Point point = reader->read_point(reader->find_point(arguments.get("POINT")));
  images::ExportOptions options;
  options.store = {directory, arguments.get_or<std::string>("key-file", ""),
                   arguments.get_or<std::string>("passphrase-file", "")};
  options.point = point.id.hex();
  options.disks = arguments.list("disk");
  for (const std::string& name : options.disks) point.disk(name);  // throws not_found
  if (options.disks.empty()) {
    for (const images::PointDisk& disk : point.disks) options.disks.push_back(disk.name);
  }
  options.socket_path = std::filesystem::absolute(arguments.get("socket")).string();
  return options;
}

void print_uris(const base::Arguments& arguments, const images::ExportOptions& options) {
  nlohmann::json uris = nlohmann::json::object();
  for (const std::string& disk : options.disks)
    uris[disk] = images::export_uri(options.socket_path, disk);
  if (!print_if_json(arguments,
                     {{"point", options.point}, {"socket", options.socket_path}, {"uris", uris}})) {
    for (const auto& [disk, uri] : uris.items())
      fmt::print("{}  {}\n", disk, uri.get<std::string>());
    fmt::print("Serving until interrupted.\n");
  }
  std::fflush(stdout);
}

int run_store_serve(const base::Arguments& arguments) {
  images::ExportOptions options = export_options(arguments);
  base::StopSignals signals;  // before any thread is started
  images::ExportProcess process = images::ExportProcess::start(options);
  print_uris(arguments, options);
  constexpr std::chrono::seconds kLookEvery{1};
  while (base::sleep_unless_stopped(signals.token(), kLookEvery)) {
    if (!process.is_running()) throw base::Error(base::ErrorCode::io, "nbdkit has ended by itself");
  }
  process.stop();
  return 0;
}

}  // namespace

base::Command store_serve_command() {
  base::Command command;
  command.name = "store serve";
  command.summary = "Serve a point read-only over NBD until interrupted";
  command.positional = {"DIR", "POINT"};
  command.declare_options = declare_store_serve;
  command.run = run_store_serve;
  command.notes =
      std::string(kPointHelp) +
      "\n\nEach disk is an NBD export of its own: qemu-img info 'nbd+unix:///vda?socket=PATH'";
  return command;
}

}  // namespace appliance::cli
