#include "agent/enrollment.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/state_layout.h"
#include "base/answered_error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/private_file.h"
#include "base/text.h"

namespace agent {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxFile = 4 * base::kMaxPemSize;  // bytes
constexpr std::chrono::milliseconds kAnswerTimeout = std::chrono::seconds(30);

base::TlsContext context_of(const Enrollment& enrollment) {
  return base::TlsContext::client({enrollment.authority_pem, "", enrollment.credentials});
}

// The appliance's answer must match the request: our key, signed by the authority we were told to
// trust.
void check_answer(const Enrollment& enrollment, const std::string& fingerprint) {
  bool good = base::certificate_fingerprint(enrollment.authority_pem) == fingerprint &&
              base::is_issued_by(enrollment.credentials.certificate_pem, enrollment.authority_pem);
  if (!good)
    throw Error(ErrorCode::corrupt,
                "the appliance returned a certificate that its authority did not sign");
  base::check_key_matches(enrollment.credentials);
}

Enrollment read_answer(const EnrollOptions& options, const std::string& key,
                       const std::string& body) {
  try {
    json answer = base::parse_json(body, "the answer");
    Enrollment enrollment;
    enrollment.appliance = options.appliance;
    enrollment.authority_pem = answer.at("authority").get<std::string>();
    enrollment.credentials = {answer.at("certificate").get<std::string>(), key};
    enrollment.host_id = answer.at("host").at("id").get<std::string>();
    enrollment.host_name = answer.at("host").at("name").get<std::string>();
    enrollment.tenant = answer.at("host").at("tenant").get<std::string>();
    return enrollment;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::corrupt,
                fmt::format("the appliance's answer cannot be understood: {}", error.what()));
  }
}

Enrollment from_json(const json& file) {
  Enrollment enrollment;
  enrollment.appliance =
      base::parse_endpoint(file.at("appliance").get<std::string>(), kAppliancePort);
  enrollment.authority_pem = file.at("authority").get<std::string>();
  enrollment.credentials = {file.at("certificate").get<std::string>(),
                            file.at("key").get<std::string>()};
  enrollment.host_id = file.at("host_id").get<std::string>();
  enrollment.host_name = file.at("host_name").get<std::string>();
  enrollment.tenant = file.at("tenant").get<std::string>();
  return enrollment;
}

}  // namespace

bool says_revoked(const base::HttpResponse& answer) {
  json body = json::parse(answer.body, nullptr, false);
  if (answer.status != 403 || !body.is_object() || !body.contains("error")) return false;
  const json& error = body["error"];
  return error.is_object() && error.contains("reason") && error["reason"] == "revoked";
}

Enrollment enroll(const EnrollOptions& options) {
  std::string fingerprint = base::normalize_fingerprint(options.fingerprint);
  base::check_name(options.host_name, "host's name");
  if (options.token.empty()) throw Error(ErrorCode::invalid_argument, "the token is empty");
  std::string key = base::generate_key();
  base::HttpRequest request{"POST", "/api/v1/enroll", {}, ""};
  request.body = base::dump_text({{"token", options.token},
                                  {"name", options.host_name},
                                  {"request", base::make_signing_request(key, "muletto-agent")},
                                  {"version", MULETTO_VERSION}});
  // The handshake fails, before any byte of the request is sent, unless the authority has the
  // fingerprint.
  base::TlsContext context = base::TlsContext::client({"", fingerprint, {}});
  base::HttpResponse answer =
      base::HttpClient::over_tls(options.appliance, context, kAnswerTimeout).send(request);
  if (answer.status != 200 && answer.status != 201) {
    throw base::error_of_answer(answer).with_context("the appliance " + options.appliance.text() +
                                                     " refused");
  }
  Enrollment enrollment = read_answer(options, key, answer.body);
  check_answer(enrollment, fingerprint);
  return enrollment;
}

bool is_renewal_due(const Enrollment& enrollment, uint64_t now_ms) {
  base::CertificateInfo info = base::describe_certificate(enrollment.credentials.certificate_pem);
  return now_ms > info.not_before_ms + (info.not_after_ms - info.not_before_ms) / 2;
}

Enrollment renew(const Enrollment& enrollment) {
  Enrollment renewed = enrollment;
  renewed.credentials.key_pem = base::generate_key();
  base::HttpRequest request{"POST", "/api/v1/agent/renew", {}, ""};
  request.body = base::dump_text(
      {{"request", base::make_signing_request(renewed.credentials.key_pem, "muletto-agent")}});
  base::HttpResponse answer = appliance_client(enrollment).send(request);
  if (answer.status != 201) {
    throw base::error_of_answer(answer).with_context(
        "the appliance " + enrollment.appliance.text() + " refused to renew the certificate");
  }
  renewed.credentials.certificate_pem = base::expect_text(
      base::parse_json(answer.body, "the answer"), "certificate", base::kMaxPemSize);
  check_answer(renewed, base::certificate_fingerprint(renewed.authority_pem));
  base::CertificateInfo info = base::describe_certificate(renewed.credentials.certificate_pem);
  if (info.common_name != enrollment.host_id)
    throw Error(ErrorCode::corrupt, "the appliance returned the certificate of another host");
  return renewed;
}

bool is_enrolled(const std::string& state_directory) {
  return base::real_file_system().exists(enrollment_path(state_directory));
}

void save_enrollment(const std::string& state_directory, const Enrollment& enrollment) {
  json file{{"appliance", enrollment.appliance.text()},
            {"authority", enrollment.authority_pem},
            {"certificate", enrollment.credentials.certificate_pem},
            {"key", enrollment.credentials.key_pem},
            {"host_id", enrollment.host_id},
            {"host_name", enrollment.host_name},
            {"tenant", enrollment.tenant}};
  base::write_private_file(enrollment_path(state_directory), base::dump_text(file, 2) + "\n");
}

Enrollment load_enrollment(const std::string& state_directory) {
  std::string path = enrollment_path(state_directory);
  if (!is_enrolled(state_directory)) {
    throw Error(ErrorCode::not_found,
                "this host is not enrolled: make a token on the appliance with 'muletto token "
                "create' and run the "
                "command it shows");
  }
  Enrollment enrollment;
  try {
    enrollment = from_json(base::parse_json(base::read_private_file(path, kMaxFile), "the file"));
    base::check_key_matches(enrollment.credentials);
  } catch (const json::exception& error) {
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is damaged ({}): enroll this host again", path, error.what()));
  }
  uint64_t end_ms = base::describe_certificate(enrollment.credentials.certificate_pem).not_after_ms;
  if (end_ms <= base::now_ms()) {
    throw Error(ErrorCode::unauthorized,
                fmt::format("this host's certificate expired on {} (or its clock is wrong): "
                            "enroll it again",
                            base::format_time_ms(end_ms)));
  }
  return enrollment;
}

base::HttpClient appliance_client(const Enrollment& enrollment) {
  return base::HttpClient::over_tls(enrollment.appliance, context_of(enrollment), kAnswerTimeout);
}

}  // namespace agent
