// SPDX-License-Identifier: Apache-2.0
#include "ipvs/netlink/socket.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <limits>
#include <utility>

namespace ipvs {
namespace {

constexpr int kBufferBytes = 8 * 1024 * 1024;
constexpr std::size_t kSendBytes = std::size_t{64} * 1024;
// What one waiting reply takes of SO_RCVBUF (skb->truesize), rounded up: an error without more, and
// a message for which the kernel allocates NLMSG_GOODSIZE.
constexpr std::size_t kErrorCost = 2048;
constexpr std::size_t kMessageCost = 8192;
constexpr int kDumpAttempts = 10;
constexpr std::chrono::milliseconds kTimeLimit{10'000};  // of waiting for one datagram

// Sets a buffer size, beyond net.core.[rw]mem_max if we have CAP_NET_ADMIN, else up to that limit.
void set_buffer(int fd, int force_option, int option, int bytes) {
  if (::setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof(bytes)) != 0) {
    ::setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes));
  }
}

void enable(int fd, int option) {
  const int on = 1;
  // Errors are ignored: old kernels lack these options, and we can do without them.
  ::setsockopt(fd, SOL_NETLINK, option, &on, sizeof(on));
}

int errno_of_libnl(int error) {
  switch (-error) {
    case NLE_OBJ_NOTFOUND:
      return ENOENT;
    case NLE_PERM:
      return EPERM;
    case NLE_NOMEM:
      return ENOMEM;
    default:
      return EIO;
  }
}

struct FreeSocket {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};

enum class Received { kData, kNothing, kLost, kFailed };

}  // namespace

struct NetlinkSocket::State {
  int protocol;
  std::vector<unsigned> groups;
  std::size_t receive_bytes;
  std::unique_ptr<nl_sock, FreeSocket> socket;
  int fd = -1;
  std::uint32_t next_sequence = 1;  // 0 is what multicast messages carry
  std::size_t receive_limit = 0;    // SO_RCVBUF
  std::vector<std::byte> buffer;
  Bytes received;
  std::string extended;

  int connect();
  void close();
  int send(const std::byte* data, std::size_t size);
  Received receive(std::chrono::milliseconds limit);
  void drain(OutcomeCollector& collector, const OnReply& on_reply);
  int exchange(MessageBatch& batch, std::size_t first, OutcomeCollector& collector,
               const OnReply& on_reply);
  std::size_t end_of_send(const MessageBatch& batch, std::size_t first,
                          std::size_t reply_cost) const;
  int dump_once(MessageBatch& request, const OnMessage& on_message, bool& interrupted);
  std::uint32_t take_sequences(std::size_t count);
};

int NetlinkSocket::State::connect() {
  socket.reset(nl_socket_alloc());
  if (!socket) return ENOMEM;
  // Not nl_connect(): it derives the port from the process id, and in the host's network namespace
  // those collide, because every Pod with host network numbers its processes from 1. It also
  // shrinks the buffers to 32 KiB.
  const int opened = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (opened < 0) return errno;
  sockaddr_nl any{};
  any.nl_family = AF_NETLINK;
  if (::bind(opened, reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0 ||
      nl_socket_set_fd(socket.get(), protocol, opened) != 0) {
    const int error = errno;
    ::close(opened);
    return error != 0 ? error : EIO;
  }
  fd = opened;
  // libnl's own reads, in resolve_family(), count for kReceiveMuch's rule, too.
  nl_socket_set_msg_buf_size(socket.get(), receive_bytes);
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, kBufferBytes);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, kBufferBytes);
  enable(fd, NETLINK_CAP_ACK);
  enable(fd, NETLINK_EXT_ACK);
  if (protocol == NETLINK_ROUTE) enable(fd, NETLINK_GET_STRICT_CHK);
  int granted = 0;
  socklen_t length = sizeof(granted);
  ::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length);
  receive_limit = static_cast<std::size_t>(granted);
  for (const unsigned group : groups) {
    if (nl_socket_add_membership(socket.get(), static_cast<int>(group)) != 0) return EIO;
  }
  return 0;
}

// Abandons what is in progress on this socket; the next send opens another.
void NetlinkSocket::State::close() {
  socket.reset();
  fd = -1;
}

// The first of `count` consecutive sequence numbers, none of them 0.
std::uint32_t NetlinkSocket::State::take_sequences(std::size_t count) {
  const auto wanted = static_cast<std::uint32_t>(count);
  if (next_sequence + wanted < next_sequence) next_sequence = 1;
  const std::uint32_t first = next_sequence;
  next_sequence += wanted;
  return first;
}

