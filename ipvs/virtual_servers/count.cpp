// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/count.hpp"

#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace ipvs {

Result<std::size_t> count_ipv4_servers() {
  const auto failed = [](int error) {
    return KernelError{error, "counting the virtual servers (IP_VS_SO_GET_INFO)"};
  };
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(errno);
  ip_vs_getinfo info{};
  socklen_t size = sizeof(info);
  const int result = ::getsockopt(fd, IPPROTO_IP, IP_VS_SO_GET_INFO, &info, &size);
  const int error = result == 0 ? 0 : errno;
  ::close(fd);
  if (error != 0) return failed(error);
  return {boost::system::in_place_value, info.num_services};
}

}  // namespace ipvs
