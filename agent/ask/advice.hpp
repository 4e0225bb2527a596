// SPDX-License-Identifier: Apache-2.0
//
// How evenly the endpoints of a Service port carry its open connections, and which scheduler would do
// it better, in a line. Pure.
//
//   spread   the open connections of the busiest endpoint for its weight, in multiples of the mean: 1.0
//            is even
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agent {

struct PortLoad {
  std::string port{};       // "default/web:http"
  std::string scheduler{};  // of its virtual servers; "": not known
  bool has_affinity = false;
  struct Endpoint {
    std::uint64_t open = 0;
    std::uint64_t weight = 1;
  };
  std::vector<Endpoint> endpoints{};  // those that take new connections
  std::uint64_t new_connections = 0;  // that came while this was looked at,
  double new_per_second = 0;          // and how many in a second
};

// 1.0 where nothing is open or one endpoint serves alone.
double spread_of(const PortLoad& load);
// With these connections, if each had been given to the endpoint with the fewest for its weight.
double spread_by_least_connection(const PortLoad& load);
// "": it is as even as it can be, or nearly, or there are too few connections to say.
std::string advice(const PortLoad& load);

}  // namespace agent
