// SPDX-License-Identifier: Apache-2.0
//
// The number of IPv4 virtual servers of this network namespace: num_services of IP_VS_SO_GET_INFO
// (ip_vs_ctl.c, do_ip_vs_get_ctl()), of constant cost. The kernel keeps no number for IPv6.
// Needs CAP_NET_ADMIN.
#pragma once

#include <cstddef>

#include "ipvs/state/kernel_error.hpp"

namespace ipvs {

class ServerCounter {
 public:
  ServerCounter() = default;
  ~ServerCounter();
  ServerCounter(const ServerCounter&) = delete;
  ServerCounter& operator=(const ServerCounter&) = delete;

  // In the network namespace in which it was first called.
  Result<std::size_t> count();

 private:
  int socket_ = -1;  // kept: to make one costs more than the question
};

}  // namespace ipvs
