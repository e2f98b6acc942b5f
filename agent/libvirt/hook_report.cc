#include "agent/libvirt/hook_report.h"

#include <openssl/evp.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace agent::libvirt {
namespace {

using nlohmann::json;

constexpr int kMaxReportSize = 4096;  // bytes
constexpr char kMagic[] = "muletto-hooks 1 ";

// Throws nlohmann's exceptions for an invalid answer.
json ask(const Domain& domain, const char* command, const json& arguments) {
  json request{{"execute", command}, {"arguments", arguments}};
  return base::parse_json(domain.agent_command(base::dump_text(request)), "the guest's answer")
      .at("return");
}

std::string from_base64(const std::string& text) {
  std::string bytes(text.size() / 4 * 3, 0);
  int size = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                               reinterpret_cast<const unsigned char*>(text.data()),
                               static_cast<int>(text.size() / 4 * 4));
  bytes.resize(size < 0 ? 0 : static_cast<size_t>(size));
  // The decoder counts padding as zero bytes.
  while (!bytes.empty() && bytes.back() == 0) bytes.pop_back();
  return bytes;
}

// A hook's name is copied into a note that people read.
std::string plain(const std::string& text) {
  std::string out;
  for (char c : text) out += c >= ' ' && c <= '~' ? c : '?';
  return out.substr(0, 64);
}

}  // namespace

std::string read_hook_report(const Domain& domain) noexcept {
  try {
    json handle = ask(domain, "guest-file-open", {{"path", kHookReportPath}, {"mode", "r"}});
    std::string report;
    try {
      json part = ask(domain, "guest-file-read", {{"handle", handle}, {"count", kMaxReportSize}});
      report = from_base64(part.at("buf-b64"));
    } catch (const std::exception& error) {
      base::log().warn("{}: the report of its freeze hooks: {}", domain.name(), error.what());
    }
    ask(domain, "guest-file-close", {{"handle", handle}});
    return report;
  } catch (const std::exception& error) {
    base::log().info("{} has no report of freeze hooks: {}", domain.name(), error.what());
    return "";
  }
}

std::string hooks_complaint(const std::string& before, const std::string& after) {
  if (!after.starts_with(kMagic)) return "no freeze hook of the guest has reported";
  std::string id = after.substr(0, after.find('\n'));
  if (before.starts_with(id)) return "the guest's freeze hooks did not run";
  std::istringstream lines(after.substr(id.size()));
  bool complete = false;
  std::string failed;
  for (std::string line; std::getline(lines, line);) {
    if (line == "end") complete = true;
    if (line.starts_with("failed ")) failed += (failed.empty() ? "" : ", ") + plain(line.substr(7));
  }
  if (!failed.empty()) return "failed freeze hooks of the guest: " + failed;
  return complete ? "" : "the guest's freeze hooks did not finish";
}

}  // namespace agent::libvirt
