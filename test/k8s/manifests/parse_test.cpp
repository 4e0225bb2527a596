// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/parse.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "k8s/manifests/json.hpp"

namespace {

using namespace k8s;

ParsedManifest parse(const std::string& text) {
  return parse_manifest(text, ManifestFormat::kYaml);
}

ParsedManifest parse_json(const std::string& text) {
  return parse_manifest(text, ManifestFormat::kJson);
}

std::string scalar(const std::string& text) {
  return boost::json::serialize(resolve_plain_scalar(text));
}

std::vector<std::string> faults(const ParsedManifest& parsed) {
  std::vector<std::string> all;
  for (const ManifestFault& fault : parsed.faults) {
    all.push_back(std::to_string(fault.line) + ": " + fault.what);
  }
  return all;
}

using Lines = std::vector<std::string>;

const std::string kService = R"(apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http}
)";

std::string pod(const std::string& spec, const std::string& status) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {" + spec + "}\nstatus: {" +
         status + "}\n";
}

TEST_CASE("plain YAML scalars get the types that kubectl gives them") {
  for (const char* word : {"y", "Y", "yes", "Yes", "on", "ON", "true", "True"}) {
    CHECK(scalar(word) == "true");
  }
  for (const char* word : {"n", "no", "NO", "off", "Off", "false", "FALSE"}) {
    CHECK(scalar(word) == "false");
  }
  for (const char* word : {"", "~", "null", "Null", "NULL"}) CHECK(scalar(word) == "null");
  CHECK(scalar("80") == "80");
  CHECK(scalar("-3") == "-3");
  CHECK(scalar("+3") == "3");
  CHECK(scalar("0x1f") == "31");
  CHECK(scalar("0b101") == "5");
  CHECK(scalar("0o17") == "15");
  CHECK(scalar("0777") == "511");
  CHECK(scalar("08") == "8");
  CHECK(scalar("1_000") == "1000");
  CHECK(scalar("18446744073709551615") == "18446744073709551615");
  CHECK(scalar("80.0") == "80");
  CHECK(scalar(".5") == "5E-1");
  CHECK(scalar("1e3") == "1000");
}

TEST_CASE("text that only resembles a number, a date or a boolean is a string") {
  for (const char* word : {"10.96.0.1", "1.2.3", "2026-11-22", "2026-11-22T10:00:00Z", "1:30", "0x",
                           "-", ".", "+", "1e", "0b2", "yEs", "tRue", "nil", "v1", "_1", "1.e+"}) {
    CHECK(scalar(word) == "\"" + std::string(word) + "\"");
  }
}

TEST_CASE("a Service in YAML equals the same Service in JSON") {
  const ParsedManifest yaml = parse(kService);
  const ParsedManifest json = parse_json(
      R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"default"},)"
      R"("spec":{"selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":"http"}]}})");
  REQUIRE(faults(yaml) == Lines{});
  REQUIRE(faults(json) == Lines{});
  REQUIRE(yaml.of<Service>().entries.size() == 1);
  REQUIRE(json.of<Service>().entries.size() == 1);
  CHECK(yaml.of<Service>().entries[0]->is_same_as(*json.of<Service>().entries[0]));
  const Service& service = yaml.of<Service>().entries[0]->object;
  CHECK(service.meta.key == ObjectKey{"default", "web"});
  CHECK(service.selector == Labels{{"app", "web"}});
  CHECK(service.ports.at(0).target_port == TargetPort{std::string("http")});
}

TEST_CASE("every document of a file and every object of a List is read, each with its line") {
  const ParsedManifest parsed = parse("# a comment\n" + kService + R"(---
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: one}
  spec: {ports: [{port: 1}]}

- apiVersion: v1
  kind: Node
  metadata: {name: n1, namespace: ignored}
)");
  REQUIRE(faults(parsed) == Lines{});
  REQUIRE(parsed.of<Service>().entries.size() == 2);
  CHECK(parsed.of<Service>().entries[0]->line == 2);
  CHECK(parsed.of<Service>().entries[1]->line == 15);
  REQUIRE(parsed.of<Node>().entries.size() == 1);
  CHECK(parsed.of<Node>().entries[0]->line == 20);
  CHECK(parsed.of<Node>().entries[0]->object.meta.key == ObjectKey{"", "n1"});
}

