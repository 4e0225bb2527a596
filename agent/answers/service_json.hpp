// SPDX-License-Identifier: Apache-2.0
//
// A Service and its virtual servers as JSON. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <deque>
#include <string_view>
#include <vector>

#include "agent/answers/endpoint_view.hpp"
#include "agent/decide/address_policy.hpp"
#include "k8s/types.hpp"

namespace agent {

// "clusterIP", "nodePort", "loadBalancerIP", "externalIP".
std::string_view field_name(AddressField field);

// Without its ports, endpoints and conditions.
boost::json::object service_json(const k8s::Service& service, bool is_served);
// With each virtual server of the port, and in what the kernel differs from what is wanted.
boost::json::object port_json(const k8s::ServicePort& port, const std::vector<ServerView>& servers);
// How many rows are in each state.
boost::json::object state_counts(const std::deque<EndpointRow>& rows);

}  // namespace agent
