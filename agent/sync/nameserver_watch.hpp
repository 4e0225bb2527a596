// SPDX-License-Identifier: Apache-2.0
//
// The nameservers of this node, which Services must not take: those of the resolver's configuration
// and, where systemd-resolved answers on a loopback address, those that it asks. The files are read
// again twice a minute: they are replaced by renaming, or are links, and the kernel reports neither
// of the file that is meant.
//
// Threading: the agent's io_context thread.
// Errors: a file that is missing has no nameservers.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster/cluster_state.hpp"

namespace agent {

// Of a resolv.conf(5): ordered, each once. Left out are loopback addresses, IPv6 link-local ones,
// and what is no address.
std::vector<ipvs::Address> nameservers_of(std::string_view resolv_conf);

class NameserverWatch {
 public:
  struct Options {
    std::vector<std::string> files{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
    std::chrono::milliseconds period{30000};
  };
  NameserverWatch(boost::asio::any_io_executor executor, ClusterState& cluster, Options options);

  void read();
  // Reads again and again until cancelled.
  boost::asio::awaitable<void> run();

 private:
  boost::asio::any_io_executor executor_;
  ClusterState& cluster_;
  const Options options_;
};

}  // namespace agent
