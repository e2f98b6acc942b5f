// The agent's membership: which appliance this host belongs to, and the certificate that proves it.
// Kept in one file of mode 0600 (agent/state_layout.h), so that a host is either enrolled or not.
// Functions are thread-safe; of two enrolments at once the later one stays.
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
  std::string authority_pem;      // the appliance's authority: the only one this host trusts
  base::Credentials credentials;  // this host's; the key was generated here and has never left
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

// Verifies that the appliance has the authority with that fingerprint, and only then sends the
// token; gets a certificate for a new key. Saves nothing. Throws invalid_argument (not a
// fingerprint), unauthorized (another appliance, or the token is wrong, used or expired),
// unavailable, corrupt (an impossible answer).
Enrollment enroll(const EnrollOptions& options);

// Whether less than half of the certificate's validity is left. A clock that is years behind says
// no, and one that is years ahead leads to a refusal by the appliance.
bool is_renewal_due(const Enrollment& enrollment, uint64_t now_ms);

// Asks the appliance for a new certificate, for a new key; saves nothing. The old one stays valid.
// Throws busy (the appliance finds it too early), and as appliance_client().
Enrollment renew(const Enrollment& enrollment);

bool is_enrolled(const std::string& state_directory);

// Durable when it returns. Replaces an earlier enrolment.
void save_enrollment(const std::string& state_directory, const Enrollment& enrollment);

// Throws not_found with advice if the host is not enrolled, unauthorized if its certificate has
// expired, corrupt if the file is damaged.
Enrollment load_enrollment(const std::string& state_directory);

// Requests of this host to its appliance, with certificates on both sides.
base::HttpClient appliance_client(const Enrollment& enrollment);

// True if the answer is the appliance's statement that this host was revoked: docs/protocol.md,
// section 8. An answer counts as the appliance's because appliance_client() connects only to it.
bool says_revoked(const base::HttpResponse& answer);

}  // namespace agent
