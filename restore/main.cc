// muletto-restore: writes points out; needs a store and nothing else, or an appliance on the network.
#include "base/log.h"
#include "restore/commands.h"
#include "restore/point_names.h"

namespace {

std::vector<base::Candidate> names(const base::NameRequest& request) {
  if (request.kind != "POINT" && request.kind != "OLD" && request.kind != "NEW") return {};
  return restore::point_names(*restore::open_store(request.arguments), request.begun);
}

}  // namespace

int main(int argc, char** argv) {
  base::start_log("muletto-restore", "warn");
  base::Program program;
  program.name = "muletto-restore";
  program.summary = "write recovery points out of a store";
  program.commands = {
      restore::disk_command(),       restore::machine_command(),   restore::points_command(),
      restore::disks_command(),      restore::session_command(),   restore::files_list_command(),
      restore::files_find_command(), restore::files_get_command(), restore::files_diff_command()};
  program.nouns = {{"files", "list, find, write out and compare the files of points"}};
  program.description =
      "Writes recovery points of machines, or single files in them, to files or block devices. It "
      "needs a store and nothing else: no appliance, no daemon. The store may be in use meanwhile. "
      "With --appliance it reads from an appliance over the network instead, with an operator's "
      "token; only what differs travels.";
  program.files = {{"/var/lib/muletto/stores/TENANT",
                    "the store of an appliance's tenant (the first one is 'default'), unless it "
                    "has another place"}};
  program.see_also = {"muletto(1)", "muletto-store(1)", "qemu-img(1)"};
  program.names = names;
  return base::run_program(program, argc, argv);
}
