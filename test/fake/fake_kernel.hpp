// SPDX-License-Identifier: Apache-2.0
//
// A kernel in memory. It refuses what the real one refuses, with the same errnos, and fails on
// request: fail_at(n, errno) makes the nth single operation from now fail, lose_reply_at(n) carries
// it out and reports an unknown result.
//
// Invariant of the agent, checked here: `violations` has an entry for every address that was bound,
// and every virtual server that was created, without the elements that protect it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ipvs/state/kernel.hpp"

namespace fake {

class FakeKernel : public ipvs::Kernel {
 public:
  // --- its state ---
  std::map<ipvs::ServerKey, ipvs::Server> servers;
  std::set<ipvs::Address> addresses;
  std::set<ipvs::Element, ipvs::ElementKeyLess> elements;
  bool table_present = false;
  std::optional<ipvs::TableRules> table_rules;  // of the table
  std::optional<ipvs::HostSettings> prepared;   // of the last prepare()
  std::map<std::pair<ipvs::ServerKey, ipvs::Endpoint>, std::uint32_t> active_connections;
  std::vector<ipvs::LocalAddress> local_addresses;
  std::vector<ipvs::Address> gateways;
  std::vector<ipvs::Network> excluded;
  std::string no_ipv6;
  std::vector<ipvs::ForwardChain> forward_chains;
  std::vector<ipvs::KubeProxyChains> kube_proxy_chains;
  std::set<std::string> kube_proxy_sets;
  int sets_in_use = 0;  // so many attempts to destroy them are refused
  std::vector<ipvs::KubeProxyProcess> kube_proxies;
  std::set<ipvs::ServerKey> not_masqueraded;
  // Our record, kept as LinuxKernel keeps it; nullopt: lost.
  std::optional<std::set<ipvs::ServerKey>> record;
  int record_error = 0;
  ipvs::Notes notes;
  bool has_loaded_modules = false;
  std::vector<std::string> probed_schedulers;
  std::optional<std::size_t> binding_chosen_for;  // VIPs, by choose_binding()
  int binding_error = 0;                          // of choose_binding()

  // Somebody else deleted kube-ipvs0, and with it all addresses; check_device() makes it again.
  void delete_device();
  // The events that the open monitors report next.
  void notify(const ipvs::KernelEvents& events);
  // A connection begins or ends, for the open observers of its virtual server.
  void happen(const ipvs::FlowEvent& event);
  void lose_flow_events();
  std::size_t open_observers() const { return observers_.size(); }
  ipvs::FlowObserver::Facts flow_facts;
  std::map<ipvs::Endpoint, ipvs::FlowBytes> bytes_of_clients;  // what read_bytes() finds
  std::string observer_fault;                                  // of open_flow_observer()
  std::vector<bool> allowed_only_these;                        // each call of allow_only_these()

  // --- recorded calls ---
  std::vector<std::string> log;         // each operation with its result, in order
  std::vector<std::string> violations;  // see the head of this file
  std::vector<StaleFlow> deleted_flows;
  std::size_t operations = 0;  // single operations attempted, over all calls

  // --- faults ---
  void fail_at(std::size_t nth, int error_number) { fail_at_[operations + nth] = error_number; }
  void lose_reply_at(std::size_t nth) { lose_at_.insert(operations + nth); }
  std::set<std::string> absent_schedulers;
  int observe_error = 0;
  int install_error = 0;
  int replace_error = 0;  // of replace_rules()
  int prepare_error = 0;
  std::vector<ipvs::Repair> changed_settings;  // what check_settings() finds next
  int addresses_error = 0;                     // of read_addresses()