TEST_CASE("each item of a JSON List has its line") {
  const ParsedManifest parsed = parse_json(R"({
  "kind": "List", "apiVersion": "v1", "note": ["items", {"items": [1]}],
  "items": [
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one", "labels": {"a": "]\"["}},
     "spec": {"ports": [{"port": 1}, {"name": "b", "port": 2}]}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "two"}, "spec": {"ports": [{"port": 70000}]}}
  ]
}
{"kind": "Ingress", "apiVersion": "networking.k8s.io/v1"})");
  REQUIRE(parsed.of<Service>().entries.size() == 2);
  CHECK(parsed.of<Service>().entries[0]->line == 4);
  CHECK(faults(parsed) ==
        Lines{"6: Service default/two: spec.ports[0].port: 70000 is not a port number (1-65535): "
              "left out",
              "9: kind Ingress of networking.k8s.io/v1 is not used here: skipped"});
}

TEST_CASE("the items of a typed list need no kind of their own") {
  const ParsedManifest parsed = parse_json(
      R"({"kind":"ServiceList","apiVersion":"v1","items":[{"metadata":{"name":"a"},"spec":{"ports":[{"port":1}]}}]})");
  CHECK(faults(parsed) == Lines{});
  CHECK(parsed.of<Service>().entries.size() == 1);
}

TEST_CASE("unused kinds are reported once each, and a Namespace is skipped silently") {
  const ParsedManifest parsed = parse(R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: web}
)");
  CHECK_FALSE(parsed.incomplete);
  CHECK(faults(parsed) ==
        Lines{"2: kind Deployment of apps/v1 is not used here: skipped",
              "6: kind ConfigMap is not used here: skipped",
              "13: kind Service of serving.knative.dev/v1 is not used here: skipped"});
}

TEST_CASE("an unsupported apiVersion is a fault of that object") {
  const ParsedManifest parsed = parse(R"(
apiVersion: discovery.k8s.io/v1beta1
kind: EndpointSlice
metadata: {name: web-1}
)");
  CHECK(parsed.of<EndpointSlice>().refused == std::vector<ObjectKey>{{"default", "web-1"}});
  CHECK(faults(parsed) ==
        Lines{"2: EndpointSlice default/web-1: apiVersion: discovery.k8s.io/v1 is "
              "needed, not \"discovery.k8s.io/v1beta1\""});
}

TEST_CASE("EndpointSlices of headless Services are left out, as by the API server's list (E8)") {
  const std::string text = R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {service.kubernetes.io/headless: ""}}
addressType: IPv4
endpoints: []
)";
  const ParsedManifest parsed = parse(text);
  CHECK(parsed.of<EndpointSlice>().entries.empty());
  CHECK(faults(parsed).empty());
  // Not so for DNS.
  const ParsedManifest with_them = parse_manifest(text, ManifestFormat::kYaml, nullptr, true);
  CHECK(with_them.of<EndpointSlice>().entries.size() == 1);
}

TEST_CASE("a label whose value is a number is left out, and named by object and field") {
  const ParsedManifest parsed = parse(R"(
apiVersion: v1
kind: Service
metadata:
  name: web
  labels: {version: 1}
spec: {ports: [{port: 80}]}
)");
  CHECK(parsed.of<Service>().entries.size() == 1);
  CHECK(faults(parsed) ==
        Lines{"2: Service default/web: metadata.labels[version]: 1 is not a string "
              "(quote it): left out"});
}

TEST_CASE("two labels of a Pod that are no text are both named, each once") {
  const ParsedManifest parsed = parse(R"(
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {version: 1, canary: true}}
status: {podIP: 10.244.0.1}
)");
  CHECK(parsed.of<Pod>().entries.size() == 1);
  CHECK(faults(parsed).size() == 2);
}

TEST_CASE("a broken document spoils only itself") {
  const ParsedManifest parsed =
      parse(kService + "---\nkind: Service\n  bad: [\n---\n" + pod("", "podIP: 10.0.0.1"));
  CHECK(parsed.incomplete);
  CHECK(parsed.of<Service>().entries.size() == 1);
  CHECK(parsed.of<Pod>().entries.size() == 1);
  REQUIRE(!parsed.faults.empty());
  CHECK(parsed.faults[0].line >= 10);
  CHECK(parsed.faults[0].line <= 12);
}

TEST_CASE("invalid JSON is reported with its line") {
  const ParsedManifest parsed = parse_json("{\n \"kind\": \"Service\",\n oops\n}");
  CHECK(parsed.incomplete);
  REQUIRE(parsed.faults.size() == 1);
  CHECK(parsed.faults[0].line == 3);
  CHECK(parsed.faults[0].what.starts_with("not valid JSON"));
}

