// SPDX-License-Identifier: Apache-2.0
//
// The agent should not reach the API server through a Service VIP: after a reboot nothing but this
// agent programs that VIP, and it cannot learn of any Service before it does. Pure.
//
// Which Services may have the address of the API server is decided elsewhere
// (agent/decide/address_policy.hpp), and what an earlier run left at it is released at the start
// (agent/decide/leftovers.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/client/kubeconfig.hpp"
#include "k8s/types.hpp"

namespace agent {

// Why the configured address cannot be used, with the remedy, on one line; nullopt: it can be used.
//   env_service_address  KUBERNETES_PORT_443_TCP_ADDR: kubelet sets it to the cluster IP of
//                        default/kubernetes
std::optional<std::string> refuse_vip(const k8s::ApiAccess& access,
                                      const std::string& env_service_address);
// A warning, once the addresses that the API host resolves to and the cluster IPs of
// default/kubernetes (`kubernetes`) are known.
std::optional<std::string> warn_of_vip(const k8s::ApiAccess& access, const k8s::Service& kubernetes,
                                       const std::vector<k8s::Address>& resolved);

}  // namespace agent
