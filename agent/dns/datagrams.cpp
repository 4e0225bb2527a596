// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/datagrams.hpp"

#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace agent::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using error_code = boost::system::error_code;

template <int kLevel, int kName>
using Switch = asio::detail::socket_option::boolean<kLevel, kName>;

// From here the source address follows, and not the interface, which may be another on the way back.
void forget_interface(msghdr& header) {
  for (cmsghdr* each = CMSG_FIRSTHDR(&header); each; each = CMSG_NXTHDR(&header, each)) {
    if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(each), sizeof(info));
      info.ipi_ifindex = 0;
      std::memcpy(CMSG_DATA(each), &info, sizeof(info));
    }
    if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(each), sizeof(info));
      if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
      std::memcpy(CMSG_DATA(each), &info, sizeof(info));
    }
  }
}

}  // namespace

asio::ip::address Peer::client() const {
  if (address.ss_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof(four));
    return asio::ip::address_v4(ntohl(four.sin_addr.s_addr));
  }
  sockaddr_in6 six{};
  std::memcpy(&six, &address, sizeof(six));
  asio::ip::address_v6::bytes_type bytes{};
  std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
  return asio::ip::address_v6(bytes);
}

struct Datagrams::Buffers {
  std::array<std::array<std::uint8_t, kLongestQuery>, kBatch> bytes;
  std::array<Peer, kBatch> peers;
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> headers{};
  std::array<bool, kBatch> is_cut{};  // longer than any query
};

Datagrams::Datagrams(const asio::any_io_executor& executor)
    : socket_(executor), buffers_(std::make_unique<Buffers>()) {}

Datagrams::~Datagrams() = default;

error_code Datagrams::open(const udp::endpoint& bind) {
  error_code error;
  const auto step = [&error](auto&& function) {
    if (!error) function();
  };
  const bool is_v6 = bind.address().is_v6();
  step([&] { socket_.open(bind.protocol(), error); });
  step([&] { socket_.non_blocking(true, error); });
  step([&] { socket_.native_non_blocking(true, error); });
  if (is_v6) {
    step([&] { socket_.set_option(asio::ip::v6_only(true), error); });
    step([&] { socket_.set_option(Switch<IPPROTO_IPV6, IPV6_RECVPKTINFO>(true), error); });
    step([&] { socket_.set_option(Switch<IPPROTO_IPV6, IPV6_FREEBIND>(true), error); });
  } else {
    step([&] { socket_.set_option(Switch<IPPROTO_IP, IP_PKTINFO>(true), error); });
    step([&] { socket_.set_option(Switch<IPPROTO_IP, IP_FREEBIND>(true), error); });
  }
  step([&] { socket_.bind(bind, error); });
  if (error) {
    error_code ignored;
    socket_.close(ignored);
  }
  return error;
}

std::size_t Datagrams::receive() {
  Buffers& b = *buffers_;
  for (std::size_t i = 0; i < kBatch; ++i) {
    b.vectors[i] = {.iov_base = b.bytes[i].data(), .iov_len = b.bytes[i].size()};
    b.headers[i].msg_hdr = {.msg_name = &b.peers[i].address,
                            .msg_namelen = sizeof(b.peers[i].address),
                            .msg_iov = &b.vectors[i],
                            .msg_iovlen = 1,
                            .msg_control = b.peers[i].control.data(),
                            .msg_controllen = b.peers[i].control.size(),
                            .msg_flags = 0};
  }
  const int count =
      ::recvmmsg(socket_.native_handle(), b.headers.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (count <= 0) return 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    msghdr& header = b.headers[i].msg_hdr;
    forget_interface(header);
    b.peers[i].address_size = header.msg_namelen;
    b.peers[i].control_size = header.msg_controllen;
    b.is_cut[i] = (header.msg_flags & MSG_TRUNC) != 0;
  }
  return static_cast<std::size_t>(count);
}

// One that was cut is read as its header alone.
Bytes Datagrams::message(std::size_t index) const {
  const std::size_t size = buffers_->is_cut[index] ? kHeaderSize : buffers_->headers[index].msg_len;
  return Bytes(buffers_->bytes[index]).first(size);
}

const Peer& Datagrams::peer(std::size_t index) const { return buffers_->peers[index]; }

void Datagrams::send_answers(std::size_t count) {
  Buffers& b = *buffers_;
  std::size_t used = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::string& answer = answers_[i];
    if (answer.empty()) continue;
    b.vectors[used] = {.iov_base = answer.data(), .iov_len = answer.size()};
    b.headers[used].msg_hdr = {.msg_name = &b.peers[i].address,
                               .msg_namelen = b.peers[i].address_size,
                               .msg_iov = &b.vectors[used],
                               .msg_iovlen = 1,
                               .msg_control = b.peers[i].control.data(),
                               .msg_controllen = b.peers[i].control_size,
                               .msg_flags = 0};
    ++used;
  }
  for (std::size_t first = 0; first < used;) {
    const int sent = ::sendmmsg(socket_.native_handle(), &b.headers[first],
                                static_cast<unsigned>(used - first), MSG_DONTWAIT);
    // A client that cannot be reached must not cost the others their answers.
    first += sent > 0 ? static_cast<std::size_t>(sent) : 1;
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) break;
  }
  for (std::size_t i = 0; i < count; ++i) answers_[i].clear();
}

void Datagrams::send(const Peer& peer, const std::string& answer) {
  Peer to = peer;
  std::string bytes = answer;
  iovec vector{.iov_base = bytes.data(), .iov_len = bytes.size()};
  const msghdr header{.msg_name = &to.address,
                      .msg_namelen = to.address_size,
                      .msg_iov = &vector,
                      .msg_iovlen = 1,
                      .msg_control = to.control.data(),
                      .msg_controllen = to.control_size,
                      .msg_flags = 0};
  (void)::sendmsg(socket_.native_handle(), &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace agent::dns
