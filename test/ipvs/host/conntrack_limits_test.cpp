// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/conntrack_limits.hpp"

#include <stdlib.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "test/fake/temporary_folder.hpp"

namespace {

using ipvs::ConntrackLimits;
using ipvs::Sysctls;
using Lines = std::vector<std::string>;

// Below /proc/sys, with the values of a Debian 12 that has little memory.
class Host {
 public:
  Host() {
    set("net/netfilter/nf_conntrack_max", "65536");
    set("net/netfilter/nf_conntrack_buckets", "65536");
    set("net/netfilter/nf_conntrack_tcp_timeout_established", "432000");
    set("net/netfilter/nf_conntrack_tcp_timeout_close_wait", "60");
    set("net/netfilter/nf_conntrack_udp_timeout", "30");
    set("net/netfilter/nf_conntrack_udp_timeout_stream", "120");
    set("net/netfilter/nf_conntrack_tcp_be_liberal", "0");
    set("net/ipv4/ip_local_reserved_ports", "");
  }

  std::filesystem::path path(const std::string& key) const { return folder_.path(key); }
  Sysctls sysctls() const { return Sysctls(folder_.path()); }
  void set(const std::string& key, const std::string& value) const {
    folder_.write(key, value + "\n");
  }
  std::string get(const std::string& key) const { return *sysctls().read(key); }

 private:
  fake::TemporaryFolder folder_;
};

// kube-proxy's defaults on a node of 4 CPUs.
const ConntrackLimits kDefaults{.entries_per_cpu = 32768,
                                .least_entries = 131072,
                                .tcp_established = 86400,
                                .tcp_close_wait = 3600};

}  // namespace

TEST_CASE("the number of entries follows the CPUs, with kube-proxy's floor and cap (17.4)") {
  CHECK(ipvs::conntrack_entries(32768, 131072, 1) == 131072);
  CHECK(ipvs::conntrack_entries(32768, 131072, 8) == 262144);
  CHECK(ipvs::conntrack_entries(32768, 131072, 64) == 1048576);
  CHECK(ipvs::conntrack_entries(4294967295u, 0, 1024) == 1048576);
  CHECK(ipvs::conntrack_entries(32768, 2000000, 64) == 2000000);
  CHECK(ipvs::conntrack_entries(1000, 0, 2) == 2000);
  CHECK(ipvs::conntrack_entries(0, 131072, 8) == 0);
  CHECK(ipvs::conntrack_entries(32768, 0, -1) == 32768);
}

TEST_CASE("connection tracking is raised and never lowered (17.4)") {
  const Host host;
  const auto report = ipvs::raise_conntrack(host.sysctls(), kDefaults, 4);
  CHECK(report.changes == Lines{"net/netfilter/nf_conntrack_max: 65536 -> 131072",
                                "net/netfilter/nf_conntrack_tcp_timeout_close_wait: 60 -> 3600"});
  CHECK(report.warnings.empty());
  CHECK(host.get("net/netfilter/nf_conntrack_tcp_timeout_established") == "432000");
  CHECK(host.get("net/netfilter/nf_conntrack_udp_timeout") == "30");
  CHECK(host.get("net/netfilter/nf_conntrack_tcp_be_liberal") == "0");
  CHECK(ipvs::raise_conntrack(host.sysctls(), kDefaults, 4).changes.empty());
}

TEST_CASE("the hash table grows with the entries, and what is asked for is set (17.4)") {
  const Host host;
  host.set("net/netfilter/nf_conntrack_buckets", "16384");
  const auto report = ipvs::raise_conntrack(
      host.sysctls(),
      {.entries_per_cpu = 50000, .udp = 60, .udp_stream = 300, .tcp_be_liberal = true}, 4);
  CHECK(report.changes.size() == 5);
  CHECK(host.get("net/netfilter/nf_conntrack_buckets") == "57344");  // 50,000 in whole pages
  CHECK(host.get("net/netfilter/nf_conntrack_udp_timeout") == "60");
  CHECK(host.get("net/netfilter/nf_conntrack_udp_timeout_stream") == "300");
  CHECK(host.get("net/netfilter/nf_conntrack_tcp_be_liberal") == "1");
}

TEST_CASE("a host without a limit gets none, and 0 leaves everything (17.4)") {
  const Host host;
  host.set("net/netfilter/nf_conntrack_max", "0");
  ipvs::raise_conntrack(host.sysctls(), kDefaults, 4);
  CHECK(host.get("net/netfilter/nf_conntrack_max") == "0");
  const auto report = ipvs::raise_conntrack(host.sysctls(), {}, 4);
  CHECK(report.changes.empty());
  CHECK(report.warnings.empty());
}

TEST_CASE("all that cannot be raised is one warning, and the rest is raised (17.4)") {
  const Host host;
  std::filesystem::remove(host.path("net/netfilter/nf_conntrack_max"));
  host.set("net/netfilter/nf_conntrack_max", "strange");
  std::filesystem::remove(host.path("net/netfilter/nf_conntrack_udp_timeout"));
  const auto report = ipvs::raise_conntrack(
      host.sysctls(),
      {.entries_per_cpu = 32768, .least_entries = 131072, .tcp_close_wait = 3600, .udp = 60}, 4);
  CHECK(report.warnings ==
        Lines{"connection tracking is as the host has it: net/netfilter/nf_conntrack_max is "
              "strange, which is no number, net/netfilter/nf_conntrack_udp_timeout (No such file "
              "or directory); set it on the host"});
  CHECK(report.changes.size() == 1);
}

TEST_CASE("node ports are added to the reserved ports, and what is there is kept (17.4)") {
  const Host host;
  const ipvs::PortRange ports{30000, 32767};
  CHECK(ipvs::reserve_ports(host.sysctls(), ports).changes ==
        Lines{"net/ipv4/ip_local_reserved_ports: \"\" -> \"30000-32767\""});
  CHECK(ipvs::reserve_ports(host.sysctls(), ports).changes.empty());
  std::string many = "1024";  // longer than a line
  for (int port = 1026; port < 3000; port += 2) many += "," + std::to_string(port);
  host.set("net/ipv4/ip_local_reserved_ports", many + ",32768-40000,50000");
  CHECK(ipvs::reserve_ports(host.sysctls(), ports).changes.size() == 1);
  CHECK(host.get("net/ipv4/ip_local_reserved_ports") == many + ",30000-40000,50000");
  std::filesystem::remove(host.path("net/ipv4/ip_local_reserved_ports"));
  CHECK(ipvs::reserve_ports(host.sysctls(), ports).warnings ==
        Lines{"--reserve-node-ports: reading the sysctl net/ipv4/ip_local_reserved_ports: No such "
              "file or directory"});
}
