// SPDX-License-Identifier: Apache-2.0
//
// IPVS traffic as Prometheus series, per Service port and per endpoint: summed over the virtual
// servers of that port (cluster IP, external IPs, node ports on every address), from the kernel's
// 64-bit counters.
//
// 100,000 endpoints are a few tens of MB of text, so the text is made piece by piece
// (write_traffic) from a compact table, one metric family after the other as the format demands.
//
//   kube_ipvs_service_connections_total{namespace,service,port,protocol}              and
//     _packets_in_total _packets_out_total _bytes_in_total _bytes_out_total
//   kube_ipvs_endpoint_connections_total{namespace,service,port,protocol,endpoint,pod}  and the
//   same four kube_ipvs_endpoint_active_connections, _inactive_connections, _weight   gauges, same
//   labels
//
// `port` is the port's name, or its number where it has none; `endpoint` is "address:port"; `pod`
// is "" where no Pod is known.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/model.hpp"

namespace agent {

struct EndpointTraffic {
  ipvs::Endpoint endpoint{};
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

// Adds one virtual server's reading to its port: counters and connections are summed, weights taken
// from the last reading.
void add_reading(PortTraffic& port, const ipvs::ServerReading& reading);

using PodName = std::function<std::string_view(const ipvs::Address&)>;
using TextWriter = std::function<boost::asio::awaitable<void>(std::string_view)>;

// Writes all families in pieces of about 32 KiB.
boost::asio::awaitable<void> write_traffic(const std::vector<PortTraffic>& ports,
                                           const PodName& pod_name, const TextWriter& write);

// A label value with backslash, quote and newline escaped.
std::string escape_label(std::string_view value);

}  // namespace agent
