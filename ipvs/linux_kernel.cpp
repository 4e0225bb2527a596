// SPDX-License-Identifier: Apache-2.0
#include "ipvs/linux_kernel.hpp"

#include <linux/netfilter.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>
#include <iterator>
#include <utility>

#include "ipvs/cleanup.hpp"
#include "ipvs/host/conntrack_limits.hpp"
#include "ipvs/host/local_addresses.hpp"
#include "ipvs/host/local_ports.hpp"
#include "ipvs/kube_proxy/processes.hpp"
#include "ipvs/nftables/monitor.hpp"
#include "ipvs/ready.hpp"
#include "ipvs/state/binding.hpp"

namespace ipvs {
namespace {

// The virtual server that kube-proxy probes with: an address of TEST-NET-2, which no host has.
const ServerKey kProbe{boost::asio::ip::address_v4(0xc6336400), 20000, Protocol::kTcp};

// Those that are 0 keep their value.
Timeouts merged(const Timeouts& found, const Timeouts& wanted) {
  const auto or_found = [](std::uint32_t value, std::uint32_t is) {
    return value == 0 ? is : value;
  };
  return {.tcp = or_found(wanted.tcp, found.tcp),
          .tcp_fin = or_found(wanted.tcp_fin, found.tcp_fin),
          .udp = or_found(wanted.udp, found.udp)};
}

constexpr std::chrono::seconds kRanksAge{60};

FillRanks ranks_of(const std::vector<ServerKey>& in_order) {
  FillRanks ranks;
  ranks.reserve(in_order.size());
  for (const ServerKey& key : in_order) ranks.emplace(key, ranks.size() + 1);
  return ranks;
}

PortRange node_ports(const HostSettings& settings) {
  return {settings.node_port_first, settings.node_port_last};
}

void take(SysctlReport report, HostFacts& facts) {
  std::move(report.changes.begin(), report.changes.end(), std::back_inserter(facts.changes));
  std::move(report.warnings.begin(), report.warnings.end(), std::back_inserter(facts.warnings));
}

}  // namespace

LinuxKernel::LinuxKernel(const std::string& record_directory, std::vector<Network> excluded,
                         Sysctls sysctls)
    : kernel_and_namespace_(kernel_and_namespace()),
      changed_settings_(record_directory, kernel_and_namespace_),
      sysctls_(std::move(sysctls)),
      excluded_(std::move(excluded)),
      record_(record_directory, kernel_and_namespace_),
      notes_(record_directory, kernel_and_namespace_) {
  sysctls_.record_in(changed_settings_);
}

Result<HostFacts> LinuxKernel::prepare(const HostSettings& settings) {
  HostFacts facts;
  settings_ = settings;
  excluded_ = settings.excluded;
  // Where no thread can be made, it is tried later.
  auto tried =
      std::async(std::launch::async | std::launch::deferred, &LinuxKernel::try_table, this);
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  // Finding the netlink family needs no privilege, this request does: without CAP_NET_ADMIN
  // prepare() ends here, before it changes anything that stays.
  const auto info = (*ipvs)->info();
  if (!info) return info.error();

  auto report = set_sysctls(sysctls_, settings, running_kernel_version());
  if (!report) return report.error();
  facts.changes = std::move(report->changes);
  facts.warnings = std::move(report->warnings);
  if (settings.reserve_node_ports) take(reserve_ports(sysctls_, node_ports(settings)), facts);
  const auto local_ports = sysctls_.read("net/ipv4/ip_local_port_range");
  const auto reserved_ports = sysctls_.read("net/ipv4/ip_local_reserved_ports");
  if (local_ports && reserved_ports) {
    std::string overlap = overlap_warning(*local_ports, *reserved_ports, node_ports(settings));
    if (!overlap.empty()) facts.warnings.push_back(std::move(overlap));
  }

  if (const auto usable = tried.get(); !usable) return usable.error();

  // The table has loaded nf_conntrack.
  take(raise_conntrack(sysctls_, settings.conntrack, ::sysconf(_SC_NPROCESSORS_ONLN)), facts);

  const auto device = ready(device_);
  if (!device) return device.error();
  const auto chosen = find_binding();
  if (!chosen) return chosen.error();
  const auto rebound = (*device)->prepare(settings_);
  if (!rebound) return rebound.error();
  if (*rebound > 0) {
    facts.changes.push_back(std::to_string(*rebound) +
                            " virtual IPs moved to the configured binding");
  }
  // As in kube-proxy, a failure is only a warning.
  const auto timeouts = set_timeouts(settings.timeouts);
  if (!timeouts) facts.warnings.push_back(timeouts.error().text());
  if (!changed_settings_.fault().empty()) {
    facts.warnings.push_back("cleanup will not restore sysctls: " + changed_settings_.fault());
  }
  return facts;
}

// Has the kernel load what the table needs, at the same time as what IPVS needs: seconds on a slow
// machine. And finds a host without nf_tables, or with an older one, before anything is programmed.
Result<void> LinuxKernel::try_table() {
  const auto table = ready(table_);
  if (!table) return table.error();
  return (*table)->try_table();
}

// With VipBinding::kAuto what there is stays as it is until choose_binding(): how much is wanted is not
// known yet.
Result<void> LinuxKernel::find_binding() {
  chooses_binding_ = settings_.vip_binding == VipBinding::kAuto;
  if (!chooses_binding_) return {};
  const auto routes = device_->count_routes();
  if (!routes) return routes.error();
  settings_.vip_binding = *routes > 0 ? VipBinding::kRoute : VipBinding::kAddress;
  return {};
}

Result<std::string> LinuxKernel::choose_binding(std::size_t vips) {
  const VipBinding chosen = chosen_binding(vips, settings_.vip_binding);
  if (!chooses_binding_ || chosen == settings_.vip_binding) return std::string();
  const auto device = ready(device_);
  if (!device) return device.error();
  HostSettings next = settings_;
  next.vip_binding = chosen;
  const auto moved = (*device)->prepare(next);
  if (!moved) return moved.error();
  settings_ = next;
  return std::to_string(vips) + " virtual IPs: bound by " +
         (chosen == VipBinding::kRoute ? "routes" : "addresses") + "; moved " +
         std::to_string(*moved);
}

Result<void> LinuxKernel::set_timeouts(const Timeouts& timeouts) {
  if (timeouts == Timeouts{}) return {};
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  const auto found = (*ipvs)->timeouts();
  if (found && !difference_text(*found, timeouts).empty()) {
    changed_settings_.note(std::string(kTimeoutsSetting), setting_text(*found),
                           setting_text(merged(*found, timeouts)));
  }
  return (*ipvs)->set_timeouts(timeouts);
}

HostCheck LinuxKernel::check_device() {
  HostCheck check;
  const auto device = ready(device_);
  if (!device) {
    check.faults.push_back(device.error());
    return check;
  }
  auto repairs = (*device)->check(settings_);
  if (repairs) {
    check.repairs = std::move(*repairs);
  } else {
    check.faults.push_back(repairs.error());
    return check;
  }
  // Each audit checks the device: often enough for a change that hardly ever happens.
  const auto followed = (*device)->follow_mtu();
  if (!followed) check.faults.push_back(followed.error());
  return check;
}

HostCheck LinuxKernel::check_settings() {
  HostCheck check;
  auto report = set_sysctls(sysctls_, settings_, running_kernel_version());
  if (report && settings_.reserve_node_ports) {
    for (std::string& change : reserve_ports(sysctls_, node_ports(settings_)).changes) {
      report->changes.push_back(std::move(change));
    }
  }
  if (report) {
    for (std::string& change : report->changes) {
      check.repairs.push_back({"sysctl", "sysctl " + change + ": put right"});
    }
  } else {
    check.faults.push_back(report.error());
  }
  const auto ipvs = ready(ipvs_);
  if (!ipvs || settings_.timeouts == Timeouts{}) return check;
  const auto found = (*ipvs)->timeouts();
  if (!found) {
    check.faults.push_back(found.error());
    return check;
  }
  const std::string difference = difference_text(*found, settings_.timeouts);
  if (difference.empty()) return check;
  const auto set = set_timeouts(settings_.timeouts);
  if (set) {
    check.repairs.push_back(
        {"timeout", "timeouts of IPVS, in seconds: " + difference + ": put right"});
  } else {
    check.faults.push_back(set.error());
  }
  return check;
}

Result<void> LinuxKernel::probe_scheduler(const std::string& scheduler) {
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  if ((*ipvs)->uses_scheduler(scheduler)) return {};

  const ServerOp add{.command = ServerCommand::kNewService,
                     .server = {.key = kProbe, .scheduler = scheduler},
                     .destination = {}};
  ServerOp remove = add;
  remove.command = ServerCommand::kDelService;
  // The first removal deletes what an earlier probe left if its process was killed.
  const ServerOp ops[] = {remove, add, remove};
  const int error = (*ipvs)->change_servers(ops)[1];
  if (error == 0) return {};
  std::string what = "trying the scheduler " + scheduler;
  if (error == ENOENT)
    what += " (scheduler not available in this kernel; try `modprobe ip_vs_" + scheduler + "`)";
  return KernelError{error, std::move(what)};
}

void LinuxKernel::load_modules() {
  if (const auto cleaner = ready(flows_)) (*cleaner)->load();
}

Result<Observed> LinuxKernel::observe() {
  Observed observed;
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  auto servers = (*ipvs)->read_configuration();
  if (!servers) return servers.error();
  observed.servers = std::move(servers->servers);
  observed.not_masqueraded = std::move(servers->not_masqueraded);
  auto addresses = read_addresses();
  if (!addresses) return addresses.error();
  observed.addresses = std::move(*addresses);
  const auto table = ready(table_);
  if (!table) return table.error();
  auto elements = (*table)->read_elements(observed.table_present);
  if (!elements) return elements.error();
  observed.elements = std::move(*elements);
  observed.recorded = record_.read();
  (void)read_kube_proxy_chains();
  observed.has_kube_proxy_chains = saw_kube_proxy_chains_;
  observed.excluded = excluded_;
  return observed;
}

Result<Sight> LinuxKernel::look() {
  auto observed = observe();
  if (!observed && observed.error().error_number == EPERM) return look_without_rights();
  if (!observed) return observed.error();
  Sight sight{.observed = std::move(*observed)};
  const auto chains = read_kube_proxy_chains();
  if (!chains || chains->empty()) return sight;
  auto rules = kube_proxy_->read_rules(*chains);
  if (!rules) return rules.error();
  sight.kube_proxy = std::move(*rules);
  return sight;
}

// The file is everybody's to read, and so are addresses.
Result<Sight> LinuxKernel::look_without_rights() {
  auto configuration = read_proc_configuration();
  if (!configuration) return configuration.error();
  auto addresses = read_addresses();
  if (!addresses) return addresses.error();
  Sight sight{.unread = {"nftables and iptables rules", "ipsets", "scheduler flags"}};
  sight.observed.servers = std::move(configuration->servers);
  sight.observed.not_masqueraded = std::move(configuration->not_masqueraded);
  sight.observed.addresses = std::move(*addresses);
  sight.observed.recorded = record_.read();
  sight.observed.excluded = excluded_;
  return sight;
}

Result<void> LinuxKernel::record_own(std::span<const ServerKey> keys) {
  return record_.replace(keys);
}

Result<void> LinuxKernel::check_record() {
  auto written = record_.check();
  auto noted = notes_.check();
  return written ? noted : written;
}

std::vector<int> LinuxKernel::change_servers(std::span<const ServerOp> ops) {
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return std::vector<int>(ops.size(), ipvs.error().error_number);
  record_.before(ops);
  std::vector<int> outcomes = (*ipvs)->change_servers(ops);
  record_.after(ops, outcomes);
  return outcomes;
}

std::vector<std::size_t> LinuxKernel::order_of_fill(std::span<const ServerOp> ops) {
  const auto now = std::chrono::steady_clock::now();
  if (!is_large_fill(ops)) return {};
  // What was deleted is forgotten after two minutes, and a fill that paused goes on before that.
  const bool has_ipv6 = std::any_of(
      ops.begin(), ops.end(), [](const ServerOp& op) { return op.server.key.address.is_v6(); });
  const bool are_old = fill_ranks_.empty() || now - ranked_at_ > kRanksAge;
  if (are_old || (has_ipv6 && !ranks_have_ipv6_)) {
    const auto ipvs = ready(ipvs_);
    if (!ipvs) return {};
    const auto in_order = (*ipvs)->table_order(has_ipv6);
    if (!in_order) return {};
    fill_ranks_ = ranks_of(*in_order);
    ranks_have_ipv6_ = has_ipv6;
    ranked_at_ = now;
  }
  return fill_order(ops, fill_ranks_);
}

std::vector<int> LinuxKernel::change_addresses(std::span<const AddressOp> ops) {
  const auto device = ready(device_);
  if (!device) return std::vector<int>(ops.size(), device.error().error_number);
  return (*device)->change(ops);
}

int LinuxKernel::change_elements(std::span<const ElementOp> ops) {
  const auto table = ready(table_);
  return table ? (*table)->change_elements(ops) : table.error().error_number;
}

int LinuxKernel::install_table(const TableRules& rules, std::span<const Element> elements) {
  const auto table = ready(table_);
  return table ? (*table)->install_table(rules, elements) : table.error().error_number;
}

int LinuxKernel::replace_rules(const TableRules& rules) {
  const auto table = ready(table_);
  return table ? (*table)->replace_rules(rules) : table.error().error_number;
}

Result<std::size_t> LinuxKernel::count_ipv4_servers() {
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  return (*ipvs)->count_ipv4_servers();
}

Result<std::optional<ServerReading>> LinuxKernel::read_server(const ServerKey& key) {
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  return (*ipvs)->read_server(key);
}

Result<std::vector<ServerReading>> LinuxKernel::read_servers(std::span<const ServerKey> keys) {
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  return (*ipvs)->read_servers(keys);
}

Result<std::vector<ServerReading>> LinuxKernel::read_counters(std::span<const ServerKey> keys) {
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  return (*ipvs)->read_counters(keys);
}

Result<std::vector<ServerReading>> LinuxKernel::read_destinations(std::span<const ServerKey> keys) {
  const auto ipvs = ready(ipvs_);
  if (!ipvs) return ipvs.error();
  return (*ipvs)->read_destinations(keys);
}

Result<std::vector<Address>> LinuxKernel::read_addresses() {
  const auto device = ready(device_);
  if (!device) return device.error();
  return (*device)->read();
}

Result<std::vector<Element>> LinuxKernel::read_elements() {
  const auto table = ready(table_);
  if (!table) return table.error();
  bool present = false;
  return (*table)->read_elements(present);
}

Result<std::size_t> LinuxKernel::delete_flows(std::span<const StaleFlow> flows) {
  const auto cleaner = ready(flows_);
  if (!cleaner) return cleaner.error();
  return (*cleaner)->remove(flows);
}

Result<std::vector<LocalAddress>> LinuxKernel::read_local_addresses() {
  return ipvs::read_local_addresses();
}

// Three ways to be without: the kernel (ipv6.disable=1), the device (sysctl disable_ipv6, which a new
// device has from `default`), and IPVS (CONFIG_IP_VS_IPV6).
Result<std::string> LinuxKernel::why_no_ipv6() {
  const int socket = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) {
    if (errno == EAFNOSUPPORT) return std::string("the kernel has no IPv6 (ipv6.disable=1?)");
    return KernelError{errno, "opening a socket of IPv6"};
  }
  ::close(socket);
  const std::string key = std::string("net/ipv6/conf/") + kDeviceName + "/disable_ipv6";
  const auto disabled = sysctls_.read(key);
  if (disabled && *disabled == "1") return "the sysctl " + key + " is 1";
  const auto probed = read_server({boost::asio::ip::address_v6::loopback(), 1, Protocol::kTcp});
  if (probed) return std::string();
  if (probed.error().error_number != EAFNOSUPPORT) return probed.error();
  return std::string("the module ip_vs has no IPv6");
}

