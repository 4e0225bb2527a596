// SPDX-License-Identifier: Apache-2.0
#include "agent/report/metrics.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "test/agent/report/promtool.hpp"

namespace {

using agent::Metrics;
using agent::test::promtool_complaint;

// The lines that declare families: "name type".
std::set<std::string> families(const std::string& text) {
  std::set<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) found.insert(line.substr(7));
  }
  return found;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

// One of each event.
void exercise(Metrics& metrics) {
  metrics.pass(0.004, 0.0001, 0.003, 12, 1795169472);
  metrics.set({.last_queued = 1795169471, .conditions = {{"KernelRefused", 1}}});
  metrics.service_changed();
  metrics.endpoint_changed();
  metrics.programming_latency(1.5);
  metrics.kernel_error("NEW_DEST", ENOMEM);
  metrics.drift("server");
  metrics.conflict();
  metrics.connections_cut({.ns = "default", .name = "web"}, "pod_gone", 3);
  metrics.connections_drained({.ns = "default", .name = "web"}, 41212);
  metrics.set_draining(
      {{.service = {.ns = "default", .name = "web"}, .destinations = 2, .connections = 7}});
  metrics.source_fault("decode");
  metrics.event("posted");
  metrics.health_answered(false, 200);
  metrics.health_answered(true, 503);
}

}  // namespace

TEST_CASE("the names and types that dashboards depend on stay as they are") {
  Metrics metrics;
  exercise(metrics);
  CHECK(families(metrics.text()) ==
        std::set<std::string>{
            "kube_ipvs_build_info gauge",
            "kube_ipvs_conditions gauge",
            "kube_ipvs_conflicts_total counter",
            "kube_ipvs_connections_cut_total counter",
            "kube_ipvs_connections_drained_total counter",
            "kube_ipvs_desired_addresses gauge",
            "kube_ipvs_desired_destinations gauge",
            "kube_ipvs_desired_virtual_servers gauge",
            "kube_ipvs_draining_connections gauge",
            "kube_ipvs_draining_destinations gauge",
            "kube_ipvs_draining_virtual_servers gauge",
            "kube_ipvs_drift_corrected_total counter",
            "kube_ipvs_endpoint_source gauge",
            "kube_ipvs_endpointslices gauge",
            "kube_ipvs_events_total counter",
            "kube_ipvs_failing_keys gauge",
            "kube_ipvs_foreign_virtual_servers gauge",
            "kube_ipvs_forward_dropping_chains gauge",
            "kube_ipvs_kube_proxy_chains gauge",
            "kube_ipvs_kube_proxy_ipsets gauge",
            "kube_ipvs_kube_proxy_running gauge",
            "kube_ipvs_taken_over_virtual_servers_total counter",
            "kube_ipvs_kernel_errors_total counter",
            "kube_ipvs_kernel_operations_total counter",
            "kube_ipvs_pods gauge",
            "kube_ipvs_programmed_addresses gauge",
            "kube_ipvs_programmed_destinations gauge",
            "kube_ipvs_programmed_virtual_servers gauge",
            "kube_ipvs_refused_addresses_total counter",
            "kube_ipvs_services gauge",
            "kube_ipvs_source_faults_total counter",
            "kube_ipvs_sync_kernel_duration_seconds histogram",
            "kube_ipvs_sync_planning_duration_seconds histogram",
            "kube_ipvs_sync_queue_depth gauge",
            "kubeproxy_network_programming_duration_seconds histogram",
            "kubeproxy_proxy_healthz_total counter",
            "kubeproxy_proxy_livez_total counter",
            "kubeproxy_sync_proxy_rules_duration_seconds histogram",
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending gauge",
            "kubeproxy_sync_proxy_rules_endpoint_changes_total counter",
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge",
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge",
            "kubeproxy_sync_proxy_rules_service_changes_pending gauge",
            "kubeproxy_sync_proxy_rules_service_changes_total counter",
            "process_cpu_seconds_total counter",
            "process_open_fds gauge",
            "process_resident_memory_bytes gauge",
            "process_start_time_seconds gauge",
        });
}

TEST_CASE(
    "connections are counted by Service, and of 1001 Services the last has no series of its own") {
  Metrics metrics;
  exercise(metrics);
  const auto has = [&](const std::string& line) {
    return metrics.text().find("\n" + line + "\n") != std::string::npos;
  };
  CHECK(
      has(R"(kube_ipvs_connections_cut_total{cause="pod_gone",name="web",namespace="default"} 3)"));
  CHECK(has(R"(kube_ipvs_connections_drained_total{name="web",namespace="default"} 41212)"));
  CHECK(has(R"(kube_ipvs_draining_destinations{name="web",namespace="default"} 2)"));
  CHECK(has(R"(kube_ipvs_draining_connections{name="web",namespace="default"} 7)"));
  metrics.set_draining({});
  CHECK(metrics.text().find("kube_ipvs_draining_connections{") == std::string::npos);
  for (int n = 1; n <= 1001; ++n) {
    metrics.connections_drained({.ns = "default", .name = std::to_string(n)}, 1);
  }
  CHECK(has(R"(kube_ipvs_connections_drained_total{name="999",namespace="default"} 1)"));
  CHECK(has(R"(kube_ipvs_connections_drained_total{name="other",namespace=""} 2)"));
}

