#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/http/errors.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/transfer_upgrade.h"

namespace appliance::api {
namespace {

constexpr size_t kMaxVersion = 64;  // bytes

// {"token", "name", "request" (PEM), "version"?}: exchanges a one-time token and a signing request
// for a certificate. The token is checked first, so that strangers cannot make the authority work,
// and used up last, together with adding the host's row, so that a failure in between costs
// nothing.
Response enroll(Services& services, const Request& request) {
  BodyFields body(request.body);
  std::string secret = body.required_text("token");
  std::string name = body.required_text("name");
  std::string signing_request = body.required_text("request");
  std::string version = body.text("version").value_or("");
  body.require_no_more();
  base::check_name(name, "host's name");
  if (name == catalog::kInternalHostName)
    throw base::Error(base::ErrorCode::invalid_argument,
                      "the name '" + name + "' is the appliance's own; choose another one");
  if (!version.empty()) base::check_name(version.substr(0, kMaxVersion), "agent's version");

  uint64_t now = base::now_ms();
  base::Sha256 hash = base::sha256(base::as_bytes(base::trim(secret)));
  auto token = services.catalog.find_valid_token(catalog::TokenKind::enrolment, hash, now);
  if (!token) {
    base::log().warn("enrolment of '{}' refused: no such valid token", name);
    throw base::Error(
        base::ErrorCode::unauthorized,
        "the token is wrong, expired or used; make a new one with 'muletto token create'");
  }
  catalog::Host host;
  host.id = catalog::HostId::random();
  host.tenant = token->tenant;
  host.name = name;
  host.version = version.substr(0, kMaxVersion);
  pki::HostCertificate certificate = services.authority.sign_host(signing_request, host.id.hex());
  host.certificate_serial = certificate.serial;
  services.catalog.enroll_host(hash, host, now);
  base::log().info("the host '{}' is enrolled as {}", name, host.id.hex());
  return json_response(
      {{"host", {{"id", host.id.hex()}, {"name", name}, {"tenant", host.tenant.text()}}},
       {"certificate", certificate.certificate_pem},
       {"authority", services.authority.certificate_pem()},
       {"expires", base::format_time_ms(certificate.not_after_ms)}},
      201);
}

// With the right Upgrade header the server takes the connection over before it gets here.
Response ask_for_upgrade(Services&, const Request&) {
  Response response =
      error_response(base::Error(base::ErrorCode::invalid_argument,
                                 "this route requires the header 'Upgrade: muletto-transfer'"));
  response.status = 426;
  response.headers["Upgrade"] = base::kTransferProtocol;
  return response;
}

}  // namespace

void add_enroll_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"POST", "/api/v1/enroll", Privilege::none, Resource::nothing, enroll},
          {"GET", base::kTransferPath, Privilege::host_work, Resource::host_itself,
           ask_for_upgrade},
          {"GET", base::kImportPath, Privilege::machine_import, Resource::tenant, ask_for_upgrade},
          {"GET", base::kFetchPath, Privilege::point_fetch, Resource::tenant, ask_for_upgrade},
      });
}

}  // namespace appliance::api