Result<std::vector<Address>> LinuxKernel::read_gateways() { return ipvs::read_gateways(); }

Result<std::vector<std::unique_ptr<KernelMonitor>>> LinuxKernel::open_monitors() {
  auto addresses = AddressMonitor::open();
  if (!addresses) return addresses.error();
  const auto table = ready(table_);
  if (!table) return table.error();
  auto tables = NftMonitor::open((*table)->own_port());
  if (!tables) return tables.error();
  std::vector<std::unique_ptr<KernelMonitor>> monitors;
  monitors.push_back(std::make_unique<AddressMonitor>(std::move(*addresses)));
  monitors.push_back(std::make_unique<NftMonitor>(std::move(*tables)));
  return monitors;
}

Result<std::vector<ForwardChain>> LinuxKernel::read_forward_chains() {
  const auto chains = ready(forward_chains_);
  if (!chains) return chains.error();
  return (*chains)->read();
}

int LinuxKernel::accept_replies(const ForwardChain& chain) {
  const auto chains = ready(forward_chains_);
  return chains ? (*chains)->accept_replies(chain) : chains.error().error_number;
}

int LinuxKernel::withdraw(const ForwardChain& chain) {
  const auto chains = ready(forward_chains_);
  return chains ? (*chains)->withdraw(chain) : chains.error().error_number;
}

