// SPDX-License-Identifier: Apache-2.0
//
// Changes and reads the virtual servers of IPVS through its generic netlink family. All access to
// IPVS is here, except the sysctls (ipvs/host/sysctl.hpp). Needs CAP_NET_ADMIN.
//
// Threading: not thread-safe; calls block.
//
// Errors: change_servers() returns one errno per op (see ipvs/state/kernel.hpp); calls that read
// stop at the first error.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/virtual_servers/codec.hpp"
#include "ipvs/virtual_servers/ipv4_table.hpp"

namespace ipvs {

// All virtual servers with their destinations but without counters.
struct Configuration {
  std::vector<Server> servers;
  std::set<ServerKey> not_masqueraded;  // with a destination of another forwarding method
};

// From /proc/net/ip_vs alone, which everybody may read: without scheduler flags, and without those
// that have a firewall mark. ENOENT: the module is not loaded. Linux 6.1 leaves some out if other
// network namespaces have virtual servers too and the text is longer than a page: each further read
// begins at a number that counts all namespaces' (ip_vs_info_seq_next()), and is taken for one of
// this namespace's (ip_vs_info_array()).
Result<Configuration> read_proc_configuration();

class IpvsClient {
 public:
  // Loads the module ip_vs, if the kernel's modprobe finds it; otherwise the error says how to.
  static Result<IpvsClient> open();

  std::vector<int> change_servers(std::span<const ServerOp> ops);

  // All virtual servers of the network namespace, each once, without destinations.
  Result<std::vector<ServerReading>> dump_services();
  // Ordered by endpoint; empty also if there is no such virtual server.
  Result<std::vector<DestinationReading>> dump_destinations(const ServerKey& key);
  Result<std::optional<ServerReading>> read_server(const ServerKey& key);
  // Those of `keys` that exist, in the order of `keys`, with destinations and counters.
  Result<std::vector<ServerReading>> read_servers(std::span<const ServerKey> keys);
  // The same without destinations.
  Result<std::vector<ServerReading>> read_counters(std::span<const ServerKey> keys);
  // The destinations only and without counters, for each of `keys`, whether it exists or not. Those of
  // IPv4 in one call, without the dump in parts that read_servers() needs.
  Result<std::vector<ServerReading>> read_destinations(std::span<const ServerKey> keys);
  Result<Configuration> read_configuration();
  // All virtual servers of IPv4, in the order of the kernel's table; with those of IPv6 at the price
  // of a dump.
  Result<std::vector<ServerKey>> table_order(bool with_ipv6);
  // Whether an IPv4 virtual server does. False also where that cannot be read.
  bool uses_scheduler(const std::string& scheduler);
  // Of constant cost; the kernel keeps no number for IPv6.
  Result<std::size_t> count_ipv4_servers();

  Result<IpvsInfo> info();
  // In seconds; those that are 0 keep their value.
  Result<void> set_timeouts(const Timeouts& timeouts);
  Result<Timeouts> timeouts();

 private:
  Result<std::vector<ServerReading>> dump_services_once();
  std::unordered_map<ServerKey, std::size_t> count_destinations();
  bool add_from_ipv4_table(VirtualServer& settings, std::size_t count,
                           Configuration& configuration);
  std::optional<std::vector<DestinationReading>> from_ipv4_table(
      const ServerKey& key, std::optional<std::size_t> count = std::nullopt);
  // Adds the destinations of each.
  Result<std::vector<ServerReading>> with_destinations(std::vector<ServerReading> readings);
  IpvsClient(NetlinkSocket socket, std::uint16_t family);

  NetlinkSocket socket_;
  std::uint16_t family_;
  Ipv4Table ipv4_table_;
  MessageBatch batch_;  // kept for its memory
};

}  // namespace ipvs
