// muletto-agent: captures machines of this host and sends them to the appliance.
#include <cstring>

#include "agent/cli/commands.h"
#include "agent/libvirt/guarded_domain.h"
#include "agent/monitor/monitored_machine.h"
#include "agent/sync_guard.h"
#include "base/log.h"
#include "base/process.h"
#include "base/stop_signals.h"

namespace {

std::unique_ptr<agent::GuardedMachine> guarded_machine(const std::vector<std::string>& words) {
  if (words[0] == agent::libvirt::kGuardedDomain) return agent::libvirt::guarded_domain(words);
  return agent::monitor::guarded_machine(words);
}

}  // namespace

int main(int argc, char** argv) {
  base::settle_process();
  base::settle_service();  // also for its one-shot commands, which hold the same keys
  if (argc > 1 && std::strcmp(argv[1], agent::kGuardWord) == 0) {
    return agent::run_sync_guard(argc, argv, guarded_machine);
  }
  base::start_log("muletto-agent", "info");
  base::StopSignals signals;
  base::Program program;
  program.name = "muletto-agent";
  program.summary = "capture the machines of this host and send them to the appliance";
  program.commands = {
      agent::cli::enroll_command(),
      agent::cli::sync_command(signals.token()),
      agent::cli::run_command(signals.token()),
      agent::cli::restore_command(signals.token()),
      agent::cli::list_command(),
      agent::cli::forget_command(),
      agent::cli::status_command(),
      agent::cli::doctor_command(),
  };
  program.description =
      "Captures the machines of a production host and streams recovery points of them to a Muletto "
      "appliance. It connects to the appliance, and listens on no port.\n\n"
      "A host is enrolled once, with the line that 'muletto token create' prints on the appliance. "
      "Then muletto-agent.service runs the agent.";
  program.manual_section = 8;
  program.files = {
      {"/etc/muletto/agent.toml", "settings; each of them is optional"},
      {"/var/lib/muletto-agent", "the host's key and certificate, tracking and scratch files"},
      {"/run/muletto-agent", "sockets"}};
  program.see_also = {"muletto(1)", "muletto-token(1)", "mulettod(8)"};
  program.shared = {"Common options",
                    {"config", "state-directory", "run-directory", "libvirt-uri"}};
  program.old_options = {
      {"state-dir", "state-directory"}, {"run-dir", "run-directory"}, {"connect", "libvirt-uri"}};
  program.names = agent::cli::completion_names;
  return base::run_program(program, argc, argv);
}