int NetlinkSocket::State::send(const std::byte* data, std::size_t size) {
  if (!socket) {
    if (const int error = connect()) return error;
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  bool enlarged = false;
  while (true) {
    const auto sent =
        ::sendto(fd, data, size, 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel));
    if (sent >= 0) return 0;
    if (errno == EINTR) continue;
    // A send cannot be larger than SO_SNDBUF; only transactions can exceed it.
    if (errno != EMSGSIZE || enlarged) return errno;
    enlarged = true;
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF,
               static_cast<int>(std::min(size + 4096, std::size_t{1} << 30)));
  }
}

// Waits for one datagram, at most for `limit`, and puts it into `received`. After kFailed, errno
// says why.
Received NetlinkSocket::State::receive(std::chrono::milliseconds limit) {
  if (buffer.empty()) buffer.resize(receive_bytes);
  while (true) {
    sockaddr_nl sender{};
    iovec part{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_name = &sender;
    header.msg_namelen = sizeof(sender);
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    const auto size = ::recvmsg(fd, &header, MSG_DONTWAIT);
    if (size >= 0) {
      if (sender.nl_pid != 0) continue;  // not from the kernel: any process may send to our port
      if ((header.msg_flags & MSG_TRUNC) != 0) return Received::kLost;
      received = Bytes(buffer.data(), static_cast<std::size_t>(size));
      return Received::kData;
    }
    if (errno == EINTR) continue;
    if (errno == ENOBUFS) return Received::kLost;
    if (errno != EAGAIN) return Received::kFailed;
    if (limit == std::chrono::milliseconds::zero()) return Received::kNothing;
    pollfd wait{fd, POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(limit.count()));
    if (ready == 0) return Received::kNothing;
    if (ready < 0 && errno != EINTR) return Received::kFailed;
  }
}

// To be called when replies were lost. The kernel answers requests during the send, so all other
// replies have arrived already: this reads them without waiting.
void NetlinkSocket::State::drain(OutcomeCollector& collector, const OnReply& on_reply) {
  collector.lose();
  while (true) {
    const Received got = receive(std::chrono::milliseconds::zero());
    if (got == Received::kData) collector.feed(received, on_reply);
    if (got == Received::kNothing || got == Received::kFailed) return;
  }
}

// Sends the messages [first, first + collector.size()) at once and waits for their outcomes. The
// result is an errno if the send itself failed and none of them reached the kernel, else 0.
int NetlinkSocket::State::exchange(MessageBatch& batch, std::size_t first,
                                   OutcomeCollector& collector, const OnReply& on_reply) {
  const std::size_t start = batch.offset(first);
  const std::size_t end = batch.offset(first + collector.size());
  if (const int error = send(batch.data() + start, end - start)) return error;
  while (!collector.complete()) {
    const Received got = receive(kTimeLimit);
    if (got == Received::kData) {
      collector.feed(received, on_reply);
    } else if (got == Received::kLost) {
      drain(collector, on_reply);
      return 0;
    } else {
      collector.lose();
      close();
      return 0;
    }
  }
  return 0;
}

// One attempt at a dump: errno, 0, or kUnknownOutcome if a reply was lost.
int NetlinkSocket::State::dump_once(MessageBatch& request, const OnMessage& on_message,
                                    bool& interrupted) {
  DumpCollector collector(take_sequences(1));
  request.seal(0, collector.sequence(), NLM_F_DUMP);
  if (const int error = send(request.data(), request.byte_size())) return error;
  while (!collector.finished()) {
    const Received got = receive(kTimeLimit);
    if (got != Received::kData) {
      // The next request must not receive the rest of this dump, and the kernel runs one dump at a
      // time per socket.
      close();
      return got == Received::kFailed ? EIO : kUnknownOutcome;
    }
    collector.feed(received, on_message);
  }
  interrupted = collector.interrupted();
  extended = collector.verdict().extended;
  return collector.verdict().error_number;
}

// The end of the run of messages that is sent together, starting at `first`: as many as fit into
// one send, and as have replies that fit into the receive buffer.
std::size_t NetlinkSocket::State::end_of_send(const MessageBatch& batch, std::size_t first,
                                              std::size_t reply_cost) const {
  const std::size_t most = std::max(receive_limit / reply_cost, std::size_t{1});
  std::size_t end = first + 1;
  while (end < batch.size() && end - first < most &&
         batch.offset(end + 1) - batch.offset(first) <= kSendBytes) {
    ++end;
  }
  return end;
}

NetlinkSocket::NetlinkSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}
NetlinkSocket::NetlinkSocket(NetlinkSocket&&) noexcept = default;
NetlinkSocket& NetlinkSocket::operator=(NetlinkSocket&&) noexcept = default;
NetlinkSocket::~NetlinkSocket() = default;