Result<std::vector<KubeProxyChains>> LinuxKernel::read_kube_proxy_chains() {
  const auto remains = ready(kube_proxy_);
  if (!remains) return remains.error();
  auto chains = (*remains)->read_chains();
  if (chains && !chains->empty()) saw_kube_proxy_chains_ = true;
  return chains;
}

Result<RemovedChains> LinuxKernel::remove_kube_proxy_chains(const KubeProxyChains& chains) {
  const auto remains = ready(kube_proxy_);
  if (!remains) return remains.error();
  return (*remains)->remove_chains(chains);
}

Result<std::vector<std::string>> LinuxKernel::read_kube_proxy_sets() {
  const auto remains = ready(kube_proxy_);
  if (!remains) return remains.error();
  return (*remains)->read_sets();
}

std::vector<int> LinuxKernel::remove_kube_proxy_sets(std::span<const std::string> names) {
  const auto remains = ready(kube_proxy_);
  if (!remains) return std::vector<int>(names.size(), remains.error().error_number);
  return (*remains)->remove_sets(names);
}

std::vector<KubeProxyProcess> LinuxKernel::find_kube_proxies() { return ipvs::find_kube_proxies(); }

// One that cannot be read counts as one without: then ours goes on.
std::set<Family> LinuxKernel::families_masqueraded_by_kube_proxy(
    std::span<const KubeProxyChains> chains) {
  std::set<Family> families;
  for (const KubeProxyChains& each : chains) {
    if (each.table != "nat") continue;
    const auto masquerades = kube_proxy_->masquerades(each);
    if (!masquerades || !*masquerades) continue;
    families.insert(each.family == NFPROTO_IPV6 ? Family::kIpv6 : Family::kIpv4);
  }
  return families;
}

CleanupReport LinuxKernel::cleanup(const CleanupRequest& request) {
  const auto chains = read_kube_proxy_chains();
  const auto sets = read_kube_proxy_sets();
  KubeProxyPresence kube_proxy{.has_sets = sets && !sets->empty()};
  if (chains) kube_proxy.masquerades = families_masqueraded_by_kube_proxy(*chains);
  Cleanup work({.ipvs = ipvs_,
                .device = device_,
                .table = table_,
                .forward_chains = forward_chains_,
                .record = record_,
                .notes = notes_,
                .sysctls = sysctls_,
                .excluded = excluded_,
                .kube_proxy = kube_proxy},
               request);
  CleanupReport report = work.run();
  const bool has_kube_proxy = chains && !chains->empty();
  if (!request.handover && has_kube_proxy && !report.steps.empty()) {
    report.notes.push_back("rules of kube-proxy are here (" + chains->front().text() +
                           "): if it runs, it makes kube-ipvs0 and its virtual servers again "
                           "within 30 s; to hand over to it, use --handover");
  }
  return report;
}

}  // namespace ipvs
