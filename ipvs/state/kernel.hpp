// SPDX-License-Identifier: Apache-2.0
//
// The interface to the kernel: everything the agent asks the kernel to do is one of these calls.
// LinuxKernel (ipvs/linux_kernel.hpp) speaks netlink; the tests' FakeKernel keeps maps and fails on
// request.
//
// Threading: not thread-safe, calls block. The agent makes one call at a time
// (agent/sync/kernel_thread.hpp): on the kernel thread, or, where it is short and that thread is
// idle, on the caller's.
//
// Errors: raw errno values, 0 for done, as the kernel gave them (EEXIST, ESRCH, ENOENT, ...). What
// they mean for us is decided in ipvs/state/record_outcome.hpp, not here. After kUnknownOutcome the
// caller must read back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ipvs/state/cleanup.hpp"
#include "ipvs/state/element.hpp"
#include "ipvs/state/flow_observer.hpp"
#include "ipvs/state/host_network.hpp"
#include "ipvs/state/kernel_error.hpp"
#include "ipvs/state/kernel_monitor.hpp"
#include "ipvs/state/kube_proxy_rules.hpp"
#include "ipvs/state/model.hpp"
#include "ipvs/state/networks.hpp"
#include "ipvs/state/notes.hpp"
#include "ipvs/state/operations.hpp"
#include "ipvs/state/sets_in_use.hpp"

namespace ipvs {

// How a VIP is made local: an address on kube-ipvs0, or a `local` route to it; kAuto: by how many there
// are. config::VipBinding has the same values, in this order: agent/prepare_kernel.cpp converts it,
// because ipvs/ must not depend on config/.
enum class VipBinding : std::uint8_t { kAuto, kAddress, kRoute };

// How the traffic of Pods is distinguished from all other: kube-proxy's detectLocalMode.
enum class LocalBy : std::uint8_t {
  kClusterCidrs,  // its source is in TableRules::cluster_cidrs
  kOwnPods,       // ... in TableRules::own_pods
  kInterface,     // it arrives on the interface TableRules::pod_interface
  kNamePrefix,    // ... on one whose name begins so
};

// The parameters of our nftables rules; what the sets hold is given as elements.
struct TableRules {
  bool masquerade_all = false;
  // Traffic to cluster IPs that is not of Pods is masqueraded. Where the networks of a family are
  // not known: only traffic whose source is itself a VIP.
  LocalBy local_by = LocalBy::kClusterCidrs;
  std::string pod_interface{};  // 1-15 characters
  // Pod networks of the cluster, per family.
  std::vector<Network> cluster_cidrs;
  // The clients that take a Service's short cut (ElementKind::kShortCutIp): the Pods of the
  // cluster. This host always takes it, and so does what arrives on `pod_interface`.
  std::vector<Network> pod_sources;
  // Pod networks of this node. Pods of other nodes that take a short cut are masqueraded, so that
  // replies return through this node. Empty for a family: no masquerading there.
  std::vector<Network> own_pods;
  // While schedulers of virtual servers change. Between two of them the kernel has none for an RCU
  // grace period (ip_vs_edit_service() in ip_vs_ctl.c), and answers new connections with ICMP "port
  // unreachable". Such answers for Services are dropped then, so that clients try again.
  bool drops_refusals = false;
  // The rules that read other sets are left out.
  SetsInUse sets = SetsInUse::all();
  bool operator==(const TableRules&) const = default;
};

// The sources that are Pods', where no interface says it.
inline const std::vector<Network>& local_networks(const TableRules& rules) {
  return rules.local_by == LocalBy::kOwnPods ? rules.own_pods : rules.cluster_cidrs;
}
inline bool is_by_interface(const TableRules& rules) {
  return rules.local_by == LocalBy::kInterface || rules.local_by == LocalBy::kNamePrefix;
}

// Connection tracking: what the host should have at least. 0 and false: unchanged.
struct ConntrackLimits {
  std::uint32_t entries_per_cpu = 0;  // 0: their number is unchanged
  std::uint32_t least_entries = 0;
  std::uint32_t tcp_established = 0, tcp_close_wait = 0;  // seconds
  std::uint32_t udp = 0, udp_stream = 0;                  // seconds
  bool tcp_be_liberal = false;
  bool operator==(const ConntrackLimits&) const = default;
};

// What prepare() sets up on the host.
struct HostSettings {
  VipBinding vip_binding = VipBinding::kAddress;
  // Source address of VIP routes (VipBinding::kRoute), per family; unset: the kernel's choice by the
  // default route, followed when that changes.
  std::optional<Address> route_source_v4;
  std::optional<Address> route_source_v6;
  bool strict_arp = false;
  // The range of node ports, first and last; connections of this node should not get one.
  std::uint16_t node_port_first = 30000;
  std::uint16_t node_port_last = 32767;
  bool reserve_node_ports = false;  // add them to net/ipv4/ip_local_reserved_ports
  ConntrackLimits conntrack;
  Timeouts timeouts;
  // Where others have virtual servers: see Observed::excluded.
  std::vector<Network> excluded{};
  bool operator==(const HostSettings&) const = default;
};

// What prepare() reports, to be logged.
struct HostFacts {
  std::vector<std::string> warnings;  // one line each: what is wrong, and the remedy
  std::vector<std::string> changes;   // one line each, "net/ipv4/vs/conntrack: 0 -> 1"
};

// Something that was not as prepare() had left it, and now is again.
struct Repair {
  std::string kind;  // "link", "route", "sysctl" or "timeout"
  std::string what;  // one line: what was found, and what was done about it
};

// What a check of the host found.
struct HostCheck {
  std::vector<Repair> repairs;
  std::vector<KernelError> faults;  // what could not be checked or repaired
};

// Everything of ours found in the kernel.
struct Observed {
  std::vector<Server> servers;     // every virtual server in the namespace, ours or not
  std::vector<Address> addresses;  // on kube-ipvs0, or routed to it
  std::vector<Element> elements;   // of our table; empty if there is none
  bool table_present = false;
  // What our record says is ours; nullopt: it is lost.
  std::optional<std::vector<ServerKey>> recorded{};
  // Virtual servers with a destination that is not masqueraded: kube-proxy makes none.
  std::set<ServerKey> not_masqueraded{};
  bool has_kube_proxy_chains = false;
  // Where others have virtual servers: what our record does not name is never taken over there.
  std::vector<Network> excluded{};
};

// For a plan: all that can be read.
struct Sight {
  Observed observed;
  std::optional<KubeProxyRules> kube_proxy{};  // nullopt: it has no rules here, or they are unread
  // What needs rights that we do not have: "nftables rules".
  std::vector<std::string> unread{};
};

class Kernel {
 public:
  virtual ~Kernel() = default;

