// SPDX-License-Identifier: Apache-2.0
//
// A kernel that is only read, or not even that: what the agent asks to be changed is changed in a
// picture of it, and answered as the kernel would. So a start can be tried on a node that another proxy
// serves, and without rights or IPVS, on a kernel that holds nothing.
//
// Threading: as ipvs::Kernel.
// Errors: readings have those of the real kernel.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/decide/kernel_difference.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

class PlanKernel : public ipvs::Kernel {
 public:
  explicit PlanKernel(ipvs::Kernel& real) : real_(real) {}
  // A kernel that holds nothing, with IPv6, whatever `real` is: only the addresses of this host and its
  // gateways are read there, and with `addresses`, which are another node's, nothing.
  PlanKernel(ipvs::Kernel& real, const std::vector<ipvs::Address>& addresses);

  const KernelPicture& before() const { return before_; }
  const KernelPicture& after() const { return after_; }
  const std::vector<std::string>& unread() const { return unread_; }  // see ipvs::Sight

  ipvs::Result<ipvs::HostFacts> prepare(const ipvs::HostSettings&) override {
    return ipvs::HostFacts{};
  }
  ipvs::HostCheck check_device() override { return {}; }
  ipvs::HostCheck check_settings() override { return {}; }
  ipvs::Result<void> probe_scheduler(const std::string&) override { return {}; }
  ipvs::Result<ipvs::Observed> observe() override;
  ipvs::Result<void> record_own(std::span<const ipvs::ServerKey>) override { return {}; }
  ipvs::Result<void> check_record() override { return {}; }

  ipvs::Notes read_notes() override { return is_empty_ ? ipvs::Notes() : real_.read_notes(); }

  std::vector<int> change_servers(std::span<const ipvs::ServerOp> ops) override;
  std::vector<int> change_addresses(std::span<const ipvs::AddressOp> ops) override;
  int change_elements(std::span<const ipvs::ElementOp> ops) override;
  int install_table(const ipvs::TableRules& rules,
                    std::span<const ipvs::Element> elements) override;
  int replace_rules(const ipvs::TableRules& rules) override;

  ipvs::Result<std::size_t> count_ipv4_servers() override;
  ipvs::Result<std::optional<ipvs::ServerReading>> read_server(const ipvs::ServerKey& key) override;
  ipvs::Result<std::vector<ipvs::ServerReading>> read_servers(
      std::span<const ipvs::ServerKey> keys) override;
  ipvs::Result<std::vector<ipvs::ServerReading>> read_counters(
      std::span<const ipvs::ServerKey> keys) override {
    return read_servers(keys);
  }
  ipvs::Result<std::vector<ipvs::ServerReading>> read_destinations(
      std::span<const ipvs::ServerKey> keys) override {
    return read_servers(keys);
  }
  ipvs::Result<std::vector<ipvs::Address>> read_addresses() override;
  ipvs::Result<std::vector<ipvs::Element>> read_elements() override { return after_.elements; }
  ipvs::Result<std::size_t> delete_flows(std::span<const StaleFlow>) override;

  ipvs::Result<std::vector<ipvs::LocalAddress>> read_local_addresses() override;
  ipvs::Result<std::string> why_no_ipv6() override;
  ipvs::Result<std::vector<ipvs::Address>> read_gateways() override;
  ipvs::Result<std::vector<ipvs::ForwardChain>> read_forward_chains() override {
    return real_.read_forward_chains();
  }
  int accept_replies(const ipvs::ForwardChain&) override { return 0; }
  int withdraw(const ipvs::ForwardChain&) override { return 0; }
  ipvs::Result<std::vector<ipvs::KubeProxyChains>> read_kube_proxy_chains() override {
    return real_.read_kube_proxy_chains();
  }
  ipvs::Result<ipvs::RemovedChains> remove_kube_proxy_chains(
      const ipvs::KubeProxyChains&) override {
    return ipvs::RemovedChains{};
  }
  ipvs::Result<std::vector<std::string>> read_kube_proxy_sets() override {
    return real_.read_kube_proxy_sets();
  }
  std::vector<int> remove_kube_proxy_sets(std::span<const std::string> names) override {
    return std::vector<int>(names.size(), 0);
  }
  std::vector<ipvs::KubeProxyProcess> find_kube_proxies() override {
    return real_.find_kube_proxies();
  }
  ipvs::Result<std::vector<std::unique_ptr<ipvs::KernelMonitor>>> open_monitors() override;
  ipvs::CleanupReport cleanup(const ipvs::CleanupRequest&) override { return {}; }

 private:
  int change(const ipvs::ServerOp& op);

  ipvs::Kernel& real_;
  bool is_empty_ = false;
  std::vector<ipvs::LocalAddress> addresses_;  // none: those of `real_`
  std::optional<ipvs::Observed> observed_;
  KernelPicture before_;
  KernelPicture after_;
  std::vector<std::string> unread_;
};

}  // namespace agent
