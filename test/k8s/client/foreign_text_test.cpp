// SPDX-License-Identifier: Apache-2.0
//
// Text of servers and plugins in the messages of the API client.
#include <catch2/catch_test_macros.hpp>

#include "k8s/client/api_client.hpp"
#include "test/fake/api_server.hpp"
#include "test/k8s/client/fetch.hpp"

namespace {

namespace asio = boost::asio;
using namespace k8s::test;
using fake::ApiServer;
constexpr const char* kServices = "/api/v1/services";

k8s::Response plugin_response(const std::string& body) {
  asio::io_context io;
  const fake::TemporaryFolder folder;
  k8s::ApiAccess access;
  access.tls = false;
  access.host = "127.0.0.1";
  access.exec = k8s::ExecPlugin{.api_version = "client.authentication.k8s.io/v1",
                                .command = "/bin/sh",
                                .args = {script(folder, body)},
                                .env = {},
                                .install_hint = {}};
  k8s::ApiClient client(io.get_executor(), access);
  return fetch(io, client, {.path = kServices}).response;
}

}  // namespace

TEST_CASE("control characters in a server's reason phrase are escaped (H11)", "[foreign_text]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.misbehave({.raw = "HTTP/1.1 403 \xc2\x9b"
                           "31mNo\xe2\x80\xae\xff" +
                           std::string(300, 'x') + "\r\nContent-Length: 0\r\n\r\n"});
  k8s::ApiClient client(io.get_executor(), server.access());
  const k8s::Response response = fetch(io, client, {.path = kServices}).response;
  CHECK(response.status == 403);
  CHECK(response.text().starts_with(R"(403 \xc2\x9b31mNo\xe2\x80\xae\xffxx)"));
  CHECK(response.text().size() < 140);
}

TEST_CASE("what a failing plugin writes is in the message, on one line and cut (H11)",
          "[foreign_text]") {
  const k8s::Response failed =
      plugin_response("printf 'no token\\nE1122 forged\\033[31m\\n' >&2; exit 3");
  CHECK(failed.what ==
        R"(credential plugin /bin/sh exited with status 3: no token\nE1122 forged\x1b[31m)");
  const k8s::Response much = plugin_response("head -c 100000 /dev/zero >&2; exit 1");
  CHECK(much.what.starts_with(R"(credential plugin /bin/sh exited with status 1: \x00\x00)"));
  CHECK(much.what.size() < 500);
  const k8s::Response silent = plugin_response("exit 2");
  CHECK(silent.what == "credential plugin /bin/sh exited with status 2");
}

TEST_CASE("what a plugin's output has instead of a credential is escaped (H11)", "[foreign_text]") {
  const k8s::Response response = plugin_response(R"(printf '%s' '{"kind":"a\nb\u001b\u202e"}')");
  CHECK(response.what ==
        R"(credential plugin /bin/sh: its output has kind 'a\nb\x1b\xe2\x80\xae', not )"
        "ExecCredential");
}

TEST_CASE("a kubeconfig's fault is one line, whatever its values contain (H11)", "[foreign_text]") {
  const auto access = k8s::parse_kubeconfig("current-context: \"a\\nb\\u2028\\e[31m\"\n", "config");
  REQUIRE(access.has_error());
  CHECK(access.error().text().find(R"(a\nb\xe2\x80\xa8\x1b[31m)") != std::string::npos);
}
