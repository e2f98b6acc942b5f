// The agent's membership: which appliance this host belongs to, and the certificate that proves it.
// Kept in one file of mode 0600 (agent/state_layout.h), so that a host is enrolled or it is not.
// Functions are thread-safe; two enrolments at once: the later one stays.
#pragma once

#include <string>

#include "base/certificates.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/socket_stream.h"

namespace agent {

constexpr uint16_t kAppliancePort = 7443;

struct Enrollment {
  base::Endpoint appliance;
  std::string authority_pem;      // the appliance's: all that this host trusts
  base::Credentials credentials;  // this host's; the key was made here and has never left
  std::string host_id;            // the appliance's name for this host, hexadecimal
  std::string host_name;
  std::string tenant;
};

struct EnrollOptions {
  base::Endpoint appliance;
  std::string token;        // one-time, from `muletto token create`
  std::string fingerprint;  // of the appliance's authority, as people type it
  std::string host_name;
};

// Proves that the appliance has the authority with that fingerprint, and only then sends the token;
// gets a certificate for a new key. Saves nothing. Throws invalid_argument (the fingerprint is
// none), unauthorized (another appliance, or the token is wrong, used or expired), unavailable,
// corrupt (an impossible answer).
Enrollment enroll(const EnrollOptions& options);

// Whether the certificate has less than half of its life to go. A clock that is years behind says
// no, and one that is years ahead gets a refusal of the appliance.
bool is_renewal_due(const Enrollment& enrollment, uint64_t now_ms);

// Asks the appliance for a new certificate, for a new key; saves nothing. The old one goes on
// counting. Throws busy (the appliance finds it too early), and as appliance_client().
Enrollment renew(const Enrollment& enrollment);

bool is_enrolled(const std::string& state_directory);

// Durable when it returns. Replaces an earlier enrolment.
void save_enrollment(const std::string& state_directory, const Enrollment& enrollment);

// Throws not_found with advice if the host is not enrolled, unauthorized if its certificate has
// expired, corrupt if the file is damaged.
Enrollment load_enrollment(const std::string& state_directory);

// Requests of this host to its appliance, with certificates on both sides.
base::HttpClient appliance_client(const Enrollment& enrollment);

// True if the answer is the appliance's own word that this host was revoked: docs/protocol.md,
// section 8. An answer counts as the appliance's because appliance_client() talks to nobody else.
bool says_revoked(const base::HttpResponse& answer);

// The error an answer of the appliance's API stands for: {"error": {"code", "message"}}, or its
// status.
base::Error error_of_answer(const base::HttpResponse& answer);

}  // namespace agent
