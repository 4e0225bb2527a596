// SPDX-License-Identifier: Apache-2.0
//
// Deletes UDP entries of connection tracking that lead to an endpoint which is no longer there: a
// UDP client that keeps sending from one port would be sent there for as long as it does.
//
// Threading: not thread-safe; calls block.
//
// Cost: for few destinations (one Service's change) the kernel walks its table for each of them and
// sends what is to go, from Linux 5.8 on; else one dump of the family's UDP entries for a batch,
// however many flows it names. Measured in the test kernel: 100 flows of one endpoint among 10,000
// of its Service in 20 ms, 105 ms when all of them are sent.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "ipvs/host/flow_codec.hpp"
#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/kernel.hpp"

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
  int dump_all(Family family, const Wanted& wanted, std::vector<Flow>& found);
  int dump_each(Family family, const Wanted& wanted, std::vector<Flow>& found);
  int dump_destination(Family family, const Endpoint& destination,
                       const std::vector<std::optional<Endpoint>>& endpoints,
                       std::vector<Flow>& found);
  int dump(Family family, const std::optional<FlowFilter>& only,
           const std::function<bool(const Flow&)>& is_wanted, std::vector<Flow>& found);
  Result<std::size_t> remove(std::span<const Flow> flows);

  NetlinkSocket socket_;
  bool filters_ = true;  // the kernel has not refused CTA_FILTER so far
  enum class Trust : std::uint8_t { kUntried, kProven, kBroken };
  Trust reply_filter_ = Trust::kUntried;
};

}  // namespace ipvs
