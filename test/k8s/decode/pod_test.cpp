// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <utility>

#include "k8s/decode/decode.hpp"

namespace {

using namespace k8s;

Pod decoded(std::string_view json) {
  auto result = decode_object<Pod>(json);
  INFO(result.fault.text());
  REQUIRE(result.fault.reason.empty());
  return std::move(result.object);
}

Pod with(const std::string& rest) {
  return decoded(R"({"metadata":{"name":"web-0","namespace":"shop"},)" + rest + "}");
}

Address ip(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("a Pod as the API server sends it is decoded with every field we use") {
  const Pod pod = decoded(R"({
    "metadata": {"name": "web-0", "namespace": "shop", "uid": "77", "resourceVersion": "9",
      "creationTimestamp": "1970-01-01T00:01:00Z", "deletionTimestamp": "1970-01-01T00:02:00Z",
      "deletionGracePeriodSeconds": 30, "labels": {"app": "web", "pod-template-hash": "x1"},
      "annotations": {"kube-ipvs.io/weight": "3", "prometheus.io/scrape": "true"}},
    "spec": {"nodeName": "node-1", "hostNetwork": true, "hostname": "pet-0", "subdomain": "pets",
      "containers": [
        {"name": "a", "env": [{"name": "http", "value": "1"}], "ports": [
          {"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 9}]},
        {"name": "b", "ports": [{"containerPort": 53, "protocol": "UDP", "name": "dns"}]}]},
    "status": {"phase": "Running", "podIP": "10.244.1.7",
      "podIPs": [{"ip": "10.244.1.7"}, {"ip": "fd00::1:7"}],
      "conditions": [{"status": "True", "type": "PodScheduled"},
                     {"status": "True", "type": "Ready"}, {"type": "ContainersReady"}]}
  })");
  CHECK(pod.meta.key.text() == "shop/web-0");
  CHECK(pod.meta.labels == Labels{{"app", "web"}, {"pod-template-hash", "x1"}});
  CHECK(pod.meta.annotations == Labels{{"kube-ipvs.io/weight", "3"}});
  CHECK(pod.meta.creation_timestamp == 60);
  CHECK(pod.meta.deletion_timestamp == 120);
  CHECK(pod.node_name == "node-1");
  CHECK(pod.host_network);
  CHECK(pod.hostname == "pet-0");
  CHECK(pod.subdomain == "pets");
  CHECK(pod.pod_ips == std::vector{ip("10.244.1.7"), ip("fd00::1:7")});
  CHECK(pod.phase == PodPhase::kRunning);
  CHECK(pod.ready);
  CHECK(pod.ports ==
        std::vector<ContainerPort>{{"http", Protocol::kTcp, 8080}, {"dns", Protocol::kUdp, 53}});
}

TEST_CASE("a Pod that is not scheduled yet has no address and is not ready") {
  const Pod pod = with(R"("spec":{},"status":{"phase":"Pending"})");
  CHECK(pod.pod_ips.empty());
  CHECK(pod.node_name.empty());
  CHECK_FALSE(pod.ready);
  CHECK(pod.phase == PodPhase::kPending);
}

TEST_CASE("podIPs takes precedence over podIP") {
  CHECK(with(R"("status":{"podIPs":[{"ip":"10.0.0.2"}],"podIP":"10.0.0.1"})").pod_ips ==
        std::vector{ip("10.0.0.2")});
  CHECK(with(R"("status":{"podIP":"10.0.0.1","podIPs":[]})").pod_ips ==
        std::vector{ip("10.0.0.1")});
  CHECK(with(R"("status":{"podIP":""})").pod_ips.empty());
}

TEST_CASE("a Pod is ready only if its condition Ready has the status True") {
  CHECK_FALSE(with(R"("status":{"conditions":[{"type":"Ready","status":"False"}]})").ready);
  CHECK_FALSE(with(R"("status":{"conditions":[{"type":"Ready","status":"Unknown"}]})").ready);
  CHECK_FALSE(with(R"("status":{"conditions":[{"type":"Initialized","status":"True"}]})").ready);
  CHECK(
      with(
          R"("status":{"conditions":[{"status":"True","type":"Ready"},{"type":"Later","status":"False"}]})")
          .ready);
}

TEST_CASE(
    "named ports of an init container count only if its restartPolicy is Always, and come last") {
  const Pod pod = with(R"("spec":{
    "initContainers":[
      {"ports":[{"name":"once","containerPort":1}]},
      {"ports":[{"name":"proxy","containerPort":2}],"restartPolicy":"Always"},
      {"restartPolicy":"Never","ports":[{"name":"never","containerPort":3}]}],
    "containers":[{"ports":[{"name":"web","containerPort":4}],"restartPolicy":"Always"}]})");
  CHECK(pod.ports ==
        std::vector<ContainerPort>{{"web", Protocol::kTcp, 4}, {"proxy", Protocol::kTcp, 2}});
}
