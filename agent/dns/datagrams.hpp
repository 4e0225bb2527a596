// SPDX-License-Identifier: Apache-2.0
//
// A UDP socket that takes and sends many datagrams with one system call each, and answers from the
// address that the client has written to, also where it is bound to all addresses of the host.
//
// Threading: none of its own.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/dns/wire.hpp"

namespace agent::dns {

// Where a datagram came from, and to which address: what an answer needs.
struct Peer {
  sockaddr_storage address{};
  socklen_t address_size = 0;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  std::size_t control_size = 0;

  boost::asio::ip::address client() const;
};

class Datagrams {
 public:
  // At most so many are in hand at once: the loop has other work.
  static constexpr std::size_t kBatch = 32;

  explicit Datagrams(const boost::asio::any_io_executor& executor);
  ~Datagrams();

  // Also to an address that this host does not have yet.
  boost::system::error_code open(const boost::asio::ip::udp::endpoint& bind);
  boost::asio::ip::udp::socket& socket() { return socket_; }

  // Of those that wait, the next; 0: none does, or an error, which is over then.
  std::size_t receive();
  Bytes message(std::size_t index) const;
  const Peer& peer(std::size_t index) const;
  // The answer to a message of the batch; empty: there is none.
  std::string& answer(std::size_t index) { return answers_[index]; }
  // Sends the answers to the batch, and empties them. What the kernel has no place for is lost: the
  // client asks again.
  void send_answers(std::size_t count);
  void send(const Peer& peer, const std::string& answer);

 private:
  struct Buffers;
  boost::asio::ip::udp::socket socket_;
  std::unique_ptr<Buffers> buffers_;
  std::array<std::string, kBatch> answers_;
};

}  // namespace agent::dns
