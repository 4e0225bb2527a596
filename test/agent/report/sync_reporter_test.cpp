// SPDX-License-Identifier: Apache-2.0
#include "agent/report/sync_reporter.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <map>
#include <string>

#include "test/agent/report/report_fixture.hpp"

namespace agent {
namespace {

using namespace agent::test;

const std::string kErrors = "kube_ipvs_kernel_errors_total";

}  // namespace

TEST_CASE_METHOD(ReportFixture, "a change is pending until the pass that carries it out") {
  reporter.service_changed();
  reporter.endpoint_changed();
  reporter.endpoint_changed();
  CHECK(reporter.pending_service_changes() == 1);
  CHECK(reporter.pending_endpoint_changes() == 2);
  reporter.on_pass({.services = 1, .operations = 3});
  CHECK(reporter.pending_service_changes() == 0);
  CHECK(reporter.pending_endpoint_changes() == 0);
  CHECK(metric("kubeproxy_sync_proxy_rules_endpoint_changes_total") == "2");
  CHECK(metric("kube_ipvs_kernel_operations_total") == "3");
}

TEST_CASE_METHOD(ReportFixture, "only the first pass is logged, with what the kernel holds") {
  reporter.on_pass({.services = 2,
                    .operations = 5,
                    .first = true,
                    .held_servers = 4,
                    .held_destinations = 8,
                    .held_addresses = 2,
                    .foreign_servers = 1});
  CHECK(log.count(R"(info: "Table complete" services=2 operations=5 failed=0 duration="0.0ms" )"
                  "virtualServers=4 destinations=8 addresses=2 foreign=1") == 1);
  reporter.on_pass({.services = 1, .operations = 1});
  CHECK(log.count("info:") == 2);  // and where the time went
}

TEST_CASE_METHOD(ReportFixture, "a Service without endpoints is reported when it becomes so") {
  reporter.on_planned("default/web", planned(1));
  CHECK(log.text().empty());
  reporter.on_planned("default/web", planned(0));
  reporter.on_planned("default/web", planned(0));
  CHECK(log.count(R"("No endpoint is ready: connections are refused" service="default/web")") == 1);
  SECTION("and when it has one again") {
    reporter.on_planned("default/web", planned(2));
    CHECK(log.count(R"("Has endpoints again" service="default/web")") == 1);
  }
  SECTION("its deletion is not reported as endpoints") {
    reporter.on_planned("default/web", std::nullopt);
    CHECK(log.count("again") == 0);
  }
}

TEST_CASE_METHOD(ReportFixture, "a lingering Service without endpoints is not reported") {
  PlannedService lingering = planned(0);
  lingering.is_lingering = true;
  reporter.on_planned("default/web", lingering);
  CHECK(log.text().empty());
}

TEST_CASE_METHOD(ReportFixture, "Services that lack local endpoints are counted by policy") {
  PlannedService lacking = planned(1);
  lacking.lacks_local[1] = {.internal = true, .external = true};  // of IPv6
  reporter.on_planned("default/web", lacking);
  reporter.on_planned("default/web", lacking);
  using ipvs::Family;
  CHECK(reporter.lacking_local_internal(Family::kIpv6) == 1);
  CHECK(reporter.lacking_local_external(Family::kIpv6) == 1);
  CHECK(reporter.lacking_local_internal(Family::kIpv4) == 0);
  CHECK(reporter.lacking_local_external(Family::kIpv4) == 0);
  reporter.on_planned("default/web", std::nullopt);
  CHECK(reporter.lacking_local_internal(Family::kIpv6) == 0);
  CHECK(reporter.lacking_local_external(Family::kIpv6) == 0);
}

TEST_CASE_METHOD(ReportFixture,
                 "a notice is reported once, and again after the Service was deleted") {
  PlannedService refused = planned(1);
  refused.notices = {{.reason = NoticeReason::kAddressRefused,
                      .note = "192.0.2.1 is a gateway of this node: not served"}};
  reporter.on_planned("default/web", refused);
  reporter.on_planned("default/web", refused);
  CHECK(log.count(R"(warning: "192.0.2.1 is a gateway of this node: not served" )"
                  R"(service="default/web" reason="AddressRefused")") == 1);
  CHECK(metric("kube_ipvs_refused_addresses_total") == "1");
  reporter.on_planned("default/web", std::nullopt);
  reporter.on_planned("default/web", refused);
  CHECK(log.count("192.0.2.1 is a gateway") == 2);
}

TEST_CASE_METHOD(ReportFixture, "a failure is counted by command and errno, and logged") {
  reporter.on_failure({.command = "NEW_DEST",
                       .error_number = ENOMEM,
                       .what = "NEW_DEST TCP 10.96.0.1:80 -> 10.244.0.1:8080",
                       .owner = "default/web"},
                      Remedy::kRetry);
  CHECK(log.count(R"(warning: "Kernel operation failed: trying again" err="NEW_DEST TCP )"
                  "10.96.0.1:80 -> 10.244.0.1:8080: Cannot allocate memory\" "
                  "service=\"default/web\"") == 1);
  CHECK(metric(kErrors + "{command=\"NEW_DEST\",errno=\"ENOMEM\"}") == "1");
}

