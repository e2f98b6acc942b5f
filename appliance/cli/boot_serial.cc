#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "appliance/cli/api_client.h"
#include "appliance/cli/commands.h"
#include "appliance/cli/present.h"
#include "appliance/cli/selectors.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::cli {
namespace {

using base::options::value;

constexpr std::chrono::milliseconds kPoll{300};

void declare_boot_serial(base::options::options_description_easy_init add) {
  add("follow", "keep printing until the VM ends or Ctrl+C is pressed")(
      "offset", value<std::string>()->value_name("BYTES"), "where to begin, in bytes (default: 0)")(
      "raw", "print control characters as the guest wrote them");
  declare_connection(add);
}

// Output of a guest must not send control sequences to the terminal: only text and line ends are
// kept.
std::string harmless(const std::string& text) {
  std::string out;
  bool in_sequence = false;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (in_sequence) {
      in_sequence = !((byte >= '@' && byte <= '~' && byte != '[') || byte < ' ');
    } else if (byte == 0x1b) {
      in_sequence = true;
    } else if (byte == '\n' || byte == '\t' || (byte >= ' ' && byte != 0x7f)) {
      out += c;
    }
  }
  return out;
}

// The piece at `offset`, which is reset if the log was restarted since the last piece.
std::string piece_at(const ApiClient& client, const std::string& boot, uint64_t& offset,
                     bool is_first) {
  while (true) {
    try {
      return client.download(fmt::format("/boots/{}/serial?offset={}", boot, offset)).body;
    } catch (const base::Error& error) {
      if (error.code() != base::ErrorCode::not_found || is_first || offset == 0) throw;
      client.get("/boots/" + boot);  // throws if the VM is gone
      offset = 0;
    }
  }
}

bool has_ended(const ApiClient& client, const std::string& boot) {
  std::string state = text_of(client.get("/boots/" + boot)["boot"], "state");
  return state == "ended" || state == "kept";
}

int run_boot_serial(const base::Arguments& arguments) {
  bool follow = arguments.has("follow"), raw = arguments.has("raw");
  if (follow && arguments.json())
    throw base::Error(base::ErrorCode::invalid_argument, "--follow goes with text, not with JSON");
  ApiClient client(arguments);
  std::string boot = base::encode_percent(arguments.get("BOOT"));
  uint64_t offset = number_option(arguments, "offset", 0, INT64_MAX).value_or(0);
  std::string all;
  // Checked before the last piece is read, so that the piece contains everything until then.
  bool is_first = true;
  for (bool ended = false;; is_first = false) {
    std::string piece = piece_at(client, boot, offset, is_first);
    offset += piece.size();
    if (arguments.json()) {
      all += piece;
    } else if (!piece.empty()) {
      std::string text = raw ? piece : harmless(piece);
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    }
    if (!piece.empty()) continue;
    if (!follow || ended) break;
    ended = has_ended(client, boot);
    if (!ended) std::this_thread::sleep_for(kPoll);
  }
  print_if_json(arguments, {{"text", all}, {"next_offset", offset}});
  return 0;
}

}  // namespace

base::Command boot_serial_command() {
  base::Command command;
  command.name = "boot serial";
  command.summary = "Print what an instant VM wrote to its serial line";
  command.positional = {"BOOT"};
  command.declare_options = declare_boot_serial;
  command.run = run_boot_serial;
  command.notes = kBootHelp;
  return command;
}

}  // namespace appliance::cli