  // Loads IPVS, creates kube-ipvs0, sets sysctls and timeouts. Idempotent, and with other settings
  // callable while virtual servers are in use.
  virtual Result<HostFacts> prepare(const HostSettings& settings) = 0;
  // Puts right what somebody else changed of kube-ipvs0 after prepare(): creates it again, restores
  // its name and flags, and gives VIP routes the source address that is right now. Which VIPs are
  // bound is for read_addresses() and change_addresses().
  virtual HostCheck check_device() = 0;
  // The same of the sysctls and of the IPVS timeouts that the settings give.
  virtual HostCheck check_settings() = 0;
  // Whether the scheduler can be used; loads its module.
  virtual Result<void> probe_scheduler(const std::string& scheduler) = 0;
  // Has the kernel load what later calls need, and what prepare() and probe_scheduler() have not.
  virtual void load_modules() {}
  virtual Result<Observed> observe() = 0;
  // Without CAP_NET_ADMIN, too. An error only if nothing of IPVS can be read.
  virtual Result<Sight> look() {
    auto observed = observe();
    if (!observed) return observed.error();
    return Sight{.observed = std::move(*observed)};
  }

  // So many VIPs will be bound: with VipBinding::kAuto those that are there move to the binding that is
  // right for this number. One line about it; "" if nothing changes.
  virtual Result<std::string> choose_binding(std::size_t) { return std::string(); }

  // The record of ownership (ipvs/adr-own-record.md): from now on exactly these virtual servers are
  // ours. change_servers() keeps it.
  virtual Result<void> record_own(std::span<const ServerKey> keys) = 0;
  // Writes it, and the notes, again if they were lost or could not be written.
  virtual Result<void> check_record() = 0;
  // Notes for the agent that starts next in this network namespace before the next boot
  // (agent/adr-notes.md): what the last one wrote, and changes to it.
  virtual Notes read_notes() { return {}; }
  virtual void write_notes(std::span<const Note>) {}

  // One errno (or kUnknownOutcome) per op, in order. An op is tried even if those before it failed.
  virtual std::vector<int> change_servers(std::span<const ServerOp> ops) = 0;
  // The places of these operations in the order in which they are cheapest; empty: as they are.
  virtual std::vector<std::size_t> order_of_fill(std::span<const ServerOp>) { return {}; }
  virtual std::vector<int> change_addresses(std::span<const AddressOp> ops) = 0;
  // One transaction: all or nothing; the errno of the first refused element. EAGAIN: an element is to
  // be added to a set that is not in TableRules::sets, so that no rule would read it.
  virtual int change_elements(std::span<const ElementOp> ops) = 0;
  // Replaces our whole table (or creates it) in one transaction.
  virtual int install_table(const TableRules& rules, std::span<const Element> elements) = 0;
  // Replaces the rules of our table in one transaction, at a cost that does not grow with the
  // elements. ENOENT: there is no table of ours, or it lacks a chain or a set.
  virtual int replace_rules(const TableRules& rules) = 0;

