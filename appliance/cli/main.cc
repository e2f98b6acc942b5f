// muletto: the operator's command line.
#include "appliance/cli/program.h"

int main(int argc, char** argv) {
  return base::run_program(appliance::cli::operator_program(), argc, argv);
}