TEST_CASE("each event is counted under its labels") {
  Metrics metrics;
  exercise(metrics);
  metrics.kernel_error("NEW_DEST", ENOMEM);
  metrics.kernel_error("NEW_DEST", -1);
  metrics.drift("table");
  const std::string text = metrics.text();
  for (const char* line :
       {R"(kube_ipvs_kernel_errors_total{command="NEW_DEST",errno="ENOMEM"} 2)",
        R"(kube_ipvs_kernel_errors_total{command="NEW_DEST",errno="UNKNOWN"} 1)",
        R"(kube_ipvs_drift_corrected_total{kind="server"} 1)",
        R"(kube_ipvs_drift_corrected_total{kind="table"} 1)",
        R"(kube_ipvs_source_faults_total{kind="decode"} 1)",
        R"(kube_ipvs_events_total{result="posted"} 1)",
        R"(kubeproxy_proxy_healthz_total{code="200"} 1)",
        R"(kubeproxy_proxy_livez_total{code="503"} 1)", "kube_ipvs_kernel_operations_total 12",
        "kube_ipvs_conflicts_total 1", "kubeproxy_sync_proxy_rules_service_changes_total 1",
        "kubeproxy_sync_proxy_rules_endpoint_changes_total 1",
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds 1795169472",
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds 1795169471",
        "kubeproxy_sync_proxy_rules_duration_seconds_count 1",
        R"(kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="0.004"} 1)",
        R"(kubeproxy_network_programming_duration_seconds_bucket{le="1"} 0)",
        R"(kubeproxy_network_programming_duration_seconds_bucket{le="2"} 1)"}) {
    INFO(line);
    CHECK(has_line(text, line));
  }
}

TEST_CASE("a reason of conditions that is over is exported as 0 (A1)") {
  Metrics metrics;
  metrics.set({.conditions = {{"KernelRefused", 2}, {"AddressTaken", 1}}});
  CHECK(has_line(metrics.text(), "kube_ipvs_conditions{reason=\"KernelRefused\"} 2"));
  metrics.set({.conditions = {{"AddressTaken", 1}}});
  CHECK(has_line(metrics.text(), "kube_ipvs_conditions{reason=\"KernelRefused\"} 0"));
  CHECK(has_line(metrics.text(), "kube_ipvs_conditions{reason=\"AddressTaken\"} 1"));
}

TEST_CASE("gauges show what they were set to last") {
  Metrics metrics;
  metrics.set({.queue_depth = 1,
               .pending_service_changes = 2,
               .pending_endpoint_changes = 3,
               .desired_servers = 4,
               .desired_destinations = 5,
               .desired_addresses = 6,
               .programmed_servers = 7,
               .programmed_destinations = 8,
               .programmed_addresses = 9,
               .draining_servers = 10,
               .foreign_servers = 11,
               .failing_keys = 12,
               .forward_dropping = 16,
               .kube_proxy_chains = 19,
               .kube_proxy_sets = 20,
               .kube_proxy_running = true,
               .lacking_local_internal = 17,
               .lacking_local_external = 18,
               .services = 13,
               .pods = 14,
               .slices = 15});
  const std::string text = metrics.text();
  for (const char* line :
       {"kube_ipvs_sync_queue_depth 1",
        "kubeproxy_sync_proxy_rules_service_changes_pending 2",
        "kubeproxy_sync_proxy_rules_endpoint_changes_pending 3",
        "kube_ipvs_desired_virtual_servers 4",
        "kube_ipvs_desired_destinations 5",
        "kube_ipvs_desired_addresses 6",
        "kube_ipvs_programmed_virtual_servers 7",
        "kube_ipvs_programmed_destinations 8",
        "kube_ipvs_programmed_addresses 9",
        "kube_ipvs_draining_virtual_servers 10",
        "kube_ipvs_foreign_virtual_servers 11",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"internal\"} 17",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"external\"} 18",
        "kube_ipvs_failing_keys 12",
        "kube_ipvs_forward_dropping_chains 16",
        "kube_ipvs_kube_proxy_chains 19",
        "kube_ipvs_kube_proxy_ipsets 20",
        "kube_ipvs_kube_proxy_running 1",
        "kube_ipvs_services 13",
        "kube_ipvs_pods 14",
        "kube_ipvs_endpointslices 15"}) {
    INFO(line);
    CHECK(has_line(text, line));
  }
}

TEST_CASE("the process_* metrics are read at the scrape") {
  const std::string text = Metrics().text();
  for (const char* name :
       {"process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"}) {
    INFO(name);
    const auto at = text.find(std::string("\n") + name + " ");
    REQUIRE(at != std::string::npos);
    CHECK(std::stod(text.substr(at + std::string(name).size() + 2)) > 0);
  }
}

TEST_CASE("promtool accepts the metrics, before and after something is counted") {
  Metrics metrics;
  CHECK(promtool_complaint(metrics.text()).empty());
  exercise(metrics);
  CHECK(promtool_complaint(metrics.text()).empty());
}

TEST_CASE("promtool rejects text that is no metrics page") {
  CHECK_FALSE(promtool_complaint("no metrics at all\n").empty());
}
