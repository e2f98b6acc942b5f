#include "appliance/pki/authority.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/error.h"
#include "base/file_system.h"
#include "base/private_file.h"
#include "base/public_key_pin.h"
#include "base/text.h"

namespace appliance::pki {
namespace {

using base::Credentials;
using base::Error;
using base::ErrorCode;

constexpr uint64_t kDay_ms = 24ull * 3600 * 1000;
constexpr uint64_t kAuthorityLifetime_ms = 20 * 365 * kDay_ms;
constexpr uint64_t kServerLifetime_ms = 10 * 365 * kDay_ms;
// A server certificate with less validity left is reissued at the next start.
constexpr uint64_t kServerRenewal_ms = 8 * 365 * kDay_ms;

std::string path_of(const std::string& directory, const char* name) {
  return base::join_path(directory, name);
}

bool exists(const std::string& path) { return base::real_file_system().exists(path); }

Credentials read_credentials(const std::string& directory, const char* certificate,
                             const char* key) {
  return {base::read_private_file(path_of(directory, certificate), base::kMaxPemSize),
          base::read_private_file(path_of(directory, key), base::kMaxPemSize)};
}

Credentials open_authority(const std::string& directory) {
  std::string certificate = path_of(directory, "ca.crt"), key = path_of(directory, "ca.key");
  if (!exists(certificate)) {
    // A key without certificate was left by a crash during the first start: nobody has seen its
    // certificate.
    Credentials made = base::create_authority("Muletto appliance authority", kAuthorityLifetime_ms);
    base::write_private_file(key, made.key_pem);
    base::write_private_file(certificate, made.certificate_pem);
    return made;
  }
  if (!exists(key)) {
    throw Error(ErrorCode::corrupt, key + " is missing: put it back from a backup, or remove " +
                                        directory +
                                        " to start a new authority and enroll every agent again");
  }
  Credentials found = read_credentials(directory, "ca.crt", "ca.key");
  base::check_key_matches(found);
  return found;
}

Credentials make_server(const Credentials& authority, const ServerNames& names) {
  base::CertificateOptions options;
  options.common_name = "Muletto appliance";
  options.use = base::CertificateUse::server;
  options.uris = {"muletto:appliance"};
  options.dns_names = names.dns_names;
  options.ip_addresses = names.ip_addresses;
  Credentials made{"", base::generate_key()};
  made.certificate_pem = base::issue_certificate(authority, made.key_pem,
                                                 base::valid_from_now(options, kServerLifetime_ms));
  return made;
}

// The server's certificate in the folder, if it can still be used.
std::optional<Credentials> find_server(const std::string& directory, const Credentials& authority,
                                       const ServerNames& names) {
  if (!exists(path_of(directory, "server.crt")) || !exists(path_of(directory, "server.key")))
    return std::nullopt;
  try {
    Credentials found = read_credentials(directory, "server.crt", "server.key");
    base::check_key_matches(found);
    base::CertificateInfo info = base::describe_certificate(found.certificate_pem);
    bool good = ServerNames{info.dns_names, info.ip_addresses} == names &&
                info.not_after_ms > base::now_ms() + kServerRenewal_ms &&
                base::is_issued_by(found.certificate_pem, authority.certificate_pem);
    if (good) return found;
  } catch (const Error& error) {
    // Damaged, or key and certificate do not belong together after a crash: a new one costs
    // nothing.
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::invalid_argument) throw;
  }
  return std::nullopt;
}

void add_once(std::vector<std::string>& list, const std::string& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

bool is_address(const std::string& text) {
  in6_addr space;
  return ::inet_pton(AF_INET, text.c_str(), &space) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &space) == 1;
}

}  // namespace

ServerNames local_server_names(const std::string& public_host) {
  ServerNames names{{"localhost"}, {}};
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0 && host[0] != '\0') add_once(names.dns_names, host);
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0)
    throw base::system_error(errno, "cannot list the network interfaces");
  for (ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    char text[NI_MAXHOST];
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (::getnameinfo(entry->ifa_addr, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0)
      continue;
    std::string address(text);
    if (address.find('%') == std::string::npos)
      add_once(names.ip_addresses, address);  // but not link-local ones
  }
  ::freeifaddrs(list);
  std::sort(names.ip_addresses.begin(), names.ip_addresses.end());
  if (!public_host.empty())
    add_once(is_address(public_host) ? names.ip_addresses : names.dns_names, public_host);
  return names;
}

void require_authority(const std::string& directory, const std::string& fingerprint) {
  std::string found;
  try {
    Credentials kept = read_credentials(directory, "ca.crt", "ca.key");
    base::check_key_matches(kept);
    found = base::certificate_fingerprint(kept.certificate_pem);
  } catch (const Error& error) {
    throw Error(ErrorCode::unavailable,
                "the keys that all hosts are enrolled with cannot be used: " + error.message() +
                    ". Mount their disk, or put " + directory + " back from a backup");
  }
  if (fingerprint.empty() || found == fingerprint) return;
  throw Error(ErrorCode::unavailable,
              "the keys in " + directory +
                  " are another appliance's: no enrolled host would know this one. Put the right "
                  "ones back from a backup");
}

Authority::Authority(Credentials authority, Credentials server)
    : authority_(std::move(authority)), server_(std::move(server)),
      fingerprint_(base::certificate_fingerprint(authority_.certificate_pem)) {}

std::unique_ptr<Authority> Authority::open(const std::string& directory, const ServerNames& names) {
  base::make_private_directory(directory);
  Credentials authority = open_authority(directory);
  std::optional<Credentials> server = find_server(directory, authority, names);
  if (!server) {
    server = make_server(authority, names);
    base::write_private_file(path_of(directory, "server.key"), server->key_pem);
    base::write_private_file(path_of(directory, "server.crt"), server->certificate_pem);
  }
  return std::unique_ptr<Authority>(new Authority(std::move(authority), std::move(*server)));
}

HostCertificate Authority::sign_host(const std::string& request_pem,
                                     const std::string& host_id) const {
  base::CertificateOptions options;
  options.common_name = host_id;
  options.use = base::CertificateUse::client;
  options.uris = {"muletto:host:" + host_id};
  HostCertificate signed_now;
  uint64_t now = base::now_ms(), end = authority_end_ms();
  uint64_t lifetime = std::min(kHostLifetime_ms, end > now ? end - now : 0);
  signed_now.certificate_pem =
      base::sign_request(authority_, request_pem, base::valid_from_now(options, lifetime));
  base::CertificateInfo info = base::describe_certificate(signed_now.certificate_pem);
  signed_now.serial = info.serial;
  signed_now.not_after_ms = info.not_after_ms;
  return signed_now;
}

std::string Authority::server_pin() const { return base::public_key_pin(server_.certificate_pem); }

uint64_t Authority::authority_end_ms() const {
  return base::describe_certificate(authority_.certificate_pem).not_after_ms;
}

uint64_t Authority::server_end_ms() const {
  return base::describe_certificate(server_.certificate_pem).not_after_ms;
}

base::TlsContext Authority::server_context(
    std::function<bool(const std::string& serial)> is_revoked) const {
  return base::TlsContext::server({server_, authority_.certificate_pem,
                                   base::ClientCertificates::optional, std::move(is_revoked)});
}

}  // namespace appliance::pki
