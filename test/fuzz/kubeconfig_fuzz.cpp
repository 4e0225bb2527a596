// SPDX-License-Identifier: Apache-2.0
//
// Parses any bytes as a kubeconfig, a server URL, base64, a time and a credential plugin's output.
// The result must be either valid and usable, or a fault with a message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "k8s/client/base64.hpp"
#include "k8s/client/exec_credential.hpp"
#include "k8s/client/kubeconfig.hpp"
#include "k8s/client/url.hpp"
#include "k8s/decode/values.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_kubeconfig(std::string_view text) {
  const k8s::AccessResult access = k8s::parse_kubeconfig(text, "folder/kubeconfig");
  if (!access) {
    require(!access.error().text().empty());
    return;
  }
  require(!access->host.empty() && access->port != 0);
  const k8s::ServerUrlOrFault again = k8s::parse_server_url(access->url());
  require(again.fault.empty() && again.url.host == access->host && again.url.port == access->port);
  require(access->client_certificate.empty() == access->client_key.empty());
  if (access->exec) require(!access->exec->command.empty() && access->token.empty());
}

void check_credential(std::string_view text) {
  const auto credential = k8s::parse_exec_credential(text, "client.authentication.k8s.io/v1");
  if (credential) require(!credential->token.empty() || !credential->client_key.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_kubeconfig(text);
  check_credential(text);
  k8s::parse_server_url(text);
  k8s::base64_decode(text);
  k8s::parse_time(text);
  return 0;
}
