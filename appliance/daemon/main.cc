// mulettod: the appliance's daemon.
#include <csignal>

#include "appliance/config.h"
#include "appliance/daemon/daemon.h"
#include "base/log.h"
#include "base/process.h"
#include "base/program.h"
#include "base/stop_signals.h"

namespace {

using base::options::value;

void declare_options(base::options::options_description_easy_init add) {
  add("config", value<std::string>()->value_name("FILE"),
      "file with the settings (default: /etc/muletto/mulettod.toml, if it exists)");
  add("state-directory", value<std::string>()->value_name("DIR"),
      "folder of stores, catalog, keys and overlays (default: /var/lib/muletto)");
  add("run-directory", value<std::string>()->value_name("DIR"),
      "folder of sockets and mulettod.json (default: /run/muletto)");
  add("listen", value<std::string>()->value_name("HOST:PORT"),
      "TLS address; port 0 means any free port (default: 0.0.0.0:7443)");
  add("libvirt-uri", value<std::string>()->value_name("URI"),
      "where instant VMs run (default: $LIBVIRT_DEFAULT_URI, or qemu:///system)");
  add("init",
      "create the missing parts of an appliance that existed here: a catalog, an authority (then "
      "every host has to be enrolled again)");
  add("log-level", value<std::string>()->value_name("trace|debug|info|warn|error"),
      "the least important messages that are logged (default: info)");
}

std::optional<std::string> given(const base::Arguments& arguments, const char* name) {
  return arguments.has(name) ? std::optional(arguments.get(name)) : std::nullopt;
}

int run(const base::Arguments& arguments) {
  appliance::ConfigOverrides overrides;
  overrides.state_directory = given(arguments, "state-directory");
  overrides.run_directory = given(arguments, "run-directory");
  overrides.listen = given(arguments, "listen");
  overrides.libvirt_uri = given(arguments, "libvirt-uri");
  overrides.log_level = given(arguments, "log-level");
  overrides.make_missing = arguments.has("init");
  appliance::Config config = appliance::load_config(given(arguments, "config"), overrides);
  base::start_log("mulettod", config.log_level);
  base::settle_service();
  std::signal(SIGPIPE, SIG_IGN);
  base::StopSignals signals(base::SecondSignal::does_nothing);  // before any thread is started
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
      "Options replace the settings of the file. When the daemon is ready, mulettod.json in the "
      "run directory holds its port, its pid and the fingerprint of its authority. SIGTERM ends "
      "it; instant VMs keep running, and the next start finds them.";
  base::Program program;
  program.name = "mulettod";
  program.summary = "the daemon of a Muletto appliance";
  program.commands = {command};
  program.description =
      "The appliance keeps recovery points of machines in a store, runs any of them as an instant "
      "VM, tests them, and removes those that policies do not keep. Operators use muletto(1), "
      "agents on production hosts connect by TLS.";
  program.manual_section = 8;
  program.environment = {{"LIBVIRT_DEFAULT_URI", "where instant VMs run, unless it is set"}};
  program.files = {
      {"/etc/muletto/mulettod.toml", "settings; each of them is optional"},
      {"/var/lib/muletto", "stores, catalog, keys, and the writes of instant VMs"},
      {"/run/muletto/api.sock", "the socket for muletto(1) on this machine"},
      {"/run/muletto/mulettod.json", "port, pid and fingerprint, while the daemon is ready"}};
  program.see_also = {"muletto(1)", "muletto-agent(8)", "muletto-restore(1)"};
  program.old_options = {
      {"state-dir", "state-directory"}, {"run-dir", "run-directory"}, {"libvirt", "libvirt-uri"}};
  return base::run_program(program, argc, argv);
}
