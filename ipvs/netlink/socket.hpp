// SPDX-License-Identifier: Apache-2.0
//
// One netlink socket: requests in batches, dumps, and multicast events.
//
// libnl opens and holds the socket; sending and receiving are ours, for three reasons
// (ipvs/netlink/adr-netlink.md): many messages go out in one send with one acknowledgement, replies are
// matched by sequence number and not by order, and errno arrives as the kernel gave it (libnl folds
// ENOENT and ESRCH, and ENOBUFS and ENOMEM).
//
// Threading: not thread-safe. Calls block, each receive at most for the time limit.
//
// Errors: positive errno values, 0 for done, kUnknownOutcome for a request whose reply was lost.
// After a time-out or a broken dump the socket is opened anew, so that late replies cannot be taken
// for others.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/netlink/replies.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

class NetlinkSocket {
 public:
  using OnMessage = std::function<void(const NetlinkMessage&)>;
  using OnReply = std::function<void(std::size_t index, const NetlinkMessage&)>;

  // What is offered to the kernel for one datagram. It makes those of a dump as large as the
  // largest offer so far, up to 32 KiB, and clears that memory for each, however little there is to
  // say (netlink_dump(), af_netlink.c).
  static constexpr std::size_t kReceiveMuch = 64 * 1024;
  // The least that is safe: NLMSG_GOODSIZE with pages of 8 KiB or more. For sockets with many small
  // dumps.
  static constexpr std::size_t kReceiveLittle = 7872;

  // `protocol` is NETLINK_GENERIC, NETLINK_ROUTE or NETLINK_NETFILTER; `groups` are multicast
  // groups by number. The port is the kernel's choice. Buffers are 8 MiB where we may (a limit, not
  // an allocation).
  static Result<NetlinkSocket> open(int protocol, std::vector<unsigned> groups = {},
                                    std::size_t receive_bytes = kReceiveMuch);
  NetlinkSocket(NetlinkSocket&&) noexcept;
  NetlinkSocket& operator=(NetlinkSocket&&) noexcept;
  ~NetlinkSocket();

  // Sends every message in as few sends as fit, waits for all outcomes: one per message, in order.
  // A refused message does not stop those behind it. `on_reply` gets the messages that requests
  // such as GET are answered with, by the index of the request.
  std::vector<int> transact(MessageBatch& batch, const OnReply& on_reply = {});

  // Everything in one send, for subsystems that commit a send as a whole (nf_tables: the batch
  // holds NFNL_MSG_BATCH_BEGIN ... NFNL_MSG_BATCH_END). The first error, in order of the messages;
  // 0: all of it is done. `refused` becomes the index of the message the error is about, size() of
  // the batch if it is about none.
  int transact_atomically(MessageBatch& batch, std::size_t* refused = nullptr);

  // Sends the one message of `request` as a dump. If what is read changed meanwhile
  // (NLM_F_DUMP_INTR), the dump is begun anew: `on_restart` must forget what was gathered so far.
  // EINTR after ten restarts.
  Result<void> dump(MessageBatch& request, const std::function<void()>& on_restart,
                    const OnMessage& on_message);

  // Reads every multicast message that is waiting, without blocking. False: some were lost
  // (ENOBUFS).
  bool read_events(const OnMessage& on_message);

  int fd() const;
  // Our address on the bus, which multicast messages name as their cause; 0 while not connected.
  std::uint32_t port() const;
  // The kernel's words about the last error (NLMSGERR_ATTR_MSG); empty if it had none.
  const std::string& extended() const;
  void set_time_limit(std::chrono::milliseconds limit);  // default 10 s

  // The number of a generic netlink family (genl_ctrl_resolve). ENOENT: the kernel has no such
  // family.
  Result<std::uint16_t> resolve_family(const std::string& name);

 private:
  struct State;
  explicit NetlinkSocket(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ipvs
