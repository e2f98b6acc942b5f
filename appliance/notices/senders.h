// Sends one notification, on the caller's thread, within half a minute. All kinds throw unavailable
// or io with a sentence that contains none of the channel's secrets; then it may or may not have
// arrived. Thread-safe: a sender holds only settings.
#pragma once

#include <functional>

#include "appliance/notices/channel_spec.h"
#include "appliance/notices/notice.h"

namespace appliance::notices {

using Sender = std::function<void(const Notice&)>;

struct SenderOptions {
  bool may_be_local = false;  // whether targets may be of this machine (alerts.local_targets)
  std::string host_name;      // this machine's, for syslog and mail
};

Sender make_sender(const ChannelSpec& spec, const SenderOptions& options);

// One for each kind.
void send_by_command(const ChannelSpec& spec, const Notice& notice);
void send_to_web(const ChannelSpec& spec, const SenderOptions& options, const Notice& notice);
void send_mail(const ChannelSpec& spec, const SenderOptions& options, const Notice& notice);
void send_to_syslog(const ChannelSpec& spec, const SenderOptions& options, const Notice& notice);
void send_trap(const ChannelSpec& spec, const SenderOptions& options, const Notice& notice);
// Asks for the heartbeat's URL; the notice is only for a test.
void send_heartbeat(const ChannelSpec& spec, const SenderOptions& options);

// ---- what is sent, for tests

struct WebBody {
  std::string text, content_type;
};
WebBody web_body(const ChannelSpec& spec, const Notice& notice);
// The header's value "t=SECONDS,v1=HEX": HMAC-SHA-256 with the secret over "SECONDS.BODY".
std::string web_signature(const std::string& secret, const std::string& body, uint64_t now_ms);
// RFC 5322, lines end with CR LF.
std::string mail_text(const ChannelSpec& spec, const std::string& host_name, const Notice& notice,
                      uint64_t now_ms);
// RFC 5424, without framing.
std::string syslog_text(const std::string& host_name, const Notice& notice, uint64_t now_ms);

}  // namespace appliance::notices
