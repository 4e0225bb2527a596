// SPDX-License-Identifier: Apache-2.0
#include "agent/report/metrics.hpp"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
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

boost::asio::awaitable<void> keep_piece(std::vector<std::string>& pieces, std::string_view piece) {
  pieces.emplace_back(piece);
  co_return;
}

// One of each event.
void exercise(Metrics& metrics) {
  metrics.serves_ipv6(true);
  metrics.pass(0.004, 0.0001, 0.003, 12, 1795169472);
  metrics.set({.last_queued = 1795169471, .conditions = {{"KernelRefused", 1}}});
  metrics.service_changed();
  metrics.endpoint_changed();
  metrics.programming_latency(ipvs::Family::kIpv4, 1.5);
  metrics.rules_refused(ipvs::Family::kIpv6);
  metrics.flows_forgotten(ipvs::Family::kIpv4, 3, 0.002);
  metrics.api_request({.method = "GET", .host = "10.0.0.1:6443", .status = 200});
  metrics.api_request({.method = "POST",
                       .host = "10.0.0.1:6443",
                       .status = 0,
                       .time = std::chrono::milliseconds(20)});
  metrics.kernel_error("NEW_DEST", ENOMEM);
  metrics.drift("server");
  metrics.conflict();
  metrics.connections_cut({.ns = "default", .name = "web"}, "pod_gone", 3);
  metrics.connections_drained({.ns = "default", .name = "web"}, 41212);
  metrics.set_draining(
      {{.service = {.ns = "default", .name = "web"}, .destinations = 2, .connections = 7}});
  metrics.set_dns_requests("udp", "A", "NOERROR", 5);
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
            "kube_ipvs_config_last_reload_success_timestamp_seconds gauge",
            "kube_ipvs_config_last_reload_successful gauge",
            "kube_ipvs_config_restart_needed gauge",
            "kube_ipvs_conflicts_total counter",
            "kube_ipvs_connections_cut_total counter",
            "kube_ipvs_connections_drained_total counter",
            "kube_ipvs_desired_addresses gauge",
            "kube_ipvs_desired_destinations gauge",
            "kube_ipvs_desired_virtual_servers gauge",
            "kube_ipvs_dns_names gauge",
            "kube_ipvs_dns_requests_total counter",
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
            "kube_ipvs_localhost_node_port_bind_failures_total counter",
            "kube_ipvs_localhost_node_port_connections gauge",
            "kube_ipvs_localhost_node_port_connections_total counter",
            "kube_ipvs_localhost_node_ports gauge",
            "kube_ipvs_plan_digest gauge",
            "kube_ipvs_pods gauge",
            "kube_ipvs_programmed_addresses gauge",
            "kube_ipvs_programmed_destinations gauge",
            "kube_ipvs_programmed_version gauge",
            "kube_ipvs_programmed_virtual_servers gauge",
            "kube_ipvs_refused_addresses_total counter",
            "kube_ipvs_services gauge",
            "kube_ipvs_source_faults_total counter",
            "kube_ipvs_sync_kernel_duration_seconds histogram",
            "kube_ipvs_sync_planning_duration_seconds histogram",
            "kube_ipvs_sync_queue_depth gauge",
            "kubeproxy_conntrack_reconciler_deleted_entries_total counter",
            "kubeproxy_conntrack_reconciler_sync_duration_seconds histogram",
            "kubeproxy_network_programming_duration_seconds histogram",
            "kubeproxy_proxy_healthz_total counter",
            "kubeproxy_proxy_livez_total counter",
            "kubeproxy_sync_proxy_rules_duration_seconds histogram",
            "kubeproxy_sync_proxy_rules_endpoint_changes_pending gauge",
            "kubeproxy_sync_proxy_rules_endpoint_changes_total counter",
            "kubeproxy_sync_proxy_rules_iptables_restore_failures_total counter",
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge",
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge",
            "kubeproxy_sync_proxy_rules_service_changes_pending gauge",
            "kubeproxy_sync_proxy_rules_service_changes_total counter",
            "process_cpu_seconds_total counter",
            "process_open_fds gauge",
            "process_resident_memory_bytes gauge",
            "process_start_time_seconds gauge",
            "rest_client_request_duration_seconds histogram",
            "rest_client_requests_total counter",
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
  for (
      const char* line :
      {R"(kube_ipvs_kernel_errors_total{command="NEW_DEST",errno="ENOMEM"} 2)",
       R"(kube_ipvs_kernel_errors_total{command="NEW_DEST",errno="UNKNOWN"} 1)",
       R"(kube_ipvs_drift_corrected_total{kind="server"} 1)",
       R"(kube_ipvs_drift_corrected_total{kind="table"} 1)",
       R"(kube_ipvs_source_faults_total{kind="decode"} 1)",
       R"(kube_ipvs_events_total{result="posted"} 1)",
       R"(kubeproxy_proxy_healthz_total{code="200"} 1)",
       R"(kubeproxy_proxy_livez_total{code="503"} 1)",
       "kube_ipvs_kernel_operations_total 12",
       "kube_ipvs_conflicts_total 1",
       "kubeproxy_sync_proxy_rules_service_changes_total 1",
       "kubeproxy_sync_proxy_rules_endpoint_changes_total 1",
       R"(kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 1795169472)",
       R"(kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"} 1795169472)",
       R"(kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv6"} 1795169471)",
       R"(kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1)",
       R"(kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv6",le="0.004"} 1)",
       R"(kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="1"} 0)",
       R"(kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="2"} 1)",
       R"(kubeproxy_network_programming_duration_seconds_count{ip_family="IPv6"} 0)",
       R"(kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"} 0)",
       R"(kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv6"} 1)",
       R"(kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 3)",
       R"(kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv4"} 1)",
       R"(rest_client_requests_total{code="200",host="10.0.0.1:6443",method="GET"} 1)",
       R"(rest_client_requests_total{code="<error>",host="10.0.0.1:6443",method="POST"} 1)",
       R"(rest_client_request_duration_seconds_bucket{host="10.0.0.1:6443",verb="POST",le="0.025"} 1)"}) {
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

TEST_CASE("a node without IPv6 has no series of it, and none is observed") {
  Metrics metrics;
  metrics.pass(0.004, 0.0001, 0.003, 12, 1795169472);
  metrics.programming_latency(ipvs::Family::kIpv6, 1);
  metrics.flows_forgotten(ipvs::Family::kIpv6, 1, 1);
  metrics.rules_refused(ipvs::Family::kIpv6);
  metrics.set({});
  CHECK(metrics.text().find("IPv6") == std::string::npos);
}

TEST_CASE("a status that HTTP does not have is no label, and a watch has no duration") {
  Metrics metrics;
  for (const unsigned status : {0U, 7U, 600U, 99999U}) {
    metrics.api_request({.method = "GET", .host = "[::1]:443", .status = status});
  }
  CHECK(has_line(metrics.text(),
                 R"(rest_client_requests_total{code="<error>",host="[::1]:443",method="GET"} 4)"));
  CHECK(metrics.text().find("rest_client_request_duration") == std::string::npos);
}

TEST_CASE("labels that others choose are escaped") {
  Metrics metrics;
  metrics.api_request({.method = "GET", .host = "a\"b\\c\nd", .status = 200});
  CHECK(has_line(metrics.text(),
                 R"(rest_client_requests_total{code="200",host="a\"b\\c\nd",method="GET"} 1)"));
  CHECK(promtool_complaint(metrics.text()).empty());
}

TEST_CASE("gauges show what they were set to last") {
  Metrics metrics;
  metrics.serves_ipv6(true);
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
               .lacking_local_ipv4 = {.internal = 17, .external = 18},
               .lacking_local_ipv6 = {.internal = 21, .external = 22},
               .services = 13,
               .pods = 14,
               .slices = 15});
  const std::string text = metrics.text();
  for (
      const char* line :
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
       R"(kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy="internal",ip_family="IPv4"} 17)",
       R"(kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy="external",ip_family="IPv4"} 18)",
       R"(kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy="external",ip_family="IPv6"} 22)",
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

TEST_CASE("the page in pieces is the page, and a large family comes in several pieces") {
  Metrics metrics;
  exercise(metrics);
  for (int n = 1; n <= 999; ++n) {
    metrics.connections_drained({.ns = "default", .name = std::to_string(n)}, 1);
  }
  std::vector<std::string> pieces;
  const auto keep = [&](std::string_view piece) { return keep_piece(pieces, piece); };
  boost::asio::io_context context;
  boost::asio::co_spawn(context, metrics.write(keep), boost::asio::detached);
  context.run();
  std::string joined;
  std::size_t longest = 0;
  for (const std::string& piece : pieces) {
    joined += piece;
    longest = std::max(longest, piece.size());
  }
  const std::string text = metrics.text();
  CHECK(longest < 32 * 1024);
  CHECK(families(joined) == families(metrics.text()));
  CHECK(std::count(joined.begin(), joined.end(), '\n') ==
        std::count(text.begin(), text.end(), '\n'));
  CHECK(promtool_complaint(joined).empty());
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
