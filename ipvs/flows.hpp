// SPDX-License-Identifier: Apache-2.0
//
// Deletes UDP entries of connection tracking that lead to an endpoint which is no longer there: a
// UDP client that keeps sending from one port would be sent there for as long as it does.
//
// Threading: not thread-safe; calls block.
//
// Cost: one dump of the family's UDP entries for a batch, however many flows it names (the kernel
// walks its whole table for that; for a single destination it also chooses, from Linux 5.8 on).
#pragma once

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "ipvs/flow_codec.hpp"
#include "ipvs/kernel.hpp"
#include "ipvs/netlink_socket.hpp"

namespace ipvs {

class FlowCleaner {
 public:
  static Result<FlowCleaner> open();

  // See Kernel::delete_flows. Flows of other protocols than UDP, and of firewall marks, name
  // nothing.
  Result<std::size_t> remove(std::span<const Kernel::StaleFlow> flows);

 private:
  explicit FlowCleaner(NetlinkSocket socket) : socket_(std::move(socket)) {}
  // Endpoints whose flows are to go, by original destination; none: whatever the endpoint.
  using Wanted = std::unordered_map<Endpoint, std::vector<std::optional<Endpoint>>>;
  Result<std::vector<Flow>> find(Family family, const Wanted& wanted);
  int dump_each(Family family, const Wanted& wanted, std::vector<Flow>& found);
  int dump(Family family, const std::optional<Endpoint>& only, const Wanted& wanted,
           std::vector<Flow>& found);
  Result<std::size_t> remove(std::span<const Flow> flows);

  NetlinkSocket socket_;
  bool filtered_ = true;  // the kernel has not refused CTA_FILTER so far
};

}  // namespace ipvs
