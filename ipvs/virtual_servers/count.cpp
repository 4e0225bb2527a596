// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/count.hpp"

#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace ipvs {

ServerCounter::~ServerCounter() {
  if (socket_ >= 0) ::close(socket_);
}

Result<std::size_t> ServerCounter::count() {
  const auto failed = [](int error) {
    return KernelError{error, "counting the virtual servers (IP_VS_SO_GET_INFO)"};
  };
  if (socket_ < 0) socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return failed(errno);
  ip_vs_getinfo info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(socket_, IPPROTO_IP, IP_VS_SO_GET_INFO, &info, &size) != 0) return failed(errno);
  return {boost::system::in_place_value, info.num_services};
}

}  // namespace ipvs
