// SPDX-License-Identifier: Apache-2.0
//
// Reports the connections of some virtual servers as they begin and end: the events of connection
// tracking.
//
// Threading: as KernelMonitor's (ipvs/state/kernel_monitor.hpp): wait until fd() is readable, then call
// drain(). set_servers() changes nftables and may take some milliseconds; check() and read() are short.
//
// Errors: events that the kernel could not deliver are reported as lost, without their number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ipvs/state/kernel_error.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

// What identifies a connection: its first packet, as the client sent it.
struct FlowKey {
  Protocol protocol = Protocol::kTcp;
  Endpoint client{};
  Endpoint entrance{};  // the virtual server's address and port, or a node's with a node port
  bool operator==(const FlowKey&) const = default;
};

// Both directions together with their IP headers, as conntrack counts them.
struct FlowBytes {
  std::uint64_t in = 0;   // from the client
  std::uint64_t out = 0;  // to the client
  bool operator==(const FlowBytes&) const = default;
};

struct FlowEvent {
  // kClosed: both sides of a TCP connection have said that it is over, or one has reset it; conntrack
  // keeps the entry for some time after that. kDeleted: the entry is deleted.
  enum class Kind : std::uint8_t { kNew, kClosed, kDeleted };
  Kind kind = Kind::kNew;
  FlowKey key{};
  Endpoint endpoint{};    // where replies come from: what IPVS chose; `key.entrance` if nothing did
  bool is_reset = false;  // of kClosed
  bool was_closed = false;           // of kDeleted: there was, or would have been, a kClosed before
  std::optional<FlowBytes> bytes{};  // of kDeleted, if the kernel counts them
  std::optional<double> seconds{};   // of kDeleted, if the kernel records times
  std::optional<std::uint16_t> zone{};  // of conntrack
  bool operator==(const FlowEvent&) const = default;
};

// How the kernel's events are limited to these virtual servers.
enum class EventLimit : std::uint8_t {
  kOnlyThese,  // a rule gives events to new connections of these, and to no others
  kFiltered,   // the kernel makes events of all connections, and a filter drops those of others
};

class FlowObserver {
 public:
  struct Facts {
    EventLimit limit = EventLimit::kFiltered;
    std::string why{};         // it is kFiltered; one line
    bool counts_bytes = true;  // net.netfilter.nf_conntrack_acct
  };

  virtual ~FlowObserver() = default;
  virtual int fd() const = 0;
  // From now on the connections of these, in place of those before.
  virtual Result<void> set_servers(std::span<const ServerKey> servers) = 0;
  // False: `kOnlyThese` must not be, because something else wants events of other connections.
  virtual void allow_only_these(bool allowed) = 0;
  // To be called about once a second: notices who else listens.
  virtual void check() = 0;
  virtual Facts facts() const = 0;

  struct Drained {
    bool lost = false;  // some events
    bool more = false;  // are waiting: it was called for as much as one turn may take
  };
  // Reads what is waiting, without blocking.
  virtual Drained drain(const std::function<void(const FlowEvent&)>& on_event) = 0;
  // The bytes of a connection that conntrack still has.
  virtual std::optional<FlowBytes> read_bytes(const FlowEvent& event) = 0;
};

}  // namespace ipvs
