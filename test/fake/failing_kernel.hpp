// SPDX-License-Identifier: Apache-2.0
//
// A fake kernel of which one call fails until the test mends it, however often it is made:
//
//   kernel.break_call({.call = "change_servers", .error = ENOMEM, .victims = {ip("10.96.0.66")}});
//   kernel.mend();
//
// A call that changes something fails for operations on the victims' addresses only; any other call
// fails as a whole. With kUnknownOutcome the reply is lost: the call is carried out.
//
// Threading: one lock for all calls, so a test may take a snapshot() at any time.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "test/fake/fake_kernel.hpp"

namespace fake {

struct BrokenCall {
  std::string call;  // the name of a function of ipvs::Kernel
  int error = 0;     // errno, or ipvs::kUnknownOutcome
  std::set<ipvs::Address> victims{};
};

class FailingKernel : public FakeKernel {
 public:
  struct Snapshot {
    std::map<ipvs::ServerKey, ipvs::Server> held_servers;
    std::set<ipvs::Address> held_addresses;
    std::set<ipvs::Element, ipvs::ElementKeyLess> held_elements;
    std::set<std::string> chains;  // of others, by their text, and whether they have a rule of ours
    bool operator==(const Snapshot&) const = default;
  };

  void break_call(BrokenCall broken) {
    const std::lock_guard lock(mutex_);
    broken_ = std::move(broken);
  }
  void mend() {
    const std::lock_guard lock(mutex_);
    broken_.reset();
  }
  Snapshot snapshot() const {
    const std::lock_guard lock(mutex_);
    Snapshot now{.held_servers = servers,
                 .held_addresses = addresses,
                 .held_elements = elements,
                 .chains = {}};
    for (const ipvs::ForwardChain& each : forward_chains) {
      now.chains.insert(each.text() + (each.our_rules.empty() ? "" : " with our rule"));
    }
    for (const ipvs::KubeProxyChains& each : kube_proxy_chains) now.chains.insert(each.text());
    now.chains.insert(kube_proxy_sets.begin(), kube_proxy_sets.end());
    return now;
  }
  bool has_failed() const {
    const std::lock_guard lock(mutex_);
    return has_failed_;
  }
  // How often the call was made.
  std::size_t count_of(const std::string& call) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(call);
    return found == counts_.end() ? 0 : found->second;
  }
  // Changes the kernel behind the agent's back.
  template <typename Change>
  void behind_its_back(Change change) {
    const std::lock_guard lock(mutex_);
    change(*this);
  }

