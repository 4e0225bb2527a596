// SPDX-License-Identifier: Apache-2.0
//
// One netlink socket: requests in batches, dumps, and multicast events.
//
// libnl owns the socket; we send and receive ourselves, for three reasons
// (ipvs/netlink/adr-netlink.md): many messages are sent at once with one acknowledgement, replies
// are matched by sequence number and not by order, and errno is the kernel's (libnl merges ENOENT
// with ESRCH, and ENOBUFS with ENOMEM).
//
// Threading: not thread-safe. Calls block; each receive waits 10 s at most.
//
// Errors: positive errno values, 0 for success, kUnknownOutcome for a request with a lost reply.
// After a time-out or a broken dump the socket is replaced by a new one, so that late replies
// cannot be mistaken for those to later requests.
#pragma once

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

  // Bytes of the receive buffer. The kernel makes each datagram of a dump as large as the largest
  // buffer that it was given so far, up to 32 KiB, and clears that memory every time, however
  // little it has to send (netlink_dump(), af_netlink.c).
  static constexpr std::size_t kReceiveMuch = std::size_t{64} * 1024;
  // The smallest safe size: NLMSG_GOODSIZE with pages of 8 KiB or more. For sockets with many small
  // dumps.
  static constexpr std::size_t kReceiveLittle = 7872;

  // `protocol` is NETLINK_GENERIC, NETLINK_ROUTE or NETLINK_NETFILTER; `groups` are the numbers of
  // multicast groups to join. The kernel chooses the port. The socket's buffers are 8 MiB if we
  // have the privilege for that (a limit, not an allocation).
  static Result<NetlinkSocket> open(int protocol, std::vector<unsigned> groups = {},
                                    std::size_t receive_bytes = kReceiveMuch);
  NetlinkSocket(NetlinkSocket&&) noexcept;
  NetlinkSocket& operator=(NetlinkSocket&&) noexcept;
  ~NetlinkSocket();

  // Sends all messages in as few sends as possible and waits for their outcomes: one per message,
  // in order. A refused message does not stop those after it. `on_reply` receives the messages that
  // answer requests such as GET, with the index of the request.
  std::vector<int> transact(MessageBatch& batch, const OnReply& on_reply = {});

  // Sends everything at once, for subsystems that commit a send as a whole (nf_tables: the batch
  // contains NFNL_MSG_BATCH_BEGIN ... NFNL_MSG_BATCH_END). The result is the first error in the
  // order of the messages, or 0 if all was done. `refused` becomes the index of the message with
  // that error; the size() of the batch if the error is not about a message.
  int transact_atomically(MessageBatch& batch, std::size_t* refused = nullptr);

  // Sends the one message of `request` as a dump. If the data changed while it was read
  // (NLM_F_DUMP_INTR) or a reply was lost, the dump starts again: `on_restart` must discard what
  // was collected so far. EINTR after ten attempts.
  Result<void> dump(MessageBatch& request, const std::function<void()>& on_restart,
                    const OnMessage& on_message);

  // Reads all waiting multicast messages, without blocking. False if some were lost (ENOBUFS).
  bool read_events(const OnMessage& on_message);
  // The same of `most` datagrams; `more`: there may be others.
  bool read_some_events(std::size_t most, bool& more, const OnMessage& on_message);

  int fd() const;
  // The port of this socket, which multicast messages name as their cause; 0 while not connected.
  std::uint32_t port() const;
  // The kernel's message about the last error (NLMSGERR_ATTR_MSG); empty if there was none.
  const std::string& extended() const;

  // The number of a generic netlink family (genl_ctrl_resolve). ENOENT: the kernel has no such
  // family.
  Result<std::uint16_t> resolve_family(const std::string& name);

 private:
  struct State;
  explicit NetlinkSocket(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ipvs
