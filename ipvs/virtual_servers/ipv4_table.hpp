// SPDX-License-Identifier: Apache-2.0
//
// The IPv4 virtual servers of this network namespace, as the older of the kernel's two interfaces
// gives them (getsockopt; ip_vs_ctl.c, do_ip_vs_get_ctl()): all of them in one call.
//
// Netlink and /proc/net/ip_vs give them in parts, and the kernel walks through its table from the
// beginning to each part: for 44,125 virtual servers a dump in parts of 8 KiB took 13 s in the test
// kernel. The same is true of the destinations of one virtual server. The older interface knows no
// IPv6, and counters of 32 bits only.
//
// Needs CAP_NET_ADMIN. Threading: not thread-safe; calls block.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ipvs/state/kernel_error.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

class Ipv4Table {
 public:
  struct Entry {
    ServerKey key;
    std::string scheduler;
    std::size_t destinations = 0;  // how many, of both families: a tunnel may lead to IPv6
  };

  Ipv4Table() = default;
  ~Ipv4Table();
  Ipv4Table(const Ipv4Table&) = delete;
  Ipv4Table& operator=(const Ipv4Table&) = delete;
  Ipv4Table(Ipv4Table&& other) noexcept;
  Ipv4Table& operator=(Ipv4Table&& other) noexcept;

  // Of constant cost. All calls are about the network namespace in which the first one was made.
  Result<std::size_t> count();
  // In the order of the kernel's table, which is that of a dump and of a flush.
  Result<std::vector<Entry>> servers();
  // Neither of the next two knows a firewall mark. ESRCH: there is no such virtual server.
  // How many destinations it has, of both families; of constant cost.
  Result<std::size_t> count_destinations(const ServerKey& key);
  // Its IPv4 destinations, ordered by endpoint and without counters. `count`: how many are expected;
  // if there are many more, they are read again.
  Result<std::vector<DestinationReading>> destinations(const ServerKey& key, std::size_t count);

 private:
  int open();  // an errno

  int socket_ = -1;  // kept: to make one costs more than a question
};

}  // namespace ipvs
