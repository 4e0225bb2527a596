// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/summary.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch_test_macros.hpp>

namespace {

namespace json = boost::json;

constexpr const char* kServices = R"({"items": [
  {"namespace": "default", "name": "web", "type": "NodePort", "served": true,
   "ports": [{"name": "", "port": 80, "protocol": "TCP", "servers": [
     {"server": "TCP 10.96.0.1:80", "field": "clusterIP", "scheduler": "rr", "wantedDestinations": 2},
     {"server": "TCP 192.0.2.1:30080", "field": "nodePort", "scheduler": "sh",
      "persistenceSeconds": 600, "wantedDestinations": 1},
     {"server": "TCP 192.0.2.9:80", "field": "externalIP"}]}],
   "endpoints": [
     {"endpoint": "10.244.0.1:8080", "pod": "web-1", "state": "serving", "wantedWeight": 1},
     {"endpoint": "10.244.0.2:8080", "state": "serving", "wantedWeight": 5},
     {"endpoint": "10.244.0.3:8080", "pod": "web-3", "state": "out", "wantedWeight": 0,
      "why": {"object": "Pod default/web-3", "note": "not ready"}}]},
  {"namespace": "default", "name": "\u001b[31m", "type": "ExternalName", "served": false}]})";

constexpr const char* kConditions = R"({"node": [{"field": "metrics", "message": "of this node"}],
  "objects": [{"object": "Service default/web", "reason": "AddressRefused",
               "message": "192.0.2.9 is a gateway of this node: not served"}]})";

}  // namespace

TEST_CASE("the summary of a plan shows each Service with its virtual servers and endpoints") {
  const auto refused = agent::refused_lines(json::parse(kConditions));
  CHECK(agent::summary_text(json::parse(kServices), refused) ==
        "default/web  NodePort\n"
        "  clusterIP   TCP 10.96.0.1:80     rr, 2 endpoints\n"
        "  nodePort    TCP 192.0.2.1:30080  sh, persistent 600 s, 1 endpoint\n"
        "  externalIP  TCP 192.0.2.9:80     not served here\n"
        "  endpoint    10.244.0.1:8080      web-1 serving\n"
        "  endpoint    10.244.0.2:8080      serving, weight 5\n"
        "  endpoint    10.244.0.3:8080      web-3 out: not ready (Pod default/web-3)\n"
        "default/\\x1b[31m  ExternalName: not served\n"
        "not as asked: Service default/web: AddressRefused: 192.0.2.9 is a gateway of this node: "
        "not served\n");
}

TEST_CASE("the summary of a plan says where there is nothing") {
  CHECK(agent::summary_text(json::parse(R"({"items": []})"), {}) == "there are no Services\n");
  CHECK(agent::summary_text(json::value(), {}) == "there are no Services\n");
}