  ipvs::Result<ipvs::HostFacts> prepare(const ipvs::HostSettings& settings) override {
    return read<ipvs::HostFacts>("prepare", [&] { return FakeKernel::prepare(settings); });
  }
  ipvs::HostCheck check_device() override {
    return check("check_device", [&] { return FakeKernel::check_device(); });
  }
  ipvs::HostCheck check_settings() override {
    return check("check_settings", [&] { return FakeKernel::check_settings(); });
  }
  ipvs::Result<std::size_t> count_ipv4_servers() override {
    return read<std::size_t>("count_ipv4_servers",
                             [&] { return FakeKernel::count_ipv4_servers(); });
  }
  ipvs::Result<void> probe_scheduler(const std::string& scheduler) override {
    return read<void>("probe_scheduler", [&] { return FakeKernel::probe_scheduler(scheduler); });
  }
  ipvs::Result<ipvs::Observed> observe() override {
    return read<ipvs::Observed>("observe", [&] { return FakeKernel::observe(); });
  }
  std::vector<int> change_servers(std::span<const ipvs::ServerOp> ops) override;
  std::vector<int> change_addresses(std::span<const ipvs::AddressOp> ops) override;
  int change_elements(std::span<const ipvs::ElementOp> ops) override;
  int install_table(const ipvs::TableRules& rules, std::span<const ipvs::Element> wanted) override {
    return change("install_table", [&] { return FakeKernel::install_table(rules, wanted); });
  }
  int replace_rules(const ipvs::TableRules& rules) override {
    return change("replace_rules", [&] { return FakeKernel::replace_rules(rules); });
  }
  ipvs::Result<std::optional<ipvs::ServerReading>> read_server(
      const ipvs::ServerKey& key) override {
    return read<std::optional<ipvs::ServerReading>>("read_server",
                                                    [&] { return FakeKernel::read_server(key); });
  }
  ipvs::Result<std::vector<ipvs::ServerReading>> read_servers(
      std::span<const ipvs::ServerKey> keys) override {
    return read<std::vector<ipvs::ServerReading>>("read_servers",
                                                  [&] { return FakeKernel::read_servers(keys); });
  }
  ipvs::Result<std::vector<ipvs::ServerReading>> read_counters(
      std::span<const ipvs::ServerKey> keys) override {
    return read<std::vector<ipvs::ServerReading>>("read_counters",
                                                  [&] { return FakeKernel::read_counters(keys); });
  }
  ipvs::Result<std::vector<ipvs::ServerReading>> read_destinations(
      std::span<const ipvs::ServerKey> keys) override {
    return read<std::vector<ipvs::ServerReading>>(
        "read_destinations", [&] { return FakeKernel::read_destinations(keys); });
  }
  ipvs::Result<std::vector<ipvs::Address>> read_addresses() override {
    return read<std::vector<ipvs::Address>>("read_addresses",
                                            [&] { return FakeKernel::read_addresses(); });
  }
  ipvs::Result<std::vector<ipvs::Element>> read_elements() override {
    return read<std::vector<ipvs::Element>>("read_elements",
                                            [&] { return FakeKernel::read_elements(); });
  }
  ipvs::Result<std::size_t> delete_flows(std::span<const StaleFlow> flows) override {
    return read<std::size_t>("delete_flows", [&] { return FakeKernel::delete_flows(flows); });
  }
  ipvs::Result<std::vector<ipvs::LocalAddress>> read_local_addresses() override {
    return read<std::vector<ipvs::LocalAddress>>(
        "read_local_addresses", [&] { return FakeKernel::read_local_addresses(); });
  }
  ipvs::Result<std::string> why_no_ipv6() override {
    return read<std::string>("why_no_ipv6", [&] { return FakeKernel::why_no_ipv6(); });
  }
  ipvs::Result<std::string> choose_binding(std::size_t vips) override {
    return read<std::string>("choose_binding", [&] { return FakeKernel::choose_binding(vips); });
  }
  ipvs::CleanupReport cleanup(const ipvs::CleanupRequest& request) override {
    const std::lock_guard lock(mutex_);
    const auto error = fault_of("cleanup");
    if (!error) return FakeKernel::cleanup(request);
    if (*error == ipvs::kUnknownOutcome) FakeKernel::cleanup(request);
    ipvs::CleanupReport report;
    report.faults.push_back({*error, "cleanup"});
    return report;
  }
  ipvs::Result<std::vector<ipvs::Address>> read_gateways() override {
    return read<std::vector<ipvs::Address>>("read_gateways",
                                            [&] { return FakeKernel::read_gateways(); });
  }
  ipvs::Result<std::vector<ipvs::ForwardChain>> read_forward_chains() override {
    return read<std::vector<ipvs::ForwardChain>>("read_forward_chains",
                                                 [&] { return FakeKernel::read_forward_chains(); });
  }
  int accept_replies(const ipvs::ForwardChain& chain) override {
    return change("accept_replies", [&] { return FakeKernel::accept_replies(chain); });
  }
  int withdraw(const ipvs::ForwardChain& chain) override {
    return change("withdraw", [&] { return FakeKernel::withdraw(chain); });
  }
  ipvs::Result<void> record_own(std::span<const ipvs::ServerKey> keys) override {
    return read<void>("record_own", [&] { return FakeKernel::record_own(keys); });
  }
  ipvs::Result<void> check_record() override {
    return read<void>("check_record", [&] { return FakeKernel::check_record(); });
  }
  ipvs::Result<std::vector<ipvs::KubeProxyChains>> read_kube_proxy_chains() override {
    return read<std::vector<ipvs::KubeProxyChains>>(
        "read_kube_proxy_chains", [&] { return FakeKernel::read_kube_proxy_chains(); });
  }
  ipvs::Result<ipvs::RemovedChains> remove_kube_proxy_chains(
      const ipvs::KubeProxyChains& chains) override {
    return read<ipvs::RemovedChains>("remove_kube_proxy_chains",
                                     [&] { return FakeKernel::remove_kube_proxy_chains(chains); });
  }
  ipvs::Result<std::vector<std::string>> read_kube_proxy_sets() override {
    return read<std::vector<std::string>>("read_kube_proxy_sets",
                                          [&] { return FakeKernel::read_kube_proxy_sets(); });
  }
  std::vector<int> remove_kube_proxy_sets(std::span<const std::string> names) override;
  ipvs::Result<std::vector<std::unique_ptr<ipvs::KernelMonitor>>> open_monitors() override {
    return read<std::vector<std::unique_ptr<ipvs::KernelMonitor>>>(
        "open_monitors", [&] { return FakeKernel::open_monitors(); });
  }

