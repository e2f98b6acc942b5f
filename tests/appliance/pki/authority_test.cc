#include "appliance/pki/authority.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/file_system.h"
#include "base/private_file.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "tests/base/tls_pair.h"

namespace {

using appliance::pki::Authority;
using appliance::pki::ServerNames;
using Catch::Matchers::Contains;

const ServerNames kNames{{"localhost"}, {"127.0.0.1"}};

// Where an authority may be made; gone at the end of the test.
struct NewFolder {
  base::ScratchDirectory scratch{"/tmp", "muletto-authority-test"};
  std::string path = scratch.path() + "/pki";
};

std::string server_certificate(const std::string& folder) {
  return base::read_private_file(folder + "/server.crt", base::kMaxPemSize);
}

TEST_CASE("an authority is made once and found again", "[pki]") {
  NewFolder made;
  const std::string& folder = made.path;
  std::string fingerprint = Authority::open(folder, kNames)->fingerprint();
  std::string server = server_certificate(folder);
  CHECK(Authority::open(folder, kNames)->fingerprint() == fingerprint);
  CHECK(server_certificate(folder) == server);
  base::CertificateInfo authority =
      base::describe_certificate(base::read_private_file(folder + "/ca.crt", base::kMaxPemSize));
  CHECK(authority.not_after_ms > base::now_ms() + 10ull * 365 * 24 * tests::kHour_ms);
  for (const char* name : {"/ca.crt", "/ca.key", "/server.crt", "/server.key"}) {
    struct stat status;
    REQUIRE(::stat((folder + name).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
}

TEST_CASE("the server's certificate follows its names", "[pki]") {
  NewFolder made;
  const std::string& folder = made.path;
  Authority::open(folder, kNames);
  std::string old = server_certificate(folder);
  ServerNames more{{"localhost", "spare"}, {"127.0.0.1"}};
  Authority::open(folder, more);
  CHECK(server_certificate(folder) != old);
  CHECK(base::describe_certificate(server_certificate(folder)).dns_names == more.dns_names);
}

TEST_CASE("what a crash or a hand leaves in the folder", "[pki]") {
  NewFolder made;
  const std::string& folder = made.path;
  std::string fingerprint = Authority::open(folder, kNames)->fingerprint();
  base::FileSystem& files = base::real_file_system();
  SECTION("a damaged server certificate is replaced") {
    base::write_private_file(folder + "/server.crt", "rubbish");
    CHECK(Authority::open(folder, kNames)->fingerprint() == fingerprint);
    CHECK_THAT(server_certificate(folder), Contains("BEGIN CERTIFICATE"));
  }
  SECTION("a server key of another generation is replaced") {
    base::write_private_file(folder + "/server.key", base::generate_key());
    CHECK(Authority::open(folder, kNames)->fingerprint() == fingerprint);
  }
  SECTION("a missing authority key is never replaced") {
    files.remove(folder + "/ca.key");
    CHECK_THROWS_WITH(Authority::open(folder, kNames), Contains("ca.key is missing"));
  }
  SECTION("a damaged authority is never replaced") {
    base::write_private_file(folder + "/ca.crt", "rubbish");
    CHECK_THROWS_AS(Authority::open(folder, kNames), base::Error);
  }
}

TEST_CASE("a host's certificate is its id's, and opens the door until it is revoked", "[pki]") {
  NewFolder made;
  auto authority = Authority::open(made.path, kNames);
  std::string key = base::generate_key();
  auto certificate = authority->sign_host(base::make_signing_request(key, "liar"), "00ff00ff");
  base::CertificateInfo info = base::describe_certificate(certificate.certificate_pem);
  CHECK(info.common_name == "00ff00ff");
  CHECK(info.uris == std::vector<std::string>{"muletto:host:00ff00ff"});
  CHECK(info.serial == certificate.serial);

  std::string revoked;
  base::TlsContext server =
      authority->server_context([&](const std::string& serial) { return serial == revoked; });
  base::TlsContext client = base::TlsContext::client(
      {authority->certificate_pem(), "", {certificate.certificate_pem, key}});
  auto pair = tests::connect_pair(server, client);
  CHECK(pair.server->peer_certificate()->serial == certificate.serial);
  revoked = certificate.serial;
  CHECK_THROWS_WITH(tests::connect_pair(server, client), Contains("was revoked"));
}

TEST_CASE("the local names are usable", "[pki]") {
  ServerNames names = appliance::pki::local_server_names("spare.example");
  CHECK(names == appliance::pki::local_server_names("spare.example"));
  CHECK(names.dns_names.front() == "localhost");
  CHECK(names.dns_names.back() == "spare.example");
  CHECK_FALSE(names.ip_addresses.empty());
  CHECK(appliance::pki::local_server_names("192.0.2.1").ip_addresses.back() == "192.0.2.1");
  NewFolder made;
  Authority::open(made.path, names);
}

}  // namespace
