// A program of this machine, and SNMP by net-snmp's program.
#include <fmt/format.h>
#include <sys/socket.h>

#include "appliance/notices/senders.h"
#include "appliance/notices/targets.h"
#include "base/bytes.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"

namespace appliance::notices {
namespace {

constexpr const char* kTimeout = "25";  // seconds, for a command and everything it started
constexpr const char* kKillAfter = "--kill-after=3";
constexpr std::chrono::seconds kPatience{35};
constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// appliance/dist/MULETTO-MIB.txt
constexpr const char* kMib = "1.3.6.1.4.1.32473.7443";
constexpr uint16_t kTrapPort = 162;

// The secrets are in a file that only root can read: everyone can see a program's arguments.
std::string snmp_settings(const ChannelSpec& spec) {
  if (!spec.community.empty())
    return fmt::format("defVersion 2c\ndefCommunity {}\n", spec.community);
  bool is_private = !spec.privacy_password.empty();
  std::string settings = fmt::format(
      "defVersion 3\ndefSecurityName {}\ndefAuthType SHA\ndefAuthPassphrase {}\ndefSecurityLevel "
      "{}\n",
      spec.user, spec.password, is_private ? "authPriv" : "authNoPriv");
  if (is_private) settings += "defPrivType AES\ndefPrivPassphrase " + spec.privacy_password + "\n";
  return settings;
}

}  // namespace

// timeout(1) makes a process group of the command and ends all of it. The environment contains
// nothing of the daemon's.
void send_by_command(const ChannelSpec& spec, const Notice& notice) {
  const catalog::Alert& alert = notice.alert;
  base::run_checked(
      {"env", "-i", kPath, "LANG=C.UTF-8", "HOME=/", "MULETTO_TENANT=" + alert.tenant.text(),
       "MULETTO_SEVERITY=" + severity_of(notice), "MULETTO_ADVICE=" + advice_of(notice),
       "MULETTO_NOTICE=" + notice.id, fmt::format("MULETTO_ATTEMPT={}", notice.attempt), "timeout",
       kKillAfter, kTimeout, spec.program, alert.kind, notice.state, alert.subject, alert.message},
      kPatience);
}

void send_trap(const ChannelSpec& spec, const SenderOptions& options, const Notice& notice) {
  Target target = resolve_target(spec.server, kTrapPort, SOCK_DGRAM, options.may_be_local);
  base::ScratchDirectory scratch("/tmp", "muletto-snmp");
  base::write_file_durably(base::real_file_system(), scratch.path() + "/snmp.conf",
                           base::as_bytes(snmp_settings(spec)));
  bool is_ipv6 = target.address.ss_family == AF_INET6;
  std::vector<std::string> command{
      "env", "-i", kPath, "LANG=C.UTF-8", "HOME=/", "SNMPCONFPATH=" + scratch.path(),
      "SNMP_PERSISTENT_DIR=" + scratch.path(),
      // Otherwise a subject such as "--help" would be an option.
      "POSIXLY_CORRECT=1", "timeout", kKillAfter, kTimeout, "snmptrap", "-t", "3", "-r", "3"};
  if (spec.wants_receipt) command.emplace_back("-Ci");
  command.push_back((is_ipv6 ? "udp6:" : "udp:") + target.text);
  command.emplace_back("");  // the uptime: snmptrap's own
  command.push_back(std::string(kMib) + ".0.1");
  const catalog::Alert& alert = notice.alert;
  int number = 0;
  for (const std::string& value :
       {notice.id, notice.state, severity_of(notice), alert.tenant.text(), alert.kind,
        alert.subject, alert.message, advice_of(notice)}) {
    command.push_back(fmt::format("{}.1.{}.0", kMib, ++number));
    command.emplace_back("s");
    command.push_back(base::clean_text(value, 255));
  }
  try {
    base::run_checked(command, kPatience);
  } catch (const base::Error& error) {
    std::string words = error.message();
    for (const std::string* secret : {&spec.community, &spec.password, &spec.privacy_password}) {
      for (size_t at = secret->empty() ? std::string::npos : words.find(*secret);
           at != std::string::npos; at = words.find(*secret))
        words.replace(at, secret->size(), "…");
    }
    throw base::Error(error.code(), words);
  }
}

Sender make_sender(const ChannelSpec& spec, const SenderOptions& options) {
  switch (spec.kind) {
    case ChannelKind::command:
      return [spec](const Notice& notice) { send_by_command(spec, notice); };
    case ChannelKind::webhook:
      return [=](const Notice& notice) { send_to_web(spec, options, notice); };
    case ChannelKind::mail: return [=](const Notice& notice) { send_mail(spec, options, notice); };
    case ChannelKind::syslog:
      return [=](const Notice& notice) { send_to_syslog(spec, options, notice); };
    case ChannelKind::snmp: return [=](const Notice& notice) { send_trap(spec, options, notice); };
    case ChannelKind::heartbeat: break;
  }
  return [=](const Notice&) { send_heartbeat(spec, options); };
}

}  // namespace appliance::notices
