// SPDX-License-Identifier: Apache-2.0
//
// Reports what the sync loop did: log lines, Events, counters, and the answers of health check node
// ports, which change only when the kernel has changed.
//
// Threading: the agent's io_context thread.
// Metrics: kubeproxy_sync_proxy_rules_*, kubeproxy_network_programming_duration_seconds,
// kubeproxy_conntrack_reconciler_*,
// kube_ipvs_kernel_*, kube_ipvs_drift_corrected_total, kube_ipvs_conflicts_total,
// kube_ipvs_connections_cut_total, kube_ipvs_connections_drained_total,
// kube_ipvs_refused_addresses_total, kube_ipvs_taken_over_virtual_servers_total
// (agent/report/metrics.hpp).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "agent/decide/plan_digest.hpp"
#include "agent/report/health_check_ports.hpp"
#include "agent/report/metrics.hpp"
#include "agent/report/service_reporter.hpp"
#include "agent/sync/sync_loop.hpp"

namespace agent {

// What a Service asks for and does not get, as its last planning says.
struct StandingNotice {
  std::string reason;  // of the Event
  std::string note;
  std::chrono::system_clock::time_point since;
};

class SyncReporter : public SyncObserver {
 public:
  using WallClock = std::chrono::system_clock;

  // `started`: when this process began, Unix time.
  SyncReporter(ClusterState& cluster, HealthCheckPorts& health_checks, ServiceReporter& services,
               Metrics& metrics, k8s::UnixSeconds started);

  // --- SyncObserver ---
  void on_planned(const ipvs::Owner& service,
                  const std::optional<PlannedService>& planned) override;
  void on_pass(const PassReport& report) override;
  void on_pass_end() override {
    refused_rules_ = {};
    if (pass_ended_) pass_ended_();
  }
  void on_failure(const ipvs::Failure& failure, Remedy remedy) override;
  void on_failure_over(const ipvs::Failure& failure) override;
  void on_conflict(const Reconciler::Conflict& conflict) override;
  void on_departures(const Departures& departures) override;
  void on_flows_forgotten(ipvs::Family family, std::size_t flows, double seconds) override;
  void on_taken_over(const ipvs::Owner& service, const ipvs::ServerKey& server) override;
  void on_drift(const std::string& kind, std::size_t count, const std::string& what) override;
  void on_waiting(const std::string& what) override;

  // `ended` is called at the end of every pass.
  void follow_passes(std::function<void()> ended) { pass_ended_ = std::move(ended); }

  // Nothing is carried out (agent/plan_command.hpp): lines say what would be done.
  void only_plan() { only_plans_ = true; }

  // A change arrived; it is pending until the next pass.
  void service_changed();
  void endpoint_changed();

  // --- for gauges, health and /conditions ---
  // By Service; of those that get all they ask for, nothing.
  const std::map<ipvs::Owner, std::vector<StandingNotice>>& standing() const { return standing_; }
  std::size_t pending_service_changes() const { return pending_service_changes_; }
  std::size_t pending_endpoint_changes() const { return pending_endpoint_changes_; }
  // Services with a policy of Local and endpoints of this family on other nodes only.
  std::size_t lacking_local_internal(ipvs::Family family) const {
    return without_local_[index_of(family)].internal.size();
  }
  std::size_t lacking_local_external(ipvs::Family family) const {
    return without_local_[index_of(family)].external.size();
  }
  // Objects that somebody else had changed and that were repaired, since the start.
  std::size_t repaired() const { return repaired_; }
  PlanDigest& plan_digest() { return plan_digest_; }
  // The end of the last pass; the epoch before the first.
  WallClock::time_point last_sync() const { return last_sync_; }

 private:
  void note_endpoints(const ipvs::Owner& service, const std::optional<PlannedService>& planned);
  void note_health_check(const ipvs::Owner& service);
  void note_triggers(const ipvs::Owner& service);
  void note_local(const ipvs::Owner& service, const std::array<LacksLocal, 2>& lacks);
  void note_refused_rules(const ipvs::Failure& failure);
  void observe_triggers();
  static std::size_t index_of(ipvs::Family family) { return static_cast<std::size_t>(family); }
  void report_notices(const ipvs::Owner& service, const std::vector<Notice>& notices);
  void report_first(const PassReport& report);
  void stand(const ipvs::Owner& service, const std::string& reason, const std::string& note);

  ClusterState& cluster_;
  HealthCheckPorts& health_checks_;
  ServiceReporter& services_;
  Metrics& metrics_;
  const k8s::UnixSeconds started_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  bool only_plans_ = false;
  std::function<void()> pass_ended_;

  // Planned, and not in the kernel yet.
  HealthCheckPorts::Changes planned_health_checks_;
  std::vector<Trigger> planned_triggers_;
  std::size_t pending_service_changes_ = 0;
  std::size_t pending_endpoint_changes_ = 0;

  std::map<ipvs::Owner, std::vector<StandingNotice>> standing_;
  // What stood for the Service that was planned last: its conflicts are reported after its plan.
  std::vector<StandingNotice> stood_;

  std::set<ipvs::Owner> without_endpoints_;
  struct WithoutLocal {
    std::set<ipvs::Owner> internal, external;
  };
  std::array<WithoutLocal, 2> without_local_;  // by family
  std::array<bool, 2> refused_rules_{};        // in this pass, by family
  WallClock::time_point last_sync_{};
  std::size_t repaired_ = 0;
  PlanDigest plan_digest_;
};

}  // namespace agent
