// SPDX-License-Identifier: Apache-2.0
//
// The real Kernel: IPVS, kube-ipvs0, our nftables table, sysctls and connection tracking, each
// through its own client. Needs root, or CAP_NET_ADMIN if every sysctl already has the right value.
//
// Each client opens its socket when it is first used, so that cleanup() can do what is possible on
// a host without IPVS or nftables.
//
// Threading: not thread-safe; calls block.
//
// Errors: those of ipvs/state/kernel.hpp. If a client cannot be opened, every operation of the call
// has the errno of opening it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ipvs/host/device.hpp"
#include "ipvs/host/flows.hpp"
#include "ipvs/host/notes_file.hpp"
#include "ipvs/host/own_record_file.hpp"
#include "ipvs/host/setting_record.hpp"
#include "ipvs/host/sysctl.hpp"
#include "ipvs/kube_proxy/remains.hpp"
#include "ipvs/nftables/client.hpp"
#include "ipvs/nftables/forward_chains.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/virtual_servers/client.hpp"
#include "ipvs/virtual_servers/fill_order.hpp"

namespace ipvs {

class LinuxKernel : public Kernel {
 public:
  // `record_directory`: of the records of what is ours and of what we changed
  // (ipvs/host/own_record_file.hpp, setting_record.hpp), and of notes (notes_file.hpp).
  // `excluded`: --ipvs-exclude-cidrs, see OwnServers.
  explicit LinuxKernel(const std::string& record_directory = {}, std::vector<Network> excluded = {},
                       Sysctls sysctls = Sysctls());

  Result<HostFacts> prepare(const HostSettings& settings) override;
  HostCheck check_device() override;
  HostCheck check_settings() override;
  Result<void> probe_scheduler(const std::string& scheduler) override;
  Result<Observed> observe() override;
  Result<Sight> look() override;

  void load_modules() override;
  Result<std::string> choose_binding(std::size_t vips) override;
  Result<void> record_own(std::span<const ServerKey> keys) override;
  Result<void> check_record() override;
  Notes read_notes() override { return notes_.read(); }
  void write_notes(std::span<const Note> changed) override { notes_.change(changed); }
  std::vector<int> change_servers(std::span<const ServerOp> ops) override;
  std::vector<std::size_t> order_of_fill(std::span<const ServerOp> ops) override;
  std::vector<int> change_addresses(std::span<const AddressOp> ops) override;
  int change_elements(std::span<const ElementOp> ops) override;
  int install_table(const TableRules& rules, std::span<const Element> elements) override;
  int replace_rules(const TableRules& rules) override;

  Result<std::size_t> count_ipv4_servers() override;
  Result<std::optional<ServerReading>> read_server(const ServerKey& key) override;
  Result<std::vector<ServerReading>> read_servers(std::span<const ServerKey> keys) override;
  Result<std::vector<ServerReading>> read_counters(std::span<const ServerKey> keys) override;
  Result<std::vector<ServerReading>> read_destinations(std::span<const ServerKey> keys) override;
  Result<std::vector<Address>> read_addresses() override;
  Result<std::vector<Element>> read_elements() override;
  Result<std::size_t> delete_flows(std::span<const StaleFlow> flows) override;
  CleanupReport cleanup(const CleanupRequest& request) override;

  Result<std::vector<LocalAddress>> read_local_addresses() override;
  Result<std::string> why_no_ipv6() override;
  Result<std::vector<Address>> read_gateways() override;
  Result<std::vector<ForwardChain>> read_forward_chains() override;
  int accept_replies(const ForwardChain& chain) override;
  int withdraw(const ForwardChain& chain) override;
  Result<std::vector<KubeProxyChains>> read_kube_proxy_chains() override;
  Result<RemovedChains> remove_kube_proxy_chains(const KubeProxyChains& chains) override;
  Result<std::vector<std::string>> read_kube_proxy_sets() override;
  std::vector<int> remove_kube_proxy_sets(std::span<const std::string> names) override;
  std::vector<KubeProxyProcess> find_kube_proxies() override;
  Result<std::vector<std::unique_ptr<KernelMonitor>>> open_monitors() override;
  Result<std::unique_ptr<FlowObserver>> open_flow_observer(
      std::span<const ServerKey> servers) override;

 private:
  Result<void> set_timeouts(const Timeouts& timeouts);
  Result<void> try_table();
  Result<void> find_binding();
  Result<Sight> look_without_rights();
  std::set<Family> families_masqueraded_by_kube_proxy(std::span<const KubeProxyChains> chains);

  const std::string kernel_and_namespace_;
  SettingRecord changed_settings_;
  Sysctls sysctls_;
  std::vector<Network> excluded_;
  HostSettings settings_;         // of the last prepare(), with the binding that was chosen
  bool chooses_binding_ = false;  // VipBinding::kAuto
  std::optional<IpvsClient> ipvs_;
  std::optional<Device> device_;
  std::optional<NftClient> table_;
  std::optional<FlowCleaner> flows_;
  std::optional<ForwardChains> forward_chains_;
  std::optional<KubeProxyRemains> kube_proxy_;
  bool saw_kube_proxy_chains_ = false;  // also if they are deleted now
  OwnRecordFile record_;
  NotesFile notes_;
  FillRanks fill_ranks_;  // of the last large fill
  bool ranks_have_ipv6_ = false;
  std::chrono::steady_clock::time_point ranked_at_{};
};

}  // namespace ipvs
