// SPDX-License-Identifier: Apache-2.0
//
// The whole agent: an object that the kernel refuses for good is that object's condition.
#include "agent/report/conditions.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>

#include "test/agent/app_fixture.hpp"
#include "test/fake/failing_kernel.hpp"

namespace {

using namespace agent::test;
using namespace std::chrono_literals;

class RefusingFixture : public AppFixture {
 public:
  RefusingFixture() : AppFixture(std::make_unique<fake::FailingKernel>()) {
    sync_options = agent::SyncOptions{
        .audit_interval = 1h, .retry_first = 1ms, .retry_limit = 4ms, .object_retry_limit = 10ms};
  }
  fake::FailingKernel& failing() { return static_cast<fake::FailingKernel&>(kernel); }
};

}  // namespace

TEST_CASE_METHOD(
    RefusingFixture,
    "what the kernel refuses of one Service is listed and retried, and no matter of health (A1)") {
  failing().break_call({.call = "change_servers", .error = EINVAL, .victims = {ip("10.96.0.66")}});
  start_with({make_service("bad", {"10.96.0.66"}), make_service("web", {"10.96.0.1"})},
             {make_pod("web-1", {"10.244.0.1"})});
  const std::string what = "NEW_SERVICE TCP 10.96.0.66:80 scheduler rr: Invalid argument";
  until("it is reported", [&] {
    return log.count(what +
                     ": not served there; tried again ever more rarely\" service=\"default/bad") ==
           1;
  });
  const std::string listed = get("/conditions", "metrics");
  CHECK(listed.find(
            R"("node":[],"objects":[{"object":"Service default/bad","reason":"KernelRefused",)"
            R"("field":"TCP 10.96.0.66:80 scheduler rr","command":"NEW_SERVICE",)"
            R"("errno":"EINVAL","message":")" +
            what + R"(","since":"20)") != std::string::npos);
  CHECK(metric("kube_ipvs_conditions{reason=\"KernelRefused\"}") == "1");
  CHECK(get("/healthz", "healthz").starts_with("HTTP/1.1 200"));
  CHECK(get("/readyz", "healthz").starts_with("HTTP/1.1 200"));
  CHECK(get("/conditions", "healthz").starts_with("HTTP/1.1 404"));  // that port is open to all
  failing().mend();
  until("it is accepted", [&] { return log.count("not refused any more") == 1; });
  CHECK(log.count("Invalid argument") == 2);
  CHECK(metric("kube_ipvs_conditions{reason=\"KernelRefused\"}") == "0");
  CHECK(get("/conditions", "metrics").ends_with("{\"node\":[],\"objects\":[]}\n"));
}

TEST_CASE_METHOD(AppFixture,
                 "without IPv6 Services are served in IPv4, with one line, until it is back (A2)") {
  kernel.no_ipv6 = "the kernel has no IPv6";
  start_with({make_service("web", {"10.96.0.1", "fd00:10:96::1"}),
              make_service("api", {"10.96.0.2", "fd00:10:96::2"})},
             {make_pod("web-1", {"10.244.0.1", "fd00:10:244::1"})});
  CHECK(log.count("IPv6") == 1);
  CHECK(log.count(R"("Services are served in IPv4 only" cause="the kernel has no IPv6")") == 1);
  const auto is_v6 = [](const auto& each) { return each.first.address.is_v6(); };
  CHECK(kernel.servers.size() == 2);
  CHECK(std::none_of(kernel.servers.begin(), kernel.servers.end(), is_v6));
  CHECK(kernel.addresses.size() == 2);
  CHECK(get("/healthz", "healthz").starts_with("HTTP/1.1 200"));
  kernel.no_ipv6.clear();
  kernel.notify({.node_addresses = true});
  until_programmed(4);
  CHECK(kernel.servers.size() == 4);
  CHECK(kernel.addresses.size() == 4);
  CHECK(log.count("This host has IPv6 now") == 1);
}

TEST_CASE_METHOD(AppFixture,
                 "a node name that no Node has is reported, and when such a Node is there (F3)") {
  start();
  source->list<k8s::Node>(source->sinks.nodes, {make_node(kOtherNode)});
  source->list<k8s::Pod>(source->sinks.pods, {});
  source->list<k8s::EndpointSlice>(source->sinks.slices, {});
  source->list<k8s::Service>(source->sinks.services, {});
  until("the table is complete", [this] { return log.count("Table complete") > 0; });
  CHECK(log.count(R"(kubectl get nodes shows" node="node-1")") == 1);
  source->sinks.nodes->upsert(make_node(kThisNode));
  CHECK(log.count(R"(info: "The Node of this host is there now" node="node-1")") == 1);
  CHECK(log.count("No Node has the name") == 1);
}

TEST_CASE_METHOD(AppFixture,
                 "other Nodes that are forbidden are one line and a condition of the node, and "
                 "nothing waits for them (item 2)") {
  start();
  source->has_other_nodes = true;
  auto service = make_service("web", {"10.96.0.1"});
  service.external_ips = ips({"172.20.0.2"});
  source->list<k8s::Node>(source->sinks.nodes, {make_node(kThisNode)});
  source->list<k8s::Pod>(source->sinks.pods, {});
  source->list<k8s::EndpointSlice>(source->sinks.slices, {});
  source->list<k8s::Service>(source->sinks.services, {service});
  CHECK(get("/readyz", "healthz").find("the first list of other Nodes") != std::string::npos);
  source->on_no_other_nodes("Node list: 403 Forbidden");
  until("the table is complete", [this] { return log.count("Table complete") > 0; });
  CHECK(log.count("warning: \"Other Nodes are not known: ") == 1);
  CHECK(get("/conditions").find(R"({"field":"nodes","message":"Node list: 403 Forbidden"})") !=
        std::string::npos);
  CHECK(get("/healthz", "healthz").starts_with("HTTP/1.1 200"));
  CHECK(kernel.addresses.contains(ip("172.20.0.2")));
  source->list<k8s::Node>(source->sinks.other_nodes, {make_node(kOtherNode, "", "172.20.0.2")});
  until("the Node's address is released",
        [this] { return !kernel.addresses.contains(ip("172.20.0.2")); });
  CHECK(get("/conditions").find("403") == std::string::npos);
}

TEST_CASE_METHOD(AppFixture, "a setting that the kernel reports is put right at once (D4)") {
  start_with({}, {});
  kernel.changed_settings = {{"sysctl", "sysctl net.ipv4.ip_forward was 0: put right"}};
  kernel.notify({.settings = true});
  until("it is put right", [this] { return log.count("net.ipv4.ip_forward was 0") > 0; });
}
