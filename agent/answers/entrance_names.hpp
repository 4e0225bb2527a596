// SPDX-License-Identifier: Apache-2.0
//
// Which Service has an address and port on this node, by which field, and why a port of it has no
// endpoint: names and reasons, from what the cluster says. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "agent/answers/explain.hpp"
#include "agent/decide/entrances.hpp"

namespace agent {

struct NamedEntrance {
  ipvs::Owner owner{};
  const k8s::Service* service = nullptr;  // nullptr: deleted, it lingers
  std::size_t port_index = 0;
  std::optional<Entrance> entrance{};  // nullopt: it asks for it no more
};

// "cluster IP", "node port", "load balancer IP", "external IP"
std::string_view name_of(AddressField field);
// "http", or "80" where it has no name.
std::string name_of(const k8s::ServicePort& port);

// nullopt: no Service has it.
std::optional<NamedEntrance> entrance_at(const ipvs::ServerKey& key, const ExplainView& view);
// The Service that wants an element; "": none.
std::string owner_of(const ipvs::Element& element, const ExplainView& view);
// As why_no_endpoint() says; "": it has some, or the Service is gone.
std::string why_no_endpoint(const NamedEntrance& entrance, const ExplainView& view);

}  // namespace agent
