// SPDX-License-Identifier: Apache-2.0
//
// Follows one packet through the hooks, in the order that agent/answers/explain.hpp says. Pure.
#pragma once

#include <span>
#include <vector>

#include "agent/answers/clients.hpp"
#include "agent/answers/explain.hpp"
#include "ipvs/nftables/rules.hpp"

namespace agent {

// `rules` are those of the view's table. The Service, entrance and port of the way are filled in,
// if any has them.
Way follow_packet(const ipvs::Endpoint& to, ipvs::Protocol protocol, const Client& client,
                  std::span<const ipvs::Rule> rules, const ExplainView& view);

}  // namespace agent
