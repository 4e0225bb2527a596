// SPDX-License-Identifier: Apache-2.0
//
// Keys and certificates that cannot be used.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "k8s/client/api_client.hpp"
#include "test/fake/api_server.hpp"
#include "test/k8s/client/fetch.hpp"

namespace {

namespace asio = boost::asio;
using namespace k8s::test;
using fake::ApiServer;
using fake::Encryption;
constexpr const char* kServices = "/api/v1/services";
constexpr const char* kPassphrase =
    "client-key: is encrypted with a passphrase, which nobody can enter here: store it without "
    "one (openssl pkey -in FILE -out FILE)";

}  // namespace

TEST_CASE("a client key with a passphrase is refused at the start, and asks nobody for it (H9)",
          "[identity]") {
  const auto form = GENERATE(Encryption::kPkcs8, Encryption::kTraditional);
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = true});
  server.serve(kServices, "Service");
  const fake::TemporaryFolder folder;
  const fake::Certificate own = fake::issue(server.authority(), {.common_name = "node"});
  k8s::ApiAccess access = server.access();
  access.client_certificate.text = own.certificate;
  const bool inline_data = GENERATE(true, false);
  if (inline_data) {
    access.client_key.text = fake::encrypted(own.key, form);
  } else {
    access.client_key.file = folder.write("key", fake::encrypted(own.key, form));
  }
  CHECK(k8s::find_identity_fault(access) == "fake API server: " + std::string(kPassphrase));
  // The same after the start, where the key was replaced by such a one.
  k8s::ApiClient client(io.get_executor(), access);
  const k8s::Response response = fetch(io, client, {.path = kServices}).response;
  CHECK(response.end == k8s::Response::End::kFailed);
  CHECK(response.what == kPassphrase);
  CHECK(server.connections() == 0);
}

TEST_CASE("a certificate or authority that claims to be encrypted asks nobody either (H9)",
          "[identity]") {
  asio::io_context io;
  const fake::Certificate authority = fake::make_authority("some");
  const fake::Certificate own = fake::issue(authority, {.common_name = "node"});
  k8s::ApiAccess access;
  access.origin = "kubeconfig";
  SECTION("the authority") {
    access.certificate_authority.text = fake::marked_encrypted(authority.certificate);
    CHECK(k8s::find_identity_fault(access)->starts_with(
        "kubeconfig: certificate-authority: is encrypted with a passphrase"));
  }
  SECTION("the second authority of a bundle") {
    access.certificate_authority.text =
        authority.certificate + fake::marked_encrypted(authority.certificate);
    CHECK(k8s::find_identity_fault(access)->starts_with(
        "kubeconfig: certificate-authority: is encrypted with a passphrase"));
  }
  SECTION("the client certificate") {
    access.client_certificate.text = fake::marked_encrypted(own.certificate);
    access.client_key.text = own.key;
    CHECK(k8s::find_identity_fault(access)->starts_with(
        "kubeconfig: client-certificate: is encrypted with a passphrase"));
  }
}

TEST_CASE("the key of a credential plugin may have no passphrase either (H9)", "[identity]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = true});
  const fake::TemporaryFolder folder;
  const fake::Certificate own = fake::issue(server.authority(), {.common_name = "node"});
  std::string status = R"({"clientCertificateData":")" + own.certificate +
                       R"(","clientKeyData":")" + fake::encrypted(own.key, Encryption::kPkcs8) +
                       "\"}";
  for (std::size_t at = 0; (at = status.find('\n', at)) != std::string::npos;) {
    status.replace(at, 1, "\\n");
  }
  k8s::ApiAccess access = server.access();
  access.token = {};
  access.exec = k8s::ExecPlugin{
      .api_version = "client.authentication.k8s.io/v1",
      .command = "/bin/cat",
      .args = {folder.write("out", R"({"apiVersion":"client.authentication.k8s.io/v1","kind":)"
                                   R"("ExecCredential","status":)" +
                                       status + "}")},
      .env = {},
      .install_hint = {}};
  CHECK_FALSE(k8s::find_identity_fault(access));
  k8s::ApiClient client(io.get_executor(), access);
  CHECK(fetch(io, client, {.path = kServices}).response.what == kPassphrase);
}

TEST_CASE("certificates and keys that cannot be read or used are one line each (H9)",
          "[identity]") {
  const fake::Certificate authority = fake::make_authority("some");
  const fake::Certificate own = fake::issue(authority, {.common_name = "node"});
  const fake::Certificate other = fake::issue(authority, {.common_name = "other"});
  const fake::TemporaryFolder folder;
  k8s::ApiAccess access;
  access.origin = "kubeconfig";
  access.certificate_authority.text = authority.certificate + authority.certificate;
  access.client_certificate.text = own.certificate;
  access.client_key.text = own.key;
  CHECK_FALSE(k8s::find_identity_fault(access));
  std::string begin;
  SECTION("an authority that does not exist") {
    access.certificate_authority = {.file = folder.path("none"), .text = {}};
    begin = folder.path("none") + ": cannot be opened: No such file or directory";
  }
  SECTION("an authority that is no PEM text") {
    access.certificate_authority = {.file = folder.write("ca", "rubbish\n"), .text = {}};
    begin = "kubeconfig: certificate-authority: ";
  }
  SECTION("an authority that is cut off") {
    access.certificate_authority.text.resize(access.certificate_authority.text.size() - 40);
    begin = "kubeconfig: certificate-authority: ";
  }
  SECTION("a certificate that is a folder") {
    access.client_certificate = {.file = folder.path(""), .text = {}};
    begin = folder.path("") + ": is a directory, not a file";
  }
  SECTION("an empty key file") {
    access.client_key = {.file = folder.write("key", ""), .text = {}};
    begin = "kubeconfig: client-key: ";
  }
  SECTION("the key of another certificate") {
    access.client_key.text = other.key;
    begin = "kubeconfig: client-key: ";
  }
  const auto fault = k8s::find_identity_fault(access);
  REQUIRE(fault);
  INFO(*fault);
  CHECK(fault->starts_with(begin));
  CHECK(fault->find('\n') == std::string::npos);
  // A plain HTTP server uses none of them.
  access.tls = false;
  CHECK_FALSE(k8s::find_identity_fault(access));
}
