// SPDX-License-Identifier: Apache-2.0
//
// The traffic of a Service port and of its endpoints, as values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/state/model.hpp"

namespace agent {

struct EndpointTraffic {
  ipvs::Endpoint endpoint{};
  std::string_view pod{};  // the endpoint table's: valid until it changes
  ipvs::Counters counters{};
  std::uint32_t active_connections = 0;
  std::uint32_t inactive_connections = 0;
  std::uint32_t weight = 0;
};

// One port of one Service.
struct PortTraffic {
  std::string ns;
  std::string service;
  std::string port;
  ipvs::Protocol protocol = ipvs::Protocol::kTcp;
  ipvs::Counters counters{};
  std::vector<EndpointTraffic> endpoints{};  // ordered by endpoint
};

}  // namespace agent
