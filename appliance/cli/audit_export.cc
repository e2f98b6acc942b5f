#include <fmt/format.h>

#include <cstdio>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "base/error.h"

namespace appliance::cli {
namespace {

int run_audit_export(const base::Arguments& arguments) {
  ApiClient(arguments).stream("/audit/export", [](std::string_view piece) {
    return std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
  });
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    throw base::Error(base::ErrorCode::io, "the export could not be written to standard output");
  return 0;
}

}  // namespace

base::Command audit_export_command() {
  base::Command command;
  command.name = "audit export";
  command.summary = "Write the audit log as JSON lines";
  command.declare_options = declare_connection;
  command.run = run_audit_export;
  command.notes =
      "A line is {\"entry\":ENTRY,\"hash\":\"HEX\"}. HEX is SHA-256 of the hash of the line before "
      "(32 "
      "zero bytes for the first) and ENTRY, byte for byte.";
  return command;
}

}  // namespace appliance::cli
