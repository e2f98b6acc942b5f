#include "base/certificates.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/private_file.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "tests/base/tls_pair.h"

namespace {

using base::ErrorCode;

template <typename Action>
ErrorCode code_of(Action action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::io;
}

TEST_CASE("an issued certificate says what it was asked to say", "[certificates]") {
  tests::Authority authority;
  base::CertificateOptions options;
  options.common_name = "Büro-Server";
  options.use = base::CertificateUse::server;
  options.uris = {"muletto:appliance"};
  options.dns_names = {"localhost", "spare.example"};
  options.ip_addresses = {"127.0.0.1", "fd00::1"};
  options.not_before_ms = 1'700'000'000'000;
  options.not_after_ms = 1'800'000'000'000;
  base::Credentials issued = authority.issue(options);

  base::CertificateInfo info = base::describe_certificate(issued.certificate_pem);
  CHECK(info.common_name == "Büro-Server");
  CHECK(info.uris == options.uris);
  CHECK(info.dns_names == options.dns_names);
  CHECK(info.ip_addresses == options.ip_addresses);
  CHECK(info.not_before_ms == options.not_before_ms);
  CHECK(info.not_after_ms == options.not_after_ms);
  CHECK(info.serial.size() == 32);
  CHECK(info.fingerprint == base::certificate_fingerprint(issued.certificate_pem));
  base::check_key_matches(issued);
}

TEST_CASE("two certificates never share a serial", "[certificates]") {
  tests::Authority authority;
  CHECK(base::describe_certificate(authority.client().certificate_pem).serial !=
        base::describe_certificate(authority.client().certificate_pem).serial);
}

TEST_CASE("a request gives its key and nothing else", "[certificates]") {
  tests::Authority authority;
  std::string key = base::generate_key();
  std::string request = base::make_signing_request(key, "root");
  base::CertificateOptions options;
  options.common_name = "agent-7";
  options = base::valid_from_now(options, tests::kHour_ms);
  std::string certificate = base::sign_request(authority.credentials(), request, options);
  CHECK(base::describe_certificate(certificate).common_name == "agent-7");
  CHECK(request.find("PRIVATE") == std::string::npos);
  base::check_key_matches({certificate, key});
  CHECK(code_of([&] {
          base::check_key_matches({certificate, base::generate_key()});
        }) == ErrorCode::invalid_argument);
}

TEST_CASE("damaged requests are refused", "[certificates]") {
  tests::Authority authority;
  std::string request = base::make_signing_request(base::generate_key(), "agent");
  base::CertificateOptions options;
  options.common_name = "agent";
  options = base::valid_from_now(options, tests::kHour_ms);
  auto sign = [&](const std::string& text) {
    return code_of([&] { base::sign_request(authority.credentials(), text, options); });
  };
  CHECK(sign("") == ErrorCode::invalid_argument);
  CHECK(sign(std::string(base::kMaxPemSize + 1, 'A')) == ErrorCode::invalid_argument);
  CHECK(sign(request.substr(0, request.size() / 2)) == ErrorCode::invalid_argument);
  CHECK(sign(authority.pem()) == ErrorCode::invalid_argument);
  // One flipped character in the body: either no longer a request or no longer signed by its key.
  for (size_t place = 40; place < request.size() - 40; place += 7) {
    std::string damaged = request;
    damaged[place] = damaged[place] == 'A' ? 'B' : 'A';
    if (damaged != request) CHECK(sign(damaged) == ErrorCode::invalid_argument);
  }
}

TEST_CASE("names that would smuggle extensions in are refused", "[certificates]") {
  tests::Authority authority;
  base::CertificateOptions options = base::valid_from_now({}, tests::kHour_ms);
  options.common_name = "";
  CHECK(code_of([&] { authority.issue(options); }) == ErrorCode::invalid_argument);
  options.common_name = std::string(65, 'x');
  CHECK(code_of([&] { authority.issue(options); }) == ErrorCode::invalid_argument);
  options.common_name = "agent";
  options.dns_names = {"good.example,DNS:evil.example"};
  base::CertificateInfo info = base::describe_certificate(authority.issue(options).certificate_pem);
  CHECK(info.dns_names.size() == 1);  // one odd name, not two
  options.dns_names = {"new\nline"};
  CHECK(code_of([&] { authority.issue(options); }) == ErrorCode::invalid_argument);
  options.dns_names.clear();
  options.ip_addresses = {"300.1.1.1"};
  CHECK(code_of([&] { authority.issue(options); }) == ErrorCode::invalid_argument);
}

TEST_CASE("fingerprints are read as people write them", "[certificates]") {
  std::string plain(64, 'a');
  CHECK(base::normalize_fingerprint(plain) == plain);
  std::string colons = "SHA256:";
  for (int i = 0; i < 32; ++i) colons += i == 0 ? "AA" : ":AA";
  CHECK(base::normalize_fingerprint(colons) == plain);
  CHECK(code_of([] { base::normalize_fingerprint("abc"); }) == ErrorCode::invalid_argument);
}

TEST_CASE("private files are the owner's alone", "[certificates]") {
  base::ScratchDirectory scratch("/tmp", "muletto-certificates-test");
  std::string folder = scratch.path() + "/a/b";
  base::make_private_directory(folder);
  std::string path = folder + "/key.pem";
  base::write_private_file(path, "first");
  base::write_private_file(path, "second");
  struct stat status;
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  REQUIRE(::stat(folder.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  CHECK(base::read_private_file(path, 100) == "second");
  CHECK(code_of([&] { base::read_private_file(path, 3); }) == ErrorCode::corrupt);
  CHECK(code_of([&] { base::read_private_file(folder + "/none", 3); }) == ErrorCode::not_found);
}

}  // namespace
