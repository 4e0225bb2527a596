// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <utility>

#include "k8s/decode/decode.hpp"

namespace {

using namespace k8s;

Service decoded(std::string_view json) {
  auto result = decode_object<Service>(json);
  INFO(result.fault.text());
  REQUIRE(result.fault.reason.empty());
  return std::move(result.object);
}

Service with_spec(const std::string& spec) {
  return decoded(R"({"metadata":{"name":"web","namespace":"shop"},"spec":{)" + spec + "}}");
}

Address ip(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("a Service as the API server sends it is decoded with every field we use") {
  const Service service = decoded(R"({
    "kind": "Service", "apiVersion": "v1",
    "metadata": {
      "name": "web", "namespace": "shop", "uid": "0a0b", "resourceVersion": "71",
      "creationTimestamp": "2026-11-22T10:00:00Z", "deletionTimestamp": "2026-11-22T11:00:30Z",
      "labels": {"app": "web", "service.kubernetes.io/service-proxy-name": "other"},
      "annotations": {"kube-ipvs.io/scheduler": "lc", "kubectl.kubernetes.io/last-applied": "{}"},
      "managedFields": [{"fieldsV1": {"f:spec": {"f:clusterIP": {}, "f:ports": [1, null, true]}}}]
    },
    "spec": {
      "ports": [
        {"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web", "nodePort": 30080},
        {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 5353, "appProtocol": "x"},
        {"name": "assoc", "protocol": "SCTP", "port": 9}
      ],
      "selector": {"app": "web", "tier": "front"},
      "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"],
      "type": "LoadBalancer", "externalIPs": ["192.0.2.9"],
      "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
      "loadBalancerSourceRanges": [" 10.1.2.3/8 ", "2001:db8::/32\n"],
      "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local",
      "healthCheckNodePort": 31000, "publishNotReadyAddresses": true,
      "trafficDistribution": "PreferClose", "ipFamilies": ["IPv4", "IPv6"]
    },
    "status": {"loadBalancer": {"ingress": [
      {"ip": "203.0.113.5", "ipMode": "VIP", "ports": []}, {"hostname": "lb.example.org"},
      {"ip": "203.0.113.6", "ipMode": "Proxy"}, {"ip": "127.0.0.1"}]}}
  })");

  CHECK(service.meta.key.text() == "shop/web");
  CHECK(service.meta.uid == "0a0b");
  CHECK(service.meta.resource_version == "71");
  CHECK(service.meta.creation_timestamp == 1795341600);
  CHECK(service.meta.deletion_timestamp == 1795345230);
  CHECK(service.meta.labels.at("service.kubernetes.io/service-proxy-name") == "other");
  CHECK(service.meta.labels.size() == 2);  // `get -l` asks for any
  CHECK(service.meta.annotations == Labels{{"kube-ipvs.io/scheduler", "lc"}});
  CHECK(service.type == ServiceType::kLoadBalancer);
  CHECK(service.cluster_ips == std::vector{ip("10.96.0.7"), ip("fd00::7")});
  CHECK_FALSE(service.headless);
  REQUIRE(service.ports.size() == 3);
  CHECK(service.ports[0] == ServicePort{.name = "http",
                                        .protocol = Protocol::kTcp,
                                        .port = 80,
                                        .node_port = 30080,
                                        .target_port = std::string("web")});
  CHECK(service.ports[1] == ServicePort{.name = "dns",
                                        .protocol = Protocol::kUdp,
                                        .port = 53,
                                        .node_port = 0,
                                        .target_port = std::uint16_t{5353}});
  CHECK(service.ports[2].protocol == Protocol::kSctp);
  CHECK(service.ports[2].target_port == TargetPort(std::uint16_t{0}));
  CHECK(service.selector == Labels{{"app", "web"}, {"tier", "front"}});
  CHECK(service.external_ips == std::vector{ip("192.0.2.9")});
  CHECK(service.load_balancer_ingress ==
        std::vector<LoadBalancerIngress>{{ip("203.0.113.5"), false}, {ip("203.0.113.6"), true}});
  CHECK(service.load_balancer_source_ranges ==
        std::vector<Cidr>{{ip("10.0.0.0"), 8}, {ip("2001:db8::"), 32}});
  CHECK(service.client_ip_affinity_seconds == 60);
  CHECK(service.internal_traffic_policy == TrafficPolicy::kLocal);
  CHECK(service.external_traffic_policy == TrafficPolicy::kLocal);
  CHECK(service.health_check_node_port == 31000);
  CHECK(service.publish_not_ready_addresses);
  CHECK(service.traffic_distribution == "PreferClose");
}