  ipvs::Result<ipvs::HostFacts> prepare(const ipvs::HostSettings& settings) override;
  ipvs::HostCheck check_device() override;
  ipvs::HostCheck check_settings() override;
  ipvs::Result<std::size_t> count_ipv4_servers() override;
  ipvs::Result<void> probe_scheduler(const std::string& scheduler) override;
  ipvs::Result<ipvs::Observed> observe() override;
  void load_modules() override { has_loaded_modules = true; }
  ipvs::Result<std::string> choose_binding(std::size_t vips) override;
  ipvs::Result<void> record_own(std::span<const ipvs::ServerKey> keys) override;
  ipvs::Result<void> check_record() override;
  ipvs::Notes read_notes() override { return notes; }
  void write_notes(std::span<const ipvs::Note> changed) override;
  std::vector<int> change_servers(std::span<const ipvs::ServerOp> ops) override;
  std::vector<int> change_addresses(std::span<const ipvs::AddressOp> ops) override;
  int change_elements(std::span<const ipvs::ElementOp> ops) override;
  int install_table(const ipvs::TableRules& rules,
                    std::span<const ipvs::Element> elements) override;
  int replace_rules(const ipvs::TableRules& rules) override;
  // What no rule reads is a violation.
  void check_rules();
  ipvs::Result<std::optional<ipvs::ServerReading>> read_server(const ipvs::ServerKey& key) override;
  ipvs::Result<std::vector<ipvs::ServerReading>> read_servers(
      std::span<const ipvs::ServerKey> keys) override;
  ipvs::Result<std::vector<ipvs::ServerReading>> read_counters(
      std::span<const ipvs::ServerKey> keys) override;
  ipvs::Result<std::vector<ipvs::ServerReading>> read_destinations(
      std::span<const ipvs::ServerKey> keys) override;
  ipvs::Result<std::vector<ipvs::Address>> read_addresses() override;
  ipvs::Result<std::vector<ipvs::Element>> read_elements() override;
  ipvs::Result<std::size_t> delete_flows(std::span<const StaleFlow> flows) override;
  ipvs::Result<std::vector<ipvs::LocalAddress>> read_local_addresses() override;
  ipvs::Result<std::string> why_no_ipv6() override { return no_ipv6; }
  ipvs::Result<std::vector<ipvs::Address>> read_gateways() override;
  ipvs::Result<std::vector<ipvs::ForwardChain>> read_forward_chains() override;
  int accept_replies(const ipvs::ForwardChain& chain) override;
  int withdraw(const ipvs::ForwardChain& chain) override;
  ipvs::Result<std::vector<ipvs::KubeProxyChains>> read_kube_proxy_chains() override;
  ipvs::Result<ipvs::RemovedChains> remove_kube_proxy_chains(
      const ipvs::KubeProxyChains& chains) override;
  ipvs::Result<std::vector<std::string>> read_kube_proxy_sets() override;
  std::vector<int> remove_kube_proxy_sets(std::span<const std::string> names) override;
  std::vector<ipvs::KubeProxyProcess> find_kube_proxies() override { return kube_proxies; }
  ipvs::Result<std::vector<std::unique_ptr<ipvs::KernelMonitor>>> open_monitors() override;
  ipvs::Result<std::unique_ptr<ipvs::FlowObserver>> open_flow_observer(
      std::span<const ipvs::ServerKey> servers) override;
  ipvs::CleanupReport cleanup(const ipvs::CleanupRequest& request) override;

 private:
  // The errno planned for this operation, if any.
  std::optional<int> planned_failure();
  bool loses_reply() const { return lose_at_.contains(operations); }
  void enter_in_record(const ipvs::ServerOp& op, bool was_recorded, int error);
  int try_server(const ipvs::ServerOp& op);
  int try_destination(const ipvs::ServerOp& op);
  bool protected_by_elements(const ipvs::ServerKey& key) const;

  bool device_deleted_ = false;
  std::map<std::size_t, int> fail_at_;
  std::set<std::size_t> lose_at_;
  class Observer;
  std::set<Observer*> observers_;
  struct Notifications;
  std::shared_ptr<Notifications> notifications_;  // of the monitor that was opened
};

}  // namespace fake
