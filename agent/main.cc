// muletto-agent: captures machines of this host and sends them to the appliance.
#include <cstring>

#include "agent/cli/commands.h"
#include "agent/libvirt/sync_guard.h"
#include "base/log.h"
#include "base/process.h"
#include "base/stop_signals.h"

int main(int argc, char** argv) {
  base::settle_process();
  base::settle_service();  // also for its one-shot commands, which hold the same keys
  if (argc > 1 && std::strcmp(argv[1], agent::libvirt::kGuardWord) == 0) {
    return agent::libvirt::run_sync_guard(argc, argv);
  }
  base::start_log("muletto-agent", "info");
  base::StopSignals signals;
  base::Program program;
  program.name = "muletto-agent";
  program.summary = "captures the machines of this host and sends them to the appliance";
  program.commands = {
      agent::cli::enroll_command(),
      agent::cli::sync_command(signals.token()),
      agent::cli::run_command(signals.token()),
      agent::cli::list_command(),
      agent::cli::status_command(),
  };
  return base::run_program(program, argc, argv);
}