TEST_CASE("a Service with only a name has the API's defaults") {
  Service expected;
  expected.meta.key = {"", "web"};
  CHECK(decoded(R"({"metadata":{"name":"web"}})") == expected);
  CHECK(decoded(R"({"status":null,"spec":null,"metadata":{"labels":null,"name":"web"}})") ==
        expected);
}

TEST_CASE("clusterIPs takes precedence over clusterIP, and None makes a Service headless") {
  CHECK(with_spec(R"("clusterIP":"10.0.0.1","clusterIPs":["10.0.0.2"])").cluster_ips ==
        std::vector{ip("10.0.0.2")});
  CHECK(with_spec(R"("clusterIP":"10.0.0.1")").cluster_ips == std::vector{ip("10.0.0.1")});
  CHECK(with_spec(R"("clusterIP":"")").cluster_ips.empty());
  CHECK(with_spec(R"("clusterIP":"None")").headless);
  CHECK(with_spec(R"("clusterIP":"None","clusterIPs":["None"])").headless);
  CHECK(with_spec(R"("type":"ExternalName","clusterIP":"10.0.0.1")").cluster_ips.empty());
}

TEST_CASE("session affinity has a default timeout of three hours") {
  CHECK(with_spec(R"("sessionAffinity":"ClientIP")").client_ip_affinity_seconds == 10800);
  CHECK_FALSE(with_spec(R"("sessionAffinity":"None")").client_ip_affinity_seconds);
  CHECK_FALSE(with_spec(R"("sessionAffinity":"None","sessionAffinityConfig":{"clientIP":{}})")
                  .client_ip_affinity_seconds);
}

TEST_CASE("a targetPort of 0 or an empty string is the same as the port") {
  for (const char* target : {"0", "\"\"", "null"}) {
    const auto service =
        with_spec(R"("ports":[{"port":80,"targetPort":)" + std::string(target) + "}]");
    CHECK(service.ports.at(0).target_port == TargetPort(std::uint16_t{0}));
  }
}

TEST_CASE("a load balancer may give an address in 169.254.0.0/16, and no loopback address (A5)") {
  const Service service = decoded(
      R"({"metadata":{"name":"web"},"status":{"loadBalancer":{"ingress":[{"ip":"169.254.20.20"},)"
      R"({"ip":"127.0.0.1"},{"ip":"fe80::1"},{"ip":"0.0.0.0"}]}}})");
  CHECK(service.load_balancer_ingress ==
        std::vector<LoadBalancerIngress>{{ip("169.254.20.20"), false}});
}

TEST_CASE("one port number may be used by several protocols") {
  const auto service = with_spec(R"("ports":[{"name":"a","port":53,"nodePort":30053},)"
                                 R"({"name":"b","port":53,"protocol":"UDP","nodePort":30053}])");
  CHECK(service.ports.size() == 2);
}

TEST_CASE("an unknown traffic distribution counts as absent") {
  CHECK(with_spec(R"("trafficDistribution":"PreferMoon")").traffic_distribution.empty());
}

TEST_CASE("addresses given twice are kept once") {
  CHECK(with_spec(R"("externalIPs":["192.0.2.1","192.0.2.1"])").external_ips.size() == 1);
}

TEST_CASE("the name of an ExternalName Service is read, and of no other type") {
  CHECK(with_spec(R"("type":"ExternalName","externalName":"www.example.com")").external_name ==
        "www.example.com");
  CHECK(with_spec(R"("externalName":"db.example.com.","type":"ExternalName")").external_name ==
        "db.example.com");
  CHECK(with_spec(R"("type":"ClusterIP","externalName":"What was here")").external_name.empty());
}
