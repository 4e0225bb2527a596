// SPDX-License-Identifier: Apache-2.0
//
// What became of the connections to destinations that were deleted or drain, by Service: how many were
// cut, and why, and how many ended by themselves. So that after a roll-out one can say "0 of 41,212
// connections cut".
//
// What counts is what IPVS calls an active connection: TCP and SCTP that are established or being so
// (tcp_state_active_table in ip_vs_proto_tcp.c, set_sctp_state() in ip_vs_proto_sctp.c). When its
// destination is deleted, its next packet finds the destination unavailable and ends it
// (ip_vs_in() with net.ipv4.vs.expire_nodest_conn): that is cut. Not counted:
//   - inactive connections of TCP: one side or both have closed. Of one that is closed on one side only
//     and still used on the other nobody knows;
//   - UDP: the next packet of a flow goes to another endpoint;
//   - entries of session affinity: they are no connections.
//
// While a destination drains, its count is read when that begins, at each check, and when it ends. What
// the count fell by has ended by itself. Clients with session affinity may still add to it.
//
// Work is proportional to the destinations of the virtual servers that lose one. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "ipvs/state/apply.hpp"
#include "ipvs/state/desired.hpp"

namespace agent {

enum class CutCause : std::uint8_t {
  kDrainTimeout,    // the Pod's grace period or the Service's drain timeout has passed
  kPodGone,         // no Pod, or EndpointSlice, has the endpoint any more
  kNoDraining,      // SCTP, or a scheduler that refuses clients while a destination drains
  kPortRemoved,     // the Service has no such port or address any more
  kServiceDeleted,  // or its time to linger has passed
};
// The label of metrics: "drain_timeout".
const char* label_of(CutCause cause);
// For the log, after "3 connections cut: ".
const char* text_of(CutCause cause);

struct Departures {
  std::map<std::pair<ipvs::Owner, CutCause>, std::uint64_t> cut;
  std::map<ipvs::Owner, std::uint64_t> drained;  // ended by themselves
  bool empty() const { return cut.empty() && drained.empty(); }
};

// The virtual servers whose connections must be read while `changes` are carried out: those that lose
// a destination or have one that begins to drain. Ordered.
std::vector<ipvs::ServerKey> servers_to_read(const ipvs::Changes& changes);

class DrainingConnections {
 public:
  // Whether a Service's endpoint still exists, in the cluster.
  using Exists = std::function<bool(const ipvs::Owner&, const ipvs::Endpoint&)>;

  // The draining destinations of these virtual servers were checked. Somebody else deleted those that
  // have no reading.
  Departures checked(std::span<const ipvs::ServerKey> asked,
                     std::span<const ipvs::ServerReading> readings, const ipvs::Desired& desired);
  // Changes were carried out; Outcome::leaving has what was read meanwhile, if it was.
  Departures conclude(const ipvs::Changes& changes, const ipvs::Outcome& outcome,
                      const ipvs::Desired& desired, const Exists& exists);

  struct Draining {
    std::size_t destinations = 0;
    std::size_t connections = 0;
    bool operator==(const Draining&) const = default;
  };
  // By Service, of those that drain now.
  std::map<ipvs::Owner, Draining> by_service(const ipvs::Desired& desired) const;

 private:
  using Counts = std::map<ipvs::Endpoint, std::uint32_t>;

  void forget(const ipvs::ServerKey& key, const ipvs::Endpoint& endpoint);
  std::uint32_t last_count(const ipvs::ServerKey& key, const ipvs::Endpoint& endpoint) const;
  void note(const ipvs::ServerReading& reading, const ipvs::Desired& desired, Departures& result);

  std::map<ipvs::ServerKey, Counts> counts_;  // of each draining destination, when last read
};

}  // namespace agent
