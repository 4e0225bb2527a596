// SPDX-License-Identifier: Apache-2.0
//
// Why a Service port has no endpoint, or none here, in words. Pure.
#pragma once

#include <cstddef>
#include <string>

#include "agent/decide/endpoints.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

// "3 endpoints, none ready: 2 fail their readiness check, 1 terminates". `local_only`: of those on
// this node. "": there are endpoints that take new connections.
std::string why_no_endpoint(const k8s::Service& service, const ServiceEndpoints& endpoints,
                            std::size_t port_index, ipvs::Family family, bool local_only);

}  // namespace agent
