// muletto-restore: writes points out; needs a store and nothing else.
#include "base/log.h"
#include "restore/commands.h"

int main(int argc, char** argv) {
  base::start_log("muletto-restore", "warn");
  base::Program program;
  program.name = "muletto-restore";
  program.summary = "writes recovery points out of a store";
  program.commands = {restore::disk_command(), restore::machine_command(),
                      restore::points_command()};
  return base::run_program(program, argc, argv);
}