TEST_CASE_METHOD(ReportFixture, "a lost reply is logged as no answer") {
  reporter.on_failure({.cause = ipvs::FailureCause::kNoAnswer,
                       .command = "NEWSETELEM",
                       .error_number = ipvs::kUnknownOutcome,
                       .what = "NEWSETELEM cluster-ips-4",
                       .owner = {}},
                      Remedy::kRetry);
  CHECK(log.count(R"(trying again" err="NEWSETELEM cluster-ips-4: no answer")") == 1);
  CHECK(metric(kErrors + "{command=\"NEWSETELEM\",errno=\"UNKNOWN\"}") == "1");
}

TEST_CASE_METHOD(ReportFixture, "a missing scheduler is counted, and not logged as a failure") {
  reporter.on_failure({.cause = ipvs::FailureCause::kSchedulerMissing,
                       .command = "NEW_SERVICE",
                       .error_number = ENOENT,
                       .what = "NEW_SERVICE TCP 10.96.0.1:80 scheduler mh",
                       .owner = "default/web"},
                      Remedy::kDefaultScheduler);
  CHECK(log.text().empty());
  CHECK(metric(kErrors + "{command=\"NEW_SERVICE\",errno=\"ENOENT\"}") == "1");
}

TEST_CASE_METHOD(ReportFixture,
                 "a conflict names the Service or the foreign server that has the place") {
  const ipvs::ServerKey key{ip("10.96.0.1"), 80};
  reporter.on_conflict({.owner = "default/web", .key = key, .holder = "default/older"});
  reporter.on_conflict({.owner = "default/web", .key = key, .holder = "default/older"});
  CHECK(log.count("\"TCP 10.96.0.1:80 is taken by Service default/older: not served there\" "
                  "service=\"default/web\"") == 1);
  CHECK(metric("kube_ipvs_conflicts_total") == "1");
  reporter.on_conflict(
      {.owner = "default/web", .key = key, .reason = agent::ConflictReason::kForeignServer});
  CHECK(log.count("is taken by a virtual server that is not ours") == 1);
}

TEST_CASE_METHOD(ReportFixture, "what was repaired in the kernel is counted by kind") {
  reporter.on_drift("server", 1, "TCP 10.96.0.1:80 was deleted by somebody else: added again");
  CHECK(log.count(R"(kind="server" what="TCP 10.96.0.1:80 was deleted by somebody else)") == 1);
  CHECK(metric("kube_ipvs_drift_corrected_total{kind=\"server\"}") == "1");
}

TEST_CASE_METHOD(
    ReportFixture,
    "a failure that lasts is logged once, and an Event if the object is to blame (A1)") {
  ipvs::Failure failure{.command = "NEW_DEST",
                        .error_number = EINVAL,
                        .what = "NEW_DEST TCP 10.96.0.1:80 -> 203.0.113.255:8080",
                        .owner = "default/web",
                        .blame = ipvs::Blame::kObject};
  for (failure.tries = 1; failure.tries < 6; ++failure.tries) {
    reporter.on_failure(failure, Remedy::kRetry);
  }
  CHECK(log.count("err=\"NEW_DEST TCP 10.96.0.1:80 -> 203.0.113.255:8080: Invalid argument\" "
                  "service=\"default/web\"") == 1);
  CHECK(log.count("203.0.113.255:8080: Invalid argument: not served there; tried again ever more "
                  "rarely") == 1);
  CHECK(log.count("203.0.113.255") == 2);
  CHECK(metric(kErrors + "{command=\"NEW_DEST\",errno=\"EINVAL\"}") == "5");
  reporter.on_failure_over(failure);
  CHECK(log.count(R"(203.0.113.255:8080" tries=6)") == 1);
}

TEST_CASE_METHOD(ReportFixture,
                 "a failure of the node that lasts is logged once for each object (A1)") {
  ipvs::Failure failure{.command = "RTM_NEWADDR",
                        .error_number = EPERM,
                        .what = "RTM_NEWADDR 10.96.0.1",
                        .owner = "default/web",
                        .blame = ipvs::Blame::kNode};
  for (failure.tries = 1; failure.tries < 6; ++failure.tries) {
    reporter.on_failure(failure, Remedy::kRetry);
  }
  CHECK(log.count("RTM_NEWADDR 10.96.0.1: Operation not permitted") == 1);
}

TEST_CASE_METHOD(ReportFixture, "conditions list what Services do not get, and since when (A1)") {
  CHECK(conditions.json() == "{\"node\":[],\"objects\":[]}\n");
  PlannedService refused = planned(1);
  refused.notices = {{.reason = NoticeReason::kAddressRefused, .note = "192.0.2.1 is \"taken\""}};
  reporter.on_planned("default/web", refused);
  const ipvs::ServerKey key{ip("10.96.0.1"), 80};
  reporter.on_conflict({.owner = "default/web", .key = key, .holder = "default/older"});
  const std::string before = conditions.json();
  CHECK(before.find(R"({"object":"Service default/web","reason":"AddressRefused",)"
                    R"("message":"192.0.2.1 is \"taken\"","since":"20)") != std::string::npos);
  CHECK(before.find(R"("reason":"AddressTaken","message":"TCP 10.96.0.1:80 is taken by Service )"
                    R"(default/older: not served there","since":"20)") != std::string::npos);
  using Counts = std::map<std::string, std::size_t>;
  CHECK(conditions.count() == Counts{{"AddressRefused", 1}, {"AddressTaken", 1}});
  SECTION("planned again, they stand, and as long as before") {
    reporter.on_planned("default/web", refused);
    reporter.on_conflict({.owner = "default/web", .key = key, .holder = "default/older"});
    CHECK(conditions.json() == before);
  }
  SECTION("they are over when the Service does not ask for it any more") {
    reporter.on_planned("default/web", planned(1));
    CHECK(conditions.count().empty());
  }
  SECTION("they are over when the Service is deleted") {
    reporter.on_planned("default/web", std::nullopt);
    CHECK(conditions.count().empty());
  }
}

TEST_CASE_METHOD(ReportFixture,
                 "a port of the agent that is taken is a condition, not the node's health (A1)") {
  const auto questions = {HealthQuestion::kAlive, HealthQuestion::kServing,
                          HealthQuestion::kHealthy};
  CHECK(health.set_fault("metrics", "127.0.0.1:10249: Address already in use"));
  CHECK_FALSE(health.set_fault("metrics", "127.0.0.1:10249: Address already in use"));
  for (const HealthQuestion question : questions) CHECK(health.judge(question).healthy);
  CHECK(conditions.json() ==
        R"({"node":[{"field":"metrics","message":"127.0.0.1:10249: Address already in use"}],)"
        R"("objects":[]})"
        "\n");
  CHECK(health.set_fault("metrics", ""));
  CHECK_FALSE(health.set_fault("metrics", ""));
  CHECK(conditions.json().starts_with("{\"node\":[],"));
}

TEST_CASE_METHOD(
    ReportFixture,
    "a refused batch of rules counts once per pass, in its elements' families (18.3)") {
  metrics.serves_ipv6(true);
  const auto count = [&](const std::string& family) {
    return metric("kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family=\"" +
                  family + "\"}");
  };
  ipvs::Failure failure{.command = "NEWSETELEM", .error_number = ENOMEM, .what = "", .owner = {}};
  for (const char* vip : {"10.96.0.1", "10.96.0.2"}) {
    ipvs::Element element{};
    element.address = ip(vip);
    failure.key = element;
    reporter.on_failure(failure, Remedy::kRetry);
  }
  CHECK(count("IPv4") == "1");
  CHECK(count("IPv6") == "0");
  reporter.on_pass_end();
  reporter.on_failure({.command = "NEWTABLE", .error_number = EPERM, .what = "", .owner = {}},
                      Remedy::kRetry);
  CHECK(count("IPv4") == "2");
  CHECK(count("IPv6") == "1");
  reporter.on_failure({.command = "NEW_DEST", .error_number = ENOMEM, .what = "", .owner = {}},
                      Remedy::kRetry);
  CHECK(count("IPv4") == "2");
}

TEST_CASE_METHOD(ReportFixture, "flows that were forgotten are counted by family (18.3)") {
  reporter.on_flows_forgotten(ipvs::Family::kIpv4, 7, 0.5);
  CHECK(metric("kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv4\"}") == "7");
  CHECK(metric("kubeproxy_conntrack_reconciler_sync_duration_seconds_sum{ip_family=\"IPv4\"}") ==
        "0.5");
}

TEST_CASE_METHOD(
    ReportFixture,
    "the latency of a change is within the life of this process, whatever clocks say (18.3)") {
  const auto now = ClusterState::unix_now();
  cluster.sinks().services->upsert(make_service("web", {"10.96.0.1"}));
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1", "fd00:244::1"});
  const auto change = [&](k8s::UnixSeconds ready_since) {
    pod.ready_since = ready_since;
    cluster.sinks().pods->upsert(pod);
    reporter.on_planned("default/web", planned(1));
    reporter.on_pass({});
  };
  const auto latency = [&](const std::string& what, const std::string& family) {
    return metric("kubeproxy_network_programming_duration_seconds" + what + "{ip_family=\"" +
                  family + "\"}");
  };
  change(now - 3600);  // the fixture's process began in 1970 by the wall clock, and just now really
  change(now + 3600);
  CHECK(latency("_count", "IPv4") == "2");
  CHECK(latency("_count", "IPv6") == "2");
  CHECK(std::stod(latency("_sum", "IPv4")) < 60);
  CHECK(std::stod(latency("_sum", "IPv4")) >= 0);
}

}  // namespace agent
