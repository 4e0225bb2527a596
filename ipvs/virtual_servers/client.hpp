// SPDX-License-Identifier: Apache-2.0
//
// The one door to IPVS: its generic netlink family.
//
// Threading: not thread-safe; calls block. Needs CAP_NET_ADMIN.
//
// Errors: change_servers() gives one errno per op (see ipvs/state/kernel.hpp); readings stop at the first
// error.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/virtual_servers/codec.hpp"

namespace ipvs {

class IpvsClient {
 public:
  // Loads ip_vs where the kernel can do that by itself (from about 5.17); the error names the
  // remedy.
  static Result<IpvsClient> open();

  std::vector<int> change_servers(std::span<const ServerOp> ops);

  // Every virtual server of the namespace, without destinations.
  Result<std::vector<ServerReading>> dump_services();
  // Ordered by endpoint; empty too if there is no such virtual server.
  Result<std::vector<DestinationReading>> dump_destinations(const ServerKey& key);
  Result<std::optional<ServerReading>> read_server(const ServerKey& key);
  // Those of `keys` that exist, in their order.
  Result<std::vector<ServerReading>> read_servers(std::span<const ServerKey> keys);
  // Of each of `keys`, whether it exists or not, the destinations only.
  Result<std::vector<ServerReading>> read_destinations(std::span<const ServerKey> keys);
  // Every virtual server with its destinations but no counters, mostly from /proc/net/ip_vs.
  Result<std::vector<Server>> read_configuration();

  Result<IpvsInfo> info();
  // Sets the timeouts that are not 0.
  Result<void> set_timeouts(const Timeouts& timeouts);

  // The kernel's own words about the last error, if it had any.
  const std::string& extended() const { return socket_.extended(); }

 private:
  // Fills in the destinations of each.
  Result<std::vector<ServerReading>> with_destinations(std::vector<ServerReading> readings);
  IpvsClient(NetlinkSocket socket, std::uint16_t family);

  NetlinkSocket socket_;
  std::uint16_t family_;
  MessageBatch batch_;  // kept for its memory
};

}  // namespace ipvs