TEST_CASE("a document without a kind or name may hide objects") {
  for (const char* text :
       {"- a\n", "metadata: {name: x}\n", "apiVersion: v1\nkind: Pod\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: 123}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: A_b}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: 7}\n",
        "apiVersion: v1\nkind: List\nitems: 3\n", "apiVersion: v1\nkind: List\nitems: [3]\n"}) {
    CAPTURE(text);
    const ParsedManifest parsed = parse(text);
    CHECK(parsed.incomplete);
    CHECK(parsed.faults.size() == 1);
  }
  CHECK(faults(parse("apiVersion: v1\nkind: Pod\nmetadata: {name: 123}\n")) ==
        Lines{"1: Pod: metadata.name: is not a string (quote it)"});
}

TEST_CASE("an empty file has no objects and no fault") {
  for (const char* text : {"", "\n", "# nothing\n", "---\n---\n"}) {
    const ParsedManifest parsed = parse(text);
    CHECK(faults(parsed) == Lines{});
    CHECK_FALSE(parsed.incomplete);
  }
  CHECK(faults(parse_json("  \n")) == Lines{});
  CHECK(faults(parse_json("null")) == Lines{});
}

TEST_CASE("a Pod with only an address is running and ready") {
  const ParsedManifest parsed = parse(pod("", "podIP: 10.0.0.1"));
  REQUIRE(faults(parsed) == Lines{});
  const ManifestEntry<Pod>& entry = *parsed.of<Pod>().entries.at(0);
  CHECK(entry.object.phase == PodPhase::kRunning);
  CHECK(entry.object.ready);
  CHECK(entry.extras.grace_seconds == 30);
}

TEST_CASE("a Pod's status in the manifest is used") {
  const auto only = [](const std::string& spec, const std::string& status) {
    const ParsedManifest parsed = parse(pod(spec, "podIP: 10.0.0.1, " + status));
    REQUIRE(faults(parsed) == Lines{});
    return *parsed.of<Pod>().entries.at(0);
  };
  CHECK_FALSE(only("", "conditions: []").object.ready);
  CHECK_FALSE(only("", "conditions: [{type: Ready, status: \"False\"}]").object.ready);
  CHECK(only("", "conditions: [{type: Ready, status: \"True\"}]").object.ready);
  CHECK(only("", "conditions: ~").object.ready);
  CHECK_FALSE(only("", "phase: Succeeded").object.ready);
  CHECK(only("", "phase: Succeeded").object.phase == PodPhase::kSucceeded);
  CHECK(only("terminationGracePeriodSeconds: 0", "").extras.grace_seconds == 0);
  CHECK(only("terminationGracePeriodSeconds: 90", "").extras.grace_seconds == 90);
}

TEST_CASE("a Pod without an address is refused, because no kubelet will assign one") {
  const ParsedManifest parsed = parse("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n");
  CHECK(parsed.of<Pod>().refused == std::vector<ObjectKey>{{"default", "x"}});
  CHECK(faults(parsed) == Lines{"1: Pod default/x: status.podIP: missing, and no kubelet assigns "
                                "one here"});
  CHECK(faults(parse(pod("terminationGracePeriodSeconds: -1", "podIP: 10.0.0.1"))).size() == 1);
}

TEST_CASE("the fields that direct the allocator are read") {
  const auto extras = [](const std::string& spec) {
    const ParsedManifest parsed =
        parse("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 1}], " +
              spec + "}\n");
    REQUIRE(faults(parsed) == Lines{});
    return parsed.of<Service>().entries.at(0)->extras;
  };
  CHECK(extras("").family_policy == FamilyPolicy::kSingleStack);
  CHECK(extras("ipFamilyPolicy: PreferDualStack").family_policy == FamilyPolicy::kPreferDualStack);
  CHECK(extras("ipFamilies: [IPv6, IPv4]").families ==
        std::vector<IpFamily>{IpFamily::kIpv6, IpFamily::kIpv4});
  CHECK_FALSE(extras("allocateLoadBalancerNodePorts: false").allocate_node_ports);
  for (const char* spec :
       {"ipFamilyPolicy: Both", "ipFamilyPolicy: 2", "ipFamilies: [IPv5]",
        "ipFamilies: [IPv4, IPv4]", "ipFamilies: IPv4", "allocateLoadBalancerNodePorts: \"no\""}) {
    CAPTURE(spec);
    const ParsedManifest parsed =
        parse("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 1}], " +
              std::string(spec) + "}\n");
    CHECK(parsed.of<Service>().entries.size() == 1);
    CHECK(faults(parsed).size() == 1);
  }
}

TEST_CASE("hidden files and editors' backups are not manifests") {
  for (const char* name : {"a.yaml", "a.yml", "a.json"}) CHECK(is_manifest_name(name));
  for (const char* name : {".a.yaml", ".a.yaml.swp", "a.yaml~", "#a.yaml#", "a.yaml.tmp", "4913",
                           "..data", "a.txt", ""}) {
    CHECK_FALSE(is_manifest_name(name));
  }
}

}  // namespace
