// SPDX-License-Identifier: Apache-2.0
//
// The agent must not reach the API server through a Service VIP: after a reboot nothing but this
// agent programs that VIP, and it cannot learn of any Service before it does. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/client/kubeconfig.hpp"
#include "k8s/types.hpp"

namespace agent {

// Why the address cannot be used, with the remedy, on one line; nullopt: it can be used.
//   env_service_address  KUBERNETES_PORT_443_TCP_ADDR: kubelet sets it to the cluster IP of
//                        default/kubernetes
//   bound                addresses on kube-ipvs0, left by an earlier run
std::optional<std::string> refuse_vip(const k8s::ApiAccess& access,
                                      const std::string& env_service_address,
                                      const std::vector<ipvs::Address>& bound);
// The same for a Service of the cluster and the addresses that the API host resolves to.
std::optional<std::string> refuse_vip(const k8s::ApiAccess& access, const k8s::Service& service,
                                      const std::vector<k8s::Address>& resolved);

}  // namespace agent
