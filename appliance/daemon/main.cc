// mulettod: the appliance's daemon.
#include <csignal>

#include "appliance/config.h"
#include "appliance/daemon/daemon.h"
#include "base/log.h"
#include "base/process.h"
#include "base/program.h"

namespace {

using base::options::value;

void declare_options(base::options::options_description_easy_init add) {
  add("config", value<std::string>()->value_name("FILE"),
      "settings in TOML (default /etc/muletto/mulettod.toml, if it exists)")(
      "state-dir", value<std::string>()->value_name("DIR"), "stores, catalog, keys, overlays")(
      "run-dir", value<std::string>()->value_name("DIR"), "sockets and mulettod.json")(
      "listen", value<std::string>()->value_name("HOST:PORT"),
      "TLS address; port 0 means any free port")(
      "libvirt", value<std::string>()->value_name("URI"),
      "where instant VMs run (default $LIBVIRT_DEFAULT_URI or qemu:///system)")(
      "init",
      "create the missing parts of an appliance that existed here: a catalog, an "
      "authority (then every host has to be enrolled again)")(
      "log-level", value<std::string>()->value_name("LEVEL"), "trace, debug, info, warn or error");
}

std::optional<std::string> given(const base::Arguments& arguments, const char* name) {
  return arguments.has(name) ? std::optional(arguments.get(name)) : std::nullopt;
}

int run(const base::Arguments& arguments) {
  appliance::ConfigOverrides overrides;
  overrides.state_directory = given(arguments, "state-dir");
  overrides.run_directory = given(arguments, "run-dir");
  overrides.listen = given(arguments, "listen");
  overrides.libvirt_uri = given(arguments, "libvirt");
  overrides.log_level = given(arguments, "log-level");
  overrides.make_missing = arguments.has("init");
  appliance::Config config = appliance::load_config(given(arguments, "config"), overrides);
  base::start_log("mulettod", config.log_level);
  base::settle_service();
  appliance::daemon::StopSignals signals;  // before any thread is started
  appliance::daemon::Daemon daemon(config);
  daemon.run(signals);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  base::Command command;
  command.summary = "Run the appliance: receive syncs, run instant VMs, serve the API";
  command.declare_options = declare_options;
  command.run = run;
  command.notes =
      "When it is ready, RUN-DIR/mulettod.json holds its port, pid and the "
      "fingerprint of its authority.\nSIGTERM ends it; instant VMs keep running, "
      "and the next start finds them.";
  return base::run_program({"mulettod", "the daemon of a Muletto appliance", {command}}, argc,
                           argv);
}
