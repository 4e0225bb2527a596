// SPDX-License-Identifier: Apache-2.0
//
// What the kernel's datagrams say about the requests that were sent: the outcome of each request,
// or the messages of a dump. Pure; the socket (ipvs/netlink/socket.cpp) passes in what it receives.
//
// A request without NLM_F_ACK is answered only if it fails. The kernel processes a send in order
// (netlink_rcv_skb()), so the acknowledgement of a later request shows that all those before it
// were processed. Replies to earlier sends are recognised by their sequence numbers and ignored.
//
// Layout of the payloads read here (include/uapi/linux/netlink.h):
//
//   NLMSG_ERROR  s32 error (0 or -errno)
//                nlmsghdr of the request
//                payload of the request          unless NLM_F_CAPPED is set
//                attributes NLMSGERR_ATTR_*      if NLM_F_ACK_TLVS is set
//   NLMSG_DONE   s32 error (0 or -errno)
//                attributes NLMSGERR_ATTR_*      if NLM_F_ACK_TLVS is set
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ipvs/netlink/message.hpp"

namespace ipvs {

// A message from the kernel; valid only during the callback.
struct NetlinkMessage {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t port = 0;  // of a multicast message: the port of the socket that caused it
  Bytes payload;           // what follows nlmsghdr: family header and attributes
};

// Reads the messages of a datagram one by one; ends at the first invalid length.
class MessageReader {
 public:
  explicit MessageReader(Bytes datagram) : rest_(datagram) {}
  std::optional<NetlinkMessage> next();

 private:
  Bytes rest_;
};

// What NLMSG_ERROR and NLMSG_DONE report: a positive errno or 0, and the kernel's message
// (NLMSGERR_ATTR_MSG; empty if there is none).
struct Verdict {
  int error_number = 0;
  std::string extended;
};
Verdict read_verdict(const NetlinkMessage& message);

// Collects the outcomes of the `count` requests of one send. Request i has the sequence number
// first_sequence + i; the one at index `acknowledged` has NLM_F_ACK.
class OutcomeCollector {
 public:
  using OnReply = std::function<void(std::size_t index, const NetlinkMessage&)>;
  // kWholeSend: an nf_tables transaction. If it fails as a whole, the kernel reports that for its
  // first message, and no acknowledgement follows.
  enum class Scope : std::uint8_t { kEachMessage, kWholeSend };

  OutcomeCollector(std::uint32_t first_sequence, std::size_t count, std::size_t acknowledged,
                   Scope scope = Scope::kEachMessage);

  void feed(Bytes datagram, const OnReply& on_reply);
  // To be called if a reply was lost: requests without a reply of their own then have an unknown
  // outcome.
  void lose() { lost_ = true; }
  bool complete() const;

  std::uint32_t sequence(std::size_t index) const {
    return first_sequence_ + static_cast<std::uint32_t>(index);
  }
  std::size_t size() const { return outcomes_.size(); }
  // errno, 0, or kUnknownOutcome; valid once complete() is true or lose() was called.
  int outcome(std::size_t index) const;
  // The first error in the order of the requests; if there is none, kUnknownOutcome if a reply was
  // lost, else 0.
  int first_error() const;
  // The index of the request that has first_error(); size() if none has.
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

// Collects the messages of one dump, until NLMSG_DONE or an error ends it.
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
