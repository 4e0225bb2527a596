// SPDX-License-Identifier: Apache-2.0
#include "agent/app.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "test/agent/app_fixture.hpp"

namespace agent {
namespace {

using namespace agent::test;
using ipvs::ServerKey;

const ServerKey kWeb{ip("10.96.0.1"), 80};

std::size_t destinations_of(const fake::FakeKernel& kernel, const ServerKey& key) {
  const auto server = kernel.servers.find(key);
  return server == kernel.servers.end() ? 0 : server->second.destinations.size();
}

// What an earlier run left of a Service with an external IP.
void leave_service(fake::FakeKernel& kernel, const std::string& address, std::uint16_t port) {
  kernel.addresses.insert(ip(address));
  kernel.servers[{ip(address), port}] = {
      .settings = {.key = {ip(address), port}, .scheduler = "rr"}};
  kernel.elements.insert({.kind = ipvs::ElementKind::kVirtualIp, .address = ip(address)});
  kernel.elements.insert({.kind = ipvs::ElementKind::kServiceIp,
                          .address = ip(address),
                          .traffic_class = ipvs::TrafficClass::kExternal,
                          .port = port});
  kernel.table_present = true;
}

}  // namespace

TEST_CASE_METHOD(AppFixture, "the kernel is not changed before every kind has been listed") {
  start();
  source->list(source->sinks.services,
               std::vector<k8s::Service>{make_service("web", {"10.96.0.1"})});
  const std::string health = get("/healthz", "healthz");
  CHECK(health.starts_with("HTTP/1.1 200"));  // it has a minute
  CHECK(stop() == 0);
  CHECK(kernel.log.empty());
  CHECK_FALSE(kernel.table_present);
}

TEST_CASE_METHOD(AppFixture, "a Service with a ready Pod is served, and stays so after SIGTERM") {
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  CHECK(kernel.violations.empty());
  CHECK(stop() == 0);
  CHECK(destinations_of(kernel, kWeb) == 1);
  CHECK(kernel.addresses.contains(ip("10.96.0.1")));
  CHECK(log.count("Stopping") == 1);
}

TEST_CASE_METHOD(AppFixture, "changes are counted, and pending until they are in the kernel") {
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  source->sinks.pods->upsert(make_pod("web-2", {"10.244.0.2"}));
  until_programmed(2);
  CHECK(metric("kubeproxy_sync_proxy_rules_service_changes_total") == "1");
  CHECK(metric("kubeproxy_sync_proxy_rules_endpoint_changes_total") != "0");
  CHECK(metric("kubeproxy_sync_proxy_rules_endpoint_changes_pending") == "0");
  CHECK(metric("kube_ipvs_programmed_destinations") == "2");
  CHECK(metric("kube_ipvs_services") == "1");
  CHECK(metric("kube_ipvs_pods") == "2");
}

TEST_CASE_METHOD(AppFixture,
                 "a change of the source of endpoints dismantles nothing, and is a metric (18.1)") {
  start_with({make_service("web", {"10.96.0.1"})},
             {make_pod("web-1", {"10.244.0.1"}), make_pod("web-2", {"10.244.0.2"})});
  until_programmed(2);
  CHECK(metric("kube_ipvs_endpoint_source{source=\"selector\"}") == "1");
  CHECK(metric("kube_ipvs_endpoint_source{source=\"endpointslice\"}") == "0");
  const auto operations = metric("kube_ipvs_kernel_operations_total");
  source->on_fault({.kind = "note", .what = "endpoints come from EndpointSlices, because"});
  source->list(source->sinks.slices,
               std::vector{make_slice("web-x", "web",
                                      {make_slice_endpoint("10.244.0.1", "web-1"),
                                       make_slice_endpoint("10.244.0.2", "web-2")})});
  source->sinks.endpoints_from_pods(false);
  until("the change is planned",
        [this] { return metric("kubeproxy_sync_proxy_rules_endpoint_changes_pending") == "0"; });
  CHECK(metric("kube_ipvs_endpoint_source{source=\"selector\"}") == "0");
  CHECK(metric("kube_ipvs_endpoint_source{source=\"endpointslice\"}") == "1");
  CHECK(metric("kube_ipvs_kernel_operations_total") == operations);
  CHECK(log.count("endpoints come from EndpointSlices, because") == 1);
  CHECK(metric("kube_ipvs_source_faults_total{kind=\"note\"}").empty());
  // From now on only slices count.
  source->sinks.slices->upsert(
      make_slice("web-x", "web", {make_slice_endpoint("10.244.0.1", "web-1")}));
  until("web-2 leaves", [this] { return destinations_of(kernel, kWeb) == 1; });
}

TEST_CASE_METHOD(AppFixture, "the page has the traffic of each Service port and endpoint") {
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  CHECK(metric("kube_ipvs_service_connections_total"
               "{namespace=\"default\",service=\"web\",port=\"80\",protocol=\"TCP\"}") == "0");
  CHECK(metric("kube_ipvs_endpoint_weight{namespace=\"default\",service=\"web\","
               "port=\"80\",protocol=\"TCP\",endpoint=\"10.244.0.1:8080\","
               "pod=\"web-1\"}",
               "/metrics/endpoints") == "1");
}

TEST_CASE_METHOD(AppFixture, "the page of SLIs has the result of the health check (18.3)") {
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  get("/livez");
  const auto sli = [this](const std::string& series) { return metric(series, "/metrics/slis"); };
  CHECK(sli("kubernetes_healthcheck{name=\"ping\",type=\"healthz\"}") == "1");
  CHECK(sli("kubernetes_healthcheck{name=\"ping\",type=\"livez\"}") == "1");
  CHECK(sli("kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"healthz\"}") ==
        "3");
}

TEST_CASE_METHOD(AppFixture,
                 "a Service without endpoints is reported once, and again when it has") {
  start_with({make_service("web", {"10.96.0.1"})}, {});
  CHECK(log.count(R"(connections are refused" service="default/web")") == 1);
  source->sinks.pods->upsert(make_pod("web-1", {"10.244.0.1"}));
  until("it has endpoints",
        [&] { return log.count(R"(endpoints again" service="default/web")") == 1; });
  CHECK(log.count("No endpoint is ready") == 1);
}

TEST_CASE_METHOD(AppFixture,
                 "what was left at the API server's address is gone before the first list (B1)") {
  config.manifests.clear();
  api_servers = ips({"198.51.100.77"});
  leave_service(kernel, "198.51.100.77", 8080);
  leave_service(kernel, "192.0.2.1", 80);
  start();
  CHECK(kernel.addresses == std::set<ipvs::Address>{ip("192.0.2.1")});
  CHECK_FALSE(kernel.servers.contains({ip("198.51.100.77"), 8080}));
  CHECK(kernel.servers.contains({ip("192.0.2.1"), 80}));
  CHECK(log.count("198.51.100.77 is the address of the API server: what was programmed there "
                  "before this start is deleted") == 1);
  CHECK(stop() == 0);
}

TEST_CASE_METHOD(AppFixture,
                 "a kernel that cannot be read does not keep the agent from starting (B1)") {
  config.manifests.clear();
  api_servers = ips({"198.51.100.77"});
  leave_service(kernel, "198.51.100.77", 8080);
  kernel.observe_error = ENOBUFS;
  start();
  CHECK(source->is_running);
  kernel.observe_error = 0;
}

TEST_CASE_METHOD(AppFixture, "a Service gets no address of the API server's, and others' (B1)") {
  config.manifests.clear();
  api_servers = ips({"198.51.100.77"});
  k8s::Service greedy = make_service("greedy", {"10.96.0.1"});
  greedy.external_ips = ips({"198.51.100.77", "192.0.2.1"});
  start_with({greedy}, {make_pod("web-1", {"10.244.0.1"})});
  CHECK_FALSE(kernel.addresses.contains(ip("198.51.100.77")));
  CHECK(kernel.addresses.contains(ip("192.0.2.1")));
  CHECK(log.count("198.51.100.77 is the address of the API server: not served\" "
                  "service=\"default/greedy\"") == 1);
  CHECK(metric("kube_ipvs_refused_addresses_total") == "1");
  // Its name leads elsewhere now: no other event is needed.
  source->servers = ips({"192.0.2.1"});
  source->on_servers();
  until("the addresses have changed places", [&] {
    return kernel.addresses.contains(ip("198.51.100.77")) &&
           !kernel.addresses.contains(ip("192.0.2.1"));
  });
  CHECK(destinations_of(kernel, {ip("198.51.100.77"), 80}) == 1);
}

TEST_CASE_METHOD(AppFixture, "a younger Service's cluster IP is not a tenant's to take (B5)") {
  k8s::Service tenant = make_service("tenant", {"10.96.0.98"});
  tenant.external_ips = ips({"10.96.0.99"});
  tenant.meta.creation_timestamp = 100;
  start_with({tenant}, {make_pod("web-1", {"10.244.0.1"})});
  k8s::Service pay = make_service("pay", {"10.96.0.99"}, {make_port(80, 9090)});
  pay.meta.creation_timestamp = 200;
  source->sinks.services->upsert(pay);
  until("it is reported", [&] {
    return log.count(
               "TCP 10.96.0.99:80 is taken by Service default/pay: not served there\" "
               "service=\"default/tenant\"") == 1;
  });
  const auto leads_to = [&](std::uint16_t port) {
    const auto server = kernel.servers.find({ip("10.96.0.99"), 80});
    return server != kernel.servers.end() && server->second.destinations.size() == 1 &&
           server->second.destinations[0].endpoint.port == port;
  };
  until("it is served", [&] { return leads_to(9090); });
  source->sinks.services->remove(pay.meta.key);
  until("the other succeeds it", [&] { return leads_to(8080); });
}

TEST_CASE_METHOD(AppFixture, "a claim that is lost is reported and counted once") {
  k8s::Service older = make_service("older", {"10.96.0.1"});
  k8s::Service younger = make_service("younger", {"10.96.0.1"});
  older.meta.creation_timestamp = 100;
  younger.meta.creation_timestamp = 200;
  start_with({older, younger}, {make_pod("web-1", {"10.244.0.1"})});
  younger.meta.labels["again"] = "yes";
  source->sinks.services->upsert(younger);
  source->sinks.pods->upsert(make_pod("web-2", {"10.244.0.2"}));
  until_programmed(2);
  CHECK(log.count("TCP 10.96.0.1:80 is taken by Service default/older: not served there\" "
                  "service=\"default/younger\"") == 1);
  CHECK(metric("kube_ipvs_conflicts_total") == "1");
}

TEST_CASE_METHOD(AppFixture, "a scheduler that the kernel does not have is done without") {
  kernel.absent_schedulers = {"mh"};
  k8s::Service web = make_service("web", {"10.96.0.1"});
  web.meta.annotations["kube-ipvs.io/scheduler"] = "mh";
  start_with({web}, {make_pod("web-1", {"10.244.0.1"})});
  until_programmed(1);
  CHECK(kernel.servers.at(kWeb).settings.scheduler == "rr");
  CHECK(metric("kube_ipvs_kernel_errors_total{command=\"NEW_SERVICE\",errno=\"ENOENT\"}") == "1");
}

TEST_CASE_METHOD(AppFixture, "modules are loaded while the first lists come, each scheduler once") {
  std::vector<k8s::Service> services;
  for (const char* scheduler : {"mh", "wrr", "mh", "quux", "rr"}) {
    const std::string number = std::to_string(services.size() + 1);
    services.push_back(make_service("web-" + number, {"10.96.0." + number}));
    services.back().meta.annotations["kube-ipvs.io/scheduler"] = scheduler;
  }
  start_with(services, {});
  CHECK(kernel.has_loaded_modules);
  CHECK(kernel.probed_schedulers == std::vector<std::string>{"mh", "wrr"});
  k8s::Service late = make_service("late", {"10.96.0.9"});
  late.meta.annotations["kube-ipvs.io/scheduler"] = "lc";
  source->sinks.services->upsert(late);
  until("it is served", [&] { return metric("kube_ipvs_programmed_virtual_servers") == "6"; });
  CHECK(kernel.probed_schedulers.size() == 2);
}

TEST_CASE_METHOD(AppFixture, "a refusal of the kernel is reported, counted and retried") {
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  kernel.fail_at(2, ENOMEM);  // the first is the hairpin element
  source->sinks.pods->upsert(make_pod("web-2", {"10.244.0.2"}));
  until("it is reported", [&] { return log.count("Cannot allocate memory") == 1; });
  CHECK(metric("kube_ipvs_failing_keys") == "1");
  CHECK(metric("kube_ipvs_kernel_errors_total{command=\"NEW_DEST\",errno=\"ENOMEM\"}") == "1");
  until_programmed(2);
}

TEST_CASE_METHOD(AppFixture, "node ports follow the node's addresses") {
  k8s::Service web = make_service("web", {"10.96.0.1"});
  web.type = k8s::ServiceType::kNodePort;
  web.ports.front().node_port = 30080;
  start_with({web}, {make_pod("web-1", {"10.244.0.1"})});
  CHECK(destinations_of(kernel, {ip("192.168.1.1"), 30080}) == 1);
  kernel.local_addresses.push_back(
      {.address = ip("192.168.1.2"), .interface_name = "eth0", .prefix_length = 24});
  kernel.notify({.node_addresses = true});
  until_programmed(3);
  CHECK(destinations_of(kernel, {ip("192.168.1.2"), 30080}) == 1);
}

TEST_CASE_METHOD(AppFixture, "a table that others deleted is installed again") {
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  const auto elements = kernel.elements;
  kernel.table_present = false;
  kernel.elements.clear();
  kernel.notify({.our_table = true});
  until("it is counted",
        [&] { return metric("kube_ipvs_drift_corrected_total{kind=\"table\"}") == "1"; });
  CHECK(kernel.table_present);
  CHECK(kernel.elements == elements);
}

TEST_CASE_METHOD(AppFixture, "a forward chain that drops is reported when it is added") {
  start_with({}, {});
  kernel.forward_chains = {{.family = 2, .table = "filter", .name = "FORWARD", .drops = true}};
  kernel.notify({.forwarding = true});
  until("it is reported", [&] { return log.count("ip filter FORWARD") == 1; });
  CHECK(metric("kube_ipvs_forward_dropping_chains") == "1");
}

TEST_CASE_METHOD(AppFixture, "what a source cannot use is reported and counted") {
  start_with({}, {});
  source->on_fault({.kind = "decode",
                    .what = "Service default/web: spec.ports: invalid",
                    .object = "Service default/web"});
  CHECK(log.count(R"(warning: "Invalid object or file" err="Service default/web: spec.ports: )"
                  R"(invalid" service="default/web")") == 1);
  CHECK(metric("kube_ipvs_source_faults_total{kind=\"decode\"}") == "1");
}

TEST_CASE_METHOD(AppFixture, "an invalid annotation is reported once") {
  k8s::Service web = make_service("web", {"10.96.0.1"});
  web.meta.annotations["kube-ipvs.io/slow-start"] = "soon";
  start_with({web}, {make_pod("web-1", {"10.244.0.1"})});
  source->sinks.pods->upsert(make_pod("web-2", {"10.244.0.2"}));
  until_programmed(2);
  CHECK(log.count("kube-ipvs.io/slow-start") == 1);
}

TEST_CASE_METHOD(AppFixture, "health says why it is not good, and counts its answers") {
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  CHECK(get("/healthz", "healthz").starts_with("HTTP/1.1 200"));
  k8s::Node node = make_node(kThisNode);
  node.meta.deletion_timestamp = 1;
  source->sinks.nodes->upsert(node);
  CHECK(get("/healthz", "healthz").starts_with("HTTP/1.1 503"));
  CHECK(get("/livez", "healthz").starts_with("HTTP/1.1 200"));
  CHECK(metric("kubeproxy_proxy_healthz_total{code=\"503\"}") == "1");
  CHECK(metric("kubeproxy_proxy_livez_total{code=\"200\"}") == "1");
  CHECK(get("/proxyMode").ends_with("ipvs"));
}

}  // namespace agent
