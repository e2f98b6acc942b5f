#include "appliance/instant/internal_host.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/certificates.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/text.h"

namespace appliance::instant {
namespace {

using nlohmann::json;

constexpr size_t kMaxFile = 4 * base::kMaxPemSize;

// The file of agent/enrollment.h: an enrolled host's identity.
std::string enrollment_path(const InternalHostPaths& places) {
  return places.state_directory + "/enrollment.json";
}

json read_enrollment(const InternalHostPaths& places) {
  try {
    return base::find_json(base::read_private_file(enrollment_path(places), kMaxFile))
        .value_or(json());
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::not_found)
      base::log().warn("the appliance's own host is created again: {}", error.message());
    return nullptr;
  }
}

std::optional<catalog::Host> known_host(catalog::HostRecords& catalog, const json& enrollment) {
  try {
    auto id = catalog::HostId::from_hex(enrollment.at("host_id").get<std::string>());
    auto host = catalog.find_host(id);
    if (host && !host->revoked && host->name == catalog::kInternalHostName) return host;
  } catch (const json::exception&) {
    // Nothing, or not written by this program.
  }
  return std::nullopt;
}

json enroll(catalog::HostRecords& catalog, const pki::Authority& authority,
            const catalog::TenantName& tenant, catalog::Host& host) {
  host.id = catalog::HostId::random();
  host.tenant = tenant;
  host.name = catalog::kInternalHostName;
  host.version = MULETTO_VERSION;
  std::string key = base::generate_key();
  std::string request = base::make_signing_request(key, "muletto-agent");
  pki::HostCertificate certificate = authority.sign_host(request, host.id.hex());
  host.certificate_serial = certificate.serial;
  catalog.replace_internal_host(host, base::now_ms());
  return {{"authority", authority.certificate_pem()},
          {"certificate", certificate.certificate_pem},
          {"key", key},
          {"host_id", host.id.hex()},
          {"host_name", host.name},
          {"tenant", tenant.text()}};
}

// JSON strings are also valid TOML strings.
std::string config_text(const InternalHostPaths& places, const InternalHostSettings& settings) {
  return "libvirt_uri = " + base::dump_text(settings.libvirt_uri) +
         "\nstate_directory = " + base::dump_text(places.state_directory) +
         "\nrun_directory = " + base::dump_text(places.run_directory) + "\n";
}

}  // namespace

catalog::Host ensure_internal_host(catalog::HostRecords& catalog, const pki::Authority& authority,
                                   const catalog::TenantName& tenant,
                                   const InternalHostPaths& places,
                                   const InternalHostSettings& settings) {
  // Not the state folder itself: its disk may be unmounted. QEMU writes to a scratch folder inside
  // it.
  for (const std::string& each :
       {base::parent_path(places.state_directory), places.state_directory}) {
    if (std::filesystem::create_directory(each))
      std::filesystem::permissions(each, std::filesystem::perms(0711));
  }
  json enrollment = read_enrollment(places);
  auto known = known_host(catalog, enrollment);
  catalog::Host host = known.value_or(catalog::Host{});
  if (!known) enrollment = enroll(catalog, authority, tenant, host);
  if (!known || enrollment.value("appliance", "") != settings.appliance) {
    enrollment["appliance"] = settings.appliance;
    base::write_private_file(enrollment_path(places), base::dump_text(enrollment, 2) + "\n");
  }
  base::write_private_file(places.config_path(), config_text(places, settings));
  return host;
}

}  // namespace appliance::instant