  // How many virtual servers of IPv4 the network namespace has, whoever made them. One getsockopt,
  // of constant cost (IP_VS_SO_GET_INFO). Nothing counts those of IPv6.
  virtual Result<std::size_t> count_ipv4_servers() = 0;
  virtual Result<std::optional<ServerReading>> read_server(const ServerKey& key) = 0;
  // Every virtual server with its destinations and counters.
  virtual Result<std::vector<ServerReading>> read_servers(std::span<const ServerKey> keys) = 0;
  // The same without destinations: one message each, in few calls.
  virtual Result<std::vector<ServerReading>> read_counters(std::span<const ServerKey> keys) = 0;
  // The destinations alone and without their counters, for each of `keys`; of the virtual server
  // itself the key only. One that does not exist is left out, or has none.
  virtual Result<std::vector<ServerReading>> read_destinations(std::span<const ServerKey> keys) = 0;
  virtual Result<std::vector<Address>> read_addresses() = 0;
  virtual Result<std::vector<Element>> read_elements() = 0;

  // Deletes conntrack entries whose original destination is `server` (for a node port: of that port
  // on `server.address`). Returns how many were deleted.
  //   - with `kept_clients`: those of all other clients, whatever the protocol;
  //   - else, of UDP: those whose reply source is `endpoint`, or without an endpoint all.
  struct StaleFlow {
    ServerKey server;
    std::optional<Endpoint> endpoint;
    std::optional<std::vector<Network>> kept_clients = {};
    bool operator==(const StaleFlow&) const = default;
  };
  virtual Result<std::size_t> delete_flows(std::span<const StaleFlow> flows) = 0;

  // --- the host's own networking ---
  // Every address of every interface but kube-ipvs0, ordered by address; without loopback
  // (127.0.0.0/8, ::1), IPv6 link-local (fe80::/10) and multicast addresses, and those that failed
  // duplicate address detection.
  virtual Result<std::vector<LocalAddress>> read_local_addresses() = 0;
  // Why nothing of IPv6 can be programmed here, after "and": "the kernel has no IPv6"; "": it can.
  virtual Result<std::string> why_no_ipv6() = 0;
  // The gateways of this node's default routes, both families, ordered, each once.
  virtual Result<std::vector<Address>> read_gateways() = 0;
  // Every filtering chain of others at the forward hook, those of iptables-legacy last.
  virtual Result<std::vector<ForwardChain>> read_forward_chains() = 0;
  // Puts our rule first in that chain: errno, 0 for done. Not for legacy chains: EOPNOTSUPP.
  virtual int accept_replies(const ForwardChain& chain) = 0;
  // Deletes our rules there: errno, 0 for done.
  virtual int withdraw(const ForwardChain& chain) = 0;

  // What kube-proxy has left, table by table, those of iptables-legacy last.
  virtual Result<std::vector<KubeProxyChains>> read_kube_proxy_chains() = 0;
  // Deletes them and the rules of built-in chains that lead to them.
  virtual Result<RemovedChains> remove_kube_proxy_chains(const KubeProxyChains& chains) = 0;
  // The names of its ipsets, ordered.
  virtual Result<std::vector<std::string>> read_kube_proxy_sets() = 0;
  // One errno for each, in order; EBUSY: a rule uses it.
  virtual std::vector<int> remove_kube_proxy_sets(std::span<const std::string> names) = 0;
  // Those that run, as far as they can be seen, ordered by pid.
  virtual std::vector<KubeProxyProcess> find_kube_proxies() = 0;

  // They report what changes after this call.
  virtual Result<std::vector<std::unique_ptr<KernelMonitor>>> open_monitors() = 0;

  // Reports the connections of these virtual servers that begin or end after this call.
  virtual Result<std::unique_ptr<FlowObserver>> open_flow_observer(std::span<const ServerKey>) {
    return KernelError{0, "connections cannot be observed here"};
  }

  // Removes everything: kube-ipvs0, our virtual servers, our table, our rules in chains of others,
  // and the records; restores the settings that prepare() changed. A step that fails does not keep
  // the others from being done. The device is prepared again by prepare() only.
  virtual CleanupReport cleanup(const CleanupRequest& request) = 0;
};

}  // namespace ipvs
