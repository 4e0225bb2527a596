// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/api_address.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

namespace agent {
namespace {

// Compares addresses, not texts: "fd00:0::1" is fd00::1.
bool is_address(const std::string& host, const ipvs::Address& address) {
  boost::system::error_code error;
  return boost::asio::ip::make_address(host, error) == address && !error;
}

std::string text_of(const k8s::ApiAccess& access) {
  return "the API server address " + access.url() + " (from " + access.origin +
         ") is the cluster IP of Service default/kubernetes, which ";
}

constexpr const char* kRemedy =
    ": give the address of the API server itself, with --master https://ADDRESS:6443 or a "
    "kubeconfig";

}  // namespace

std::optional<std::string> refuse_vip(const k8s::ApiAccess& access,
                                      const std::string& env_service_address) {
  boost::system::error_code no_address;
  const auto env_address = boost::asio::ip::make_address(env_service_address, no_address);
  if (no_address || !is_address(access.host, env_address)) return std::nullopt;
  return text_of(access) + "does not work until this agent has programmed it" + kRemedy;
}

std::optional<std::string> warn_of_vip(const k8s::ApiAccess& access, const k8s::Service& kubernetes,
                                       const std::vector<k8s::Address>& resolved) {
  const auto& vips = kubernetes.cluster_ips;
  const bool hit = std::any_of(resolved.begin(), resolved.end(), [&](const k8s::Address& address) {
    return std::find(vips.begin(), vips.end(), address) != vips.end();
  });
  if (!hit) return std::nullopt;
  return text_of(access) + "will not work after a reboot of this node" + kRemedy;
}

}  // namespace agent