Result<NetlinkSocket> NetlinkSocket::open(int protocol, std::vector<unsigned> groups,
                                          std::size_t receive_bytes) {
  auto state = std::make_unique<State>();
  state->protocol = protocol;
  state->groups = std::move(groups);
  state->receive_bytes = receive_bytes;
  if (const int error = state->connect()) {
    return KernelError{error,
                       "opening a netlink socket (protocol " + std::to_string(protocol) + ")"};
  }
  return NetlinkSocket(std::move(state));
}

std::vector<int> NetlinkSocket::transact(MessageBatch& batch, const OnReply& on_reply) {
  std::vector<int> outcomes;
  outcomes.reserve(batch.size());
  state_->extended.clear();
  while (outcomes.size() < batch.size()) {
    const std::size_t first = outcomes.size();
    const std::size_t end = state_->end_of_send(batch, first, on_reply ? kMessageCost : kErrorCost);
    const std::size_t count = end - first;
    OutcomeCollector collector(state_->take_sequences(count), count, count - 1);
    for (std::size_t i = 0; i < count; ++i) {
      batch.seal(first + i, collector.sequence(i), i + 1 == count ? NLM_F_ACK : 0);
    }
    OnReply shifted;
    if (on_reply) {
      shifted = [&](std::size_t index, const NetlinkMessage& message) {
        on_reply(first + index, message);
      };
    }
    const int error = state_->exchange(batch, first, collector, shifted);
    for (std::size_t i = 0; i < count; ++i) {
      outcomes.push_back(error != 0 ? error : collector.outcome(i));
    }
    if (!collector.extended().empty()) state_->extended = collector.extended();
  }
  return outcomes;
}

int NetlinkSocket::transact_atomically(MessageBatch& batch, std::size_t* refused) {
  if (refused) *refused = batch.size();
  if (batch.empty()) return 0;
  // Only Linux 6.10 and later acknowledge the end of an nf_tables batch; every kernel acknowledges
  // the message before it.
  std::size_t acknowledged = batch.size() - 1;
  if (acknowledged > 0 && batch.message_type(acknowledged) == NFNL_MSG_BATCH_END) --acknowledged;
  OutcomeCollector collector(state_->take_sequences(batch.size()), batch.size(), acknowledged,
                             OutcomeCollector::Scope::kWholeSend);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    batch.seal(i, collector.sequence(i), i == acknowledged ? NLM_F_ACK : 0);
  }
  state_->extended.clear();
  if (const int error = state_->exchange(batch, 0, collector, {})) return error;
  state_->extended = collector.extended();
  if (refused) *refused = collector.first_refused();
  return collector.first_error();
}

Result<void> NetlinkSocket::dump(MessageBatch& request, const std::function<void()>& on_restart,
                                 const OnMessage& on_message) {
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    if (attempt > 0) on_restart();
    bool interrupted = false;
    const int error = state_->dump_once(request, on_message, interrupted);
    // A dump changes nothing, so after a lost reply it can simply be repeated.
    if (error == kUnknownOutcome || (error == 0 && interrupted)) continue;
    if (error == 0) return {};
    return KernelError{error, "reading through netlink"};
  }
  return KernelError{EINTR,
                     "reading through netlink: the data kept changing, or replies were lost"};
}

bool NetlinkSocket::read_events(const OnMessage& on_message) {
  bool more = false;
  return read_some_events(std::numeric_limits<std::size_t>::max(), more, on_message);
}

bool NetlinkSocket::read_some_events(std::size_t most, bool& more, const OnMessage& on_message) {
  bool complete = true;
  more = false;
  for (std::size_t read = 0; read < most; ++read) {
    const Received got = state_->receive(std::chrono::milliseconds::zero());
    if (got == Received::kNothing) return complete;
    if (got == Received::kFailed) return false;
    if (got == Received::kLost) {
      complete = false;
      continue;
    }
    MessageReader reader(state_->received);
    while (const auto message = reader.next()) {
      if (message->type >= NLMSG_MIN_TYPE) on_message(*message);
    }
  }
  more = true;
  return complete;
}

int NetlinkSocket::fd() const { return state_->fd; }
std::uint32_t NetlinkSocket::port() const {
  sockaddr_nl address{};
  socklen_t length = sizeof(address);
  if (::getsockname(state_->fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return address.nl_pid;
}
const std::string& NetlinkSocket::extended() const { return state_->extended; }

Result<std::uint16_t> NetlinkSocket::resolve_family(const std::string& name) {
  const int family = genl_ctrl_resolve(state_->socket.get(), name.c_str());
  if (family < 0) {
    return KernelError{errno_of_libnl(family), "looking up the generic netlink family " + name};
  }
  return {boost::system::in_place_value, static_cast<std::uint16_t>(family)};
}

}  // namespace ipvs
