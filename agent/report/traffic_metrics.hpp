// SPDX-License-Identifier: Apache-2.0
//
// IPVS traffic as Prometheus series, per Service port and per endpoint: summed over the virtual
// servers of that port (cluster IP, external IPs, node ports on every address), from the kernel's
// 64-bit counters. Counters never go back: agent/report/traffic_history.hpp.
//
//   kube_ipvs_service_connections_total, _packets_in_total, _packets_out_total, _bytes_in_total,
//     _bytes_out_total                       counters{namespace,service,port,protocol}
//   kube_ipvs_endpoint_connections_total, _packets_in_total, _packets_out_total, _bytes_in_total,
//     _bytes_out_total                       counters{namespace,service,port,protocol,endpoint,pod}
//   kube_ipvs_endpoint_active_connections, _inactive_connections, _weight      gauges, same labels
//
// `port` is the port's name, or its number if it has none; `endpoint` is "address:port"; `pod` is
// "" if no Pod is known.
//
// 100,000 endpoints make a hundred MB of text, so /metrics has the endpoints of those Services only
// that ask for it (--metrics-endpoints), /metrics/endpoints has all of them, and the text is produced
// and sent in pieces. The format requires one metric family after the other, each over all Services;
// therefore the page is a compact table with the numbers and the formatted labels of each endpoint
// (about 130 bytes per endpoint), in blocks that are small enough to be filled and freed quickly.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/decide/traffic.hpp"
#include "ipvs/state/model.hpp"

namespace agent {

using PodName = std::function<std::string_view(const ipvs::Address&)>;
using TextWriter = std::function<boost::asio::awaitable<void>(std::string_view)>;

void add_counters(ipvs::Counters& sum, const ipvs::Counters& counters);

// Adds one virtual server's reading to its port: counters and connections are summed; the weight is
// that of the last reading.
void add_reading(PortTraffic& port, const ipvs::ServerReading& reading, const PodName& pod_name);

// Precondition: a reading with that endpoint was added.
std::vector<EndpointTraffic>::const_iterator find_endpoint(const PortTraffic& port,
                                                           const ipvs::Endpoint& endpoint);

// The traffic part of a page.
class TrafficPage {
 public:
  enum class Has : std::uint8_t { kPortsAndEndpoints, kEndpoints };
  explicit TrafficPage(Has has = Has::kPortsAndEndpoints) : has_(has) {}

  // With the endpoints that `port` has.
  void add(const PortTraffic& port);
  std::size_t endpoint_count() const { return endpoints_; }
  // Writes all families in pieces of up to 64 KiB. Without endpoints, none of theirs.
  boost::asio::awaitable<void> write(const TextWriter& write) const;

 private:
  struct Row {
    ipvs::Counters counters{};
    std::uint32_t active_connections = 0;
    std::uint32_t inactive_connections = 0;
    std::uint32_t weight = 0;
    std::uint32_t labels_end = 0;
  };
  struct Port {
    ipvs::Counters counters{};
    std::uint32_t labels_begin = 0;
    std::uint32_t labels_end = 0;  // of the port's own
    std::uint32_t rows_end = 0;
  };
  // Some ports. `labels` has for each `namespace="default",...`, then the labels of each of its rows,
  // `,endpoint="...",pod="..."} `. Each port's rows follow those of the port before it.
  struct Block {
    std::string labels{};
    std::vector<Port> ports{};
    std::vector<Row> rows{};
  };
  struct Families;
  boost::asio::awaitable<void> write_endpoints(Families& families) const;

  Has has_;
  std::vector<Block> blocks_;
  std::size_t endpoints_ = 0;
};

}  // namespace agent
