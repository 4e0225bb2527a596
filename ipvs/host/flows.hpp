// SPDX-License-Identifier: Apache-2.0
//
// Deletes entries of connection tracking: UDP ones that lead to a removed endpoint, because a UDP
// client that keeps sending from the same port would be sent to that endpoint for as long as it
// does; and those of clients that may no longer use a virtual server, of every protocol, because
// permission is asked for new flows only.
//
// Threading: not thread-safe; calls block.
//
// Errors: KernelError with the errno of the first dump or deletion that failed.
//
// Cost: from Linux 5.8 on, if a batch names few destinations (a change of one Service), the kernel
// searches its table once for each of them and sends only the entries to be deleted. Otherwise a
// batch costs one dump of the family's UDP entries, however many flows it names. Measured in the
// test kernel: finding and deleting 100 flows of one endpoint among the 10,000 of its Service takes
// 20 ms, and 105 ms if the kernel sends all 10,000.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ipvs/host/flow_codec.hpp"
#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

class FlowCleaner {
 public:
  static Result<FlowCleaner> open();

  // Has the kernel load nf_conntrack_netlink.
  void load();
  // See Kernel::delete_flows. Flows of firewall marks are ignored.
  Result<std::size_t> remove(std::span<const Kernel::StaleFlow> flows);

 private:
  explicit FlowCleaner(NetlinkSocket socket) : socket_(std::move(socket)) {}
  // The endpoints to delete flows of, by original destination; nullopt: any endpoint.
  using Wanted = std::unordered_map<Endpoint, std::vector<std::optional<Endpoint>>>;
  Result<std::vector<Flow>> find(Family family, const Wanted& wanted);
  Result<std::vector<Flow>> find_of_others(Family family, std::span<const Kernel::StaleFlow> flows);
  int dump_all(Family family, const Wanted& wanted, std::vector<Flow>& found);
  int dump_each(Family family, const Wanted& wanted, std::vector<Flow>& found);
  int dump_destination(Family family, const Endpoint& destination,
                       const std::vector<std::optional<Endpoint>>& endpoints,
                       std::vector<Flow>& found);
  int dump(Family family, const std::optional<FlowFilter>& only,
           const std::function<bool(const Flow&)>& is_wanted, std::vector<Flow>& found);
  Result<std::size_t> remove(std::span<const Flow> flows);

  NetlinkSocket socket_;
  bool filters_ = true;  // false: the kernel has refused CTA_FILTER
  // Whether the kernel applies the filter by reply source: see dump_destination().
  enum class Trust : std::uint8_t { kUntried, kProven, kBroken };
  Trust reply_filter_ = Trust::kUntried;
};

}  // namespace ipvs