 private:
  bool is_victim(const ipvs::Address& address) const {
    return broken_ && broken_->victims.contains(address);
  }
  // The error of this call while it is broken.
  std::optional<int> fault_of(const std::string& call) {
    ++counts_[call];
    if (!broken_ || broken_->call != call) return std::nullopt;
    has_failed_ = true;
    return broken_->error;
  }

  template <typename T, typename Call>
  ipvs::Result<T> read(const std::string& name, Call call) {
    const std::lock_guard lock(mutex_);
    const auto error = fault_of(name);
    if (!error) return call();
    if (*error == ipvs::kUnknownOutcome) (void)call();
    return ipvs::KernelError{*error, name};
  }

  template <typename Call>
  ipvs::HostCheck check(const std::string& name, Call call) {
    const std::lock_guard lock(mutex_);
    const auto error = fault_of(name);
    if (!error) return call();
    if (*error == ipvs::kUnknownOutcome) (void)call();
    return {.repairs = {}, .faults = {{*error, name}}};
  }

  template <typename Call>
  int change(const std::string& name, Call call) {
    const std::lock_guard lock(mutex_);
    const auto error = fault_of(name);
    if (!error) return call();
    if (*error == ipvs::kUnknownOutcome) call();
    return *error;
  }

  // `run` carries out one operation.
  template <typename Op, typename Concerns, typename Run>
  std::vector<int> change_each(const std::string& name, std::span<const Op> ops, Concerns concerns,
                               Run run) {
    const std::lock_guard lock(mutex_);
    std::vector<int> results;
    for (const Op& op : ops) {
      const auto error = concerns(op) ? fault_of(name) : std::nullopt;
      const bool lost = error == ipvs::kUnknownOutcome;
      const int result = !error || lost ? run(std::span<const Op>(&op, 1)).front() : 0;
      results.push_back(error ? *error : result);
    }
    return results;
  }

  mutable std::mutex mutex_;
  std::optional<BrokenCall> broken_;
  std::map<std::string, std::size_t> counts_;
  bool has_failed_ = false;
};

inline std::vector<int> FailingKernel::change_servers(std::span<const ipvs::ServerOp> ops) {
  return change_each(
      "change_servers", ops,
      [&](const ipvs::ServerOp& op) { return is_victim(op.server.key.address); },
      [&](auto one) { return FakeKernel::change_servers(one); });
}

inline std::vector<int> FailingKernel::change_addresses(std::span<const ipvs::AddressOp> ops) {
  return change_each(
      "change_addresses", ops, [&](const ipvs::AddressOp& op) { return is_victim(op.address); },
      [&](auto one) { return FakeKernel::change_addresses(one); });
}

inline std::vector<int> FailingKernel::remove_kube_proxy_sets(std::span<const std::string> names) {
  return change_each(
      "remove_kube_proxy_sets", names, [](const std::string&) { return true; },
      [&](auto one) { return FakeKernel::remove_kube_proxy_sets(one); });
}

inline int FailingKernel::change_elements(std::span<const ipvs::ElementOp> ops) {
  const std::lock_guard lock(mutex_);
  const bool concerned = std::any_of(ops.begin(), ops.end(), [&](const ipvs::ElementOp& op) {
    return is_victim(op.element.address);
  });
  const auto error = concerned ? fault_of("change_elements") : std::nullopt;
  if (!error) return FakeKernel::change_elements(ops);
  if (*error == ipvs::kUnknownOutcome) FakeKernel::change_elements(ops);
  return *error;
}

}  // namespace fake
