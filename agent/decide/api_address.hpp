// SPDX-License-Identifier: Apache-2.0
//
// The API server must not be reached through a Service VIP: after a reboot this agent is what has
// to make that VIP work, and could not learn of any Service until it did. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/client/kubeconfig.hpp"
#include "k8s/types.hpp"

namespace agent {

// Why the address cannot be used, with the remedy, on one line; nullopt where nothing speaks
// against it.
//   env_service_address  KUBERNETES_PORT_443_TCP_ADDR: kubelet sets it to the cluster IP of
//   default/kubernetes bound                addresses on kube-ipvs0, left by an earlier run
std::optional<std::string> refuse_vip(const k8s::ApiAccess& access,
                                      const std::string& env_service_address,
                                      const std::vector<ipvs::Address>& bound);
// The same for a Service just learnt of, and the addresses the API host resolves to.
std::optional<std::string> refuse_vip(const k8s::ApiAccess& access, const k8s::Service& service,
                                      const std::vector<k8s::Address>& resolved);

}  // namespace agent
