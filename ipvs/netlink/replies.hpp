// SPDX-License-Identifier: Apache-2.0
//
// What the kernel's datagrams say about requests in flight. Pure; the socket
// (ipvs/netlink/socket.cpp) feeds in what it receives.
//
// A request without NLM_F_ACK is answered only if it fails; the acknowledgement of a later one
// therefore says that all those before it have been dealt with (netlink_rcv_skb() works through a
// send in order). Replies to requests of other times are recognised by their sequence numbers and
// passed over.
//
// Layout of the payloads read here (include/uapi/linux/netlink.h):
//   NLMSG_ERROR  s32 error (0 or -errno)  nlmsghdr of the request  [its payload, without
//   NLM_F_CAPPED]
//                [attributes NLMSGERR_ATTR_*, with NLM_F_ACK_TLVS]
//   NLMSG_DONE   s32 error (0 or -errno)  [attributes, with NLM_F_ACK_TLVS]
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ipvs/netlink/message.hpp"

namespace ipvs {

// A message from the kernel, valid during the callback.
struct NetlinkMessage {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t port = 0;  // of a multicast message: who caused it
  Bytes payload;           // after nlmsghdr: family header and attributes
};

// Walks the messages of a datagram; ends at the first length that cannot be.
class MessageReader {
 public:
  explicit MessageReader(Bytes datagram) : rest_(datagram) {}
  std::optional<NetlinkMessage> next();

 private:
  Bytes rest_;
};

// What NLMSG_ERROR and NLMSG_DONE report: a positive errno or 0, and the kernel's own words.
struct Verdict {
  int error_number = 0;
  std::string extended;
};
Verdict read_verdict(const NetlinkMessage& message);

// Collects the outcomes of the `count` requests of one send; request i has sequence first_sequence
// + i, and the one at `acknowledged` carries NLM_F_ACK.
class OutcomeCollector {
 public:
  using OnReply = std::function<void(std::size_t index, const NetlinkMessage&)>;
  // kWholeSend: an nf_tables transaction, whose failure as a whole is reported on its first
  // message, with no acknowledgement to follow.
  enum class Scope : std::uint8_t { kEachMessage, kWholeSend };

  OutcomeCollector(std::uint32_t first_sequence, std::size_t count, std::size_t acknowledged,
                   Scope scope = Scope::kEachMessage);

  void feed(Bytes datagram, const OnReply& on_reply);
  // A reply was lost: requests that have no outcome of their own stay unknown.
  void lose() { lost_ = true; }
  bool complete() const;

  std::uint32_t sequence(std::size_t index) const {
    return first_sequence_ + static_cast<std::uint32_t>(index);
  }
  std::size_t size() const { return outcomes_.size(); }
  // errno, 0, or kUnknownOutcome; meaningful once complete or lost.
  int outcome(std::size_t index) const;
  // The first of all errors; without one kUnknownOutcome if anything was lost, else 0.
  int first_error() const;
  // The request that first_error() is of; size() if it is of none.
  std::size_t first_refused() const;
  const std::string& extended() const { return extended_; }  // of the last error

 private:
  std::uint32_t first_sequence_;
  std::size_t acknowledged_;
  Scope scope_;
  std::vector<std::optional<int>> outcomes_;
  std::string extended_;
  bool lost_ = false;
};

// Collects one dump.
class DumpCollector {
 public:
  using OnMessage = std::function<void(const NetlinkMessage&)>;

  explicit DumpCollector(std::uint32_t sequence) : sequence_(sequence) {}

  void feed(Bytes datagram, const OnMessage& on_message);
  std::uint32_t sequence() const { return sequence_; }
  bool finished() const { return verdict_.has_value(); }
  bool interrupted() const { return interrupted_; }     // NLM_F_DUMP_INTR was seen
  const Verdict& verdict() const { return *verdict_; }  // requires finished()

 private:
  std::uint32_t sequence_;
  bool interrupted_ = false;
  std::optional<Verdict> verdict_;
};

}  // namespace ipvs
