// SPDX-License-Identifier: Apache-2.0
//
// Faults are judged by field: whatever single value of an object is corrupted, and however, every
// other field of it is still there, and a fault names the object and the field.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "k8s/decode/decode.hpp"
#include "k8s/manifests/parse.hpp"
#include "test/k8s/decode/encode.hpp"
#include "test/k8s/decode/encode_proto.hpp"

namespace {

using namespace k8s;
namespace json = boost::json;

using Step = std::variant<std::string, std::size_t>;
using Steps = std::vector<Step>;

std::string shown(const Steps& path) {
  std::string text;
  for (const Step& step : path) {
    if (const auto* key = std::get_if<std::string>(&step)) {
      text += (text.empty() ? "" : ".") + *key;
    } else {
      text += '[' + std::to_string(std::get<std::size_t>(step)) + ']';
    }
  }
  return text;
}

void collect(const json::value& value, const Steps& here, std::vector<Steps>& paths) {
  if (!here.empty()) paths.push_back(here);
  const auto below = [&](Step step, const json::value& child) {
    Steps next = here;
    next.push_back(std::move(step));
    collect(child, next, paths);
  };
  if (const auto* object = value.if_object()) {
    for (const auto& [key, child] : *object) below(std::string(key), child);
  } else if (const auto* array = value.if_array()) {
    for (std::size_t i = 0; i < array->size(); ++i) below(i, (*array)[i]);
  }
}

json::value& at(json::value& root, const Steps& path) {
  json::value* place = &root;
  for (const Step& step : path) {
    if (const auto* key = std::get_if<std::string>(&step)) {
      place = &place->as_object()[*key];
    } else {
      place = &place->as_array()[std::get<std::size_t>(step)];
    }
  }
  return *place;
}

// Fields that say the same as another: if one is lost, the other may change, too.
bool are_linked(std::string_view changed, std::string_view other) {
  for (const auto& [a, b] :
       {std::pair{"clusterIPs", "clusterIP"}, std::pair{"podIPs", "podIP"},
        std::pair{"podCIDRs", "podCIDR"}, std::pair{"sessionAffinity", "sessionAffinityConfig"}}) {
    if (changed == a && other == b) return true;
  }
  return false;
}

// Whether `now` is `before`, apart from what is at `path` (from its step `depth` on).
bool same_apart_from(const json::value& before, const json::value& now, const Steps& path,
                     std::size_t depth = 0) {
  if (depth == path.size()) return true;
  if (const auto* key = std::get_if<std::string>(&path[depth])) {
    if (!before.is_object() || !now.is_object()) return before == now;
    json::object a = before.as_object();
    json::object b = now.as_object();
    const json::value old_value = a[*key];
    const json::value new_value = b[*key];
    for (json::object* object : {&a, &b}) {
      object->erase(*key);
      for (const auto& [other, value] : json::object(*object)) {
        if (are_linked(*key, std::string_view(other))) object->erase(other);
      }
    }
    if (a != b) return false;
    // An object that has nothing left is not written at all.
    return new_value.is_null() || same_apart_from(old_value, new_value, path, depth + 1);
  }
  const std::size_t index = std::get<std::size_t>(path[depth]);
  json::array a = before.as_array();
  json::array b = now.is_array() ? now.as_array() : json::array();
  a.erase(a.begin() + static_cast<std::ptrdiff_t>(index));
  if (b.size() > a.size()) b.erase(b.begin() + static_cast<std::ptrdiff_t>(index));
  return a == b;
}

constexpr const char* kService = R"({
  "kind": "Service", "apiVersion": "v1",
  "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7",
    "labels": {"service.kubernetes.io/service-proxy-name": "x"},
    "annotations": {"kube-ipvs.io/scheduler": "wrr"},
    "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
    "deletionGracePeriodSeconds": 5},
  "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.7",
    "clusterIPs": ["10.96.0.7", "fd00::7"], "externalIPs": ["192.0.2.1", "192.0.2.2"],
    "selector": {"app": "web", "tier": "front"},
    "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
    "internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local",
    "loadBalancerSourceRanges": ["10.0.0.0/8", "192.168.0.0/16"], "healthCheckNodePort": 32000,
    "publishNotReadyAddresses": true, "trafficDistribution": "PreferClose",
    "ports": [
      {"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080, "targetPort": 8080},
      {"name": "dns", "protocol": "UDP", "port": 53, "nodePort": 30053, "targetPort": "dns"},
      {"name": "sctp", "protocol": "SCTP", "port": 9, "nodePort": 30009, "targetPort": 9}]},
  "status": {"loadBalancer": {"ingress": [
    {"ip": "198.51.100.1", "ipMode": "VIP"}, {"ip": "198.51.100.2", "ipMode": "Proxy"}]}}})";

constexpr const char* kPod = R"({
  "kind": "Pod", "apiVersion": "v1",
  "metadata": {"name": "web-0", "namespace": "shop", "resourceVersion": "7",
    "labels": {"app": "web", "tier": "front"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
  "spec": {"nodeName": "n1", "hostNetwork": true,
    "containers": [{"ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"},
                              {"name": "dns", "containerPort": 53, "protocol": "UDP"}]}]},
  "status": {"phase": "Running", "podIP": "10.244.0.5",
    "podIPs": [{"ip": "10.244.0.5"}, {"ip": "fd00::5"}],
    "conditions": [{"type": "Ready", "status": "True",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})";

constexpr const char* kNode = R"({
  "kind": "Node", "apiVersion": "v1",
  "metadata": {"name": "n1", "resourceVersion": "7",
    "labels": {"topology.kubernetes.io/zone": "z", "kubernetes.io/hostname": "n1"},
    "creationTimestamp": "2026-01-01T00:00:00Z"},
  "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24", "fd00::/64"],
    "taints": [{"key": "a"}, {"key": "b"}]},
  "status": {"addresses": [{"type": "InternalIP", "address": "203.0.113.1"},
    {"type": "ExternalIP", "address": "192.0.2.10"}]}})";

constexpr const char* kSlice = R"({
  "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
  "metadata": {"name": "web-x", "namespace": "shop", "resourceVersion": "7",
    "labels": {"kubernetes.io/service-name": "web"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
  "addressType": "IPv4",
  "endpoints": [
    {"addresses": ["10.244.0.5"], "nodeName": "n1", "zone": "z",
     "conditions": {"ready": false, "serving": false, "terminating": true},
     "targetRef": {"kind": "Pod", "name": "web-0"},
     "hints": {"forZones": [{"name": "z"}], "forNodes": [{"name": "n1"}]}},
    {"addresses": ["10.244.0.6"], "nodeName": "n2", "zone": "z",
     "conditions": {"ready": true, "serving": true, "terminating": false}}],
  "ports": [{"name": "http", "protocol": "TCP", "port": 8080},
            {"name": "dns", "protocol": "UDP", "port": 53}]})";

// Those that take the place of every value, one at a time.
const std::vector<json::value>& corruptions() {
  static const std::vector<json::value> all = [] {
    std::vector<json::value> made = {"",
                                     "no such thing",
                                     "10.0.0.256",
                                     "\x01\n",
                                     -1,
                                     70000,
                                     3'000'000'000,
                                     1.5,
                                     true,
                                     nullptr,
                                     json::object{{"a", 1}},
                                     json::array{},
                                     json::array{nullptr}};
    made.emplace_back(std::string(70'000, 'x'));
    return made;
  }();
  return all;
}

// Marks of Service fields that fail closed; removed before the comparison.
bool take_closing_marks(json::value& service) {
  json::value* held = service.as_object().if_contains("spec");
  json::object* spec = held != nullptr ? held->if_object() : nullptr;
  if (spec == nullptr) return false;
  bool found = false;
  if (json::value* ranges = spec->if_contains("loadBalancerSourceRanges");
      ranges != nullptr && ranges->is_array()) {
    json::array kept;
    for (const json::value& range : ranges->as_array()) {
      const bool is_mark = range == "0.0.0.0/32" || range == "::/128";
      found = found || is_mark;
      if (!is_mark) kept.push_back(range);
    }
    *ranges = kept;
  }
  if (json::value* selector = spec->if_contains("selector");
      selector != nullptr && selector->is_object()) {
    found = selector->as_object().erase("\n(unreadable)") > 0 || found;
  }
  return found;
}

template <typename T>
std::optional<T> listed(const std::string& text, const char* kind) {
  std::optional<T> found;
  ListDecoder<T> list({.on_item = [&](T item) { found = std::move(item); },
                       .on_fault = [](const Meta&, const DecodeFault&) {}},
                      MediaType::kProtobuf);
  const std::string body = test::to_proto(test::list_json(kind, {text}, "1"));
  if (!list.feed(body) || !list.finish()) return std::nullopt;
  return found;
}

template <typename T>
void check_manifest(const std::string& text, const Decoded<T>& decoded) {
  const ParsedManifest parsed = parse_manifest(text, ManifestFormat::kJson);
  const auto& section = parsed.of<T>();
  if (section.entries.empty()) return;  // no name, or no podIP
  CHECK(section.entries.front()->object == decoded.object);
  if (!decoded.left_out.reason.empty()) CHECK_FALSE(parsed.faults.empty());
}

bool is_identity(const std::string& path) {
  for (const char* field :
       {"kind", "apiVersion", "metadata", "metadata.name", "metadata.namespace"}) {
    if (path == field) return true;
  }
  return false;
}

// Of the same type in JSON and protobuf, and set in both.
bool is_the_same_in_protobuf(const json::value& before, const json::value& bad,
                             const std::string& path) {
  if (path.ends_with("Timestamp") || path.ends_with("Time")) return false;
  const bool strings = before.is_string() && bad.is_string() && !bad.get_string().empty();
  return strings || (before.is_int64() && bad.is_int64());
}

template <typename T>
void check_every_field(const char* kind, const char* text) {
  const json::value whole = json::parse(text);
  const auto good = decode_object<T>(text);
  REQUIRE(good.fault.reason.empty());
  REQUIRE(good.left_out.reason.empty());
  const json::value before = json::parse(test::to_json(good.object));
  std::vector<Steps> paths;
  collect(whole, {}, paths);
  REQUIRE(paths.size() > 20);
  for (const Steps& path : paths) {
    const std::string name = shown(path);
    for (const json::value& bad : corruptions()) {
      json::value changed = whole;
      json::value& place = at(changed, path);
      const json::value was = place;
      place = bad;
      const std::string document = json::serialize(changed);
      INFO(name << " = " << json::serialize(bad).substr(0, 80));
      const auto decoded = decode_object<T>(document);
      if (is_identity(name)) {
        // Another name is another object; without one there is none.
        if (!bad.is_string() && !bad.is_null()) CHECK_FALSE(decoded.fault.reason.empty());
        continue;
      }
      INFO(decoded.fault.text());
      REQUIRE(decoded.fault.reason.empty());
      json::value now = json::parse(test::to_json(decoded.object));
      const bool is_closed = take_closing_marks(now);
      // Encoded, the conditions of a Pod are more than the one that is read.
      const bool is_condition = name.starts_with("status.conditions");
      CHECK(same_apart_from(before, now, is_condition ? Steps{path[0], path[1]} : path));
      const bool must_close =
          name.starts_with("spec.loadBalancerSourceRanges") || name.starts_with("spec.selector");
      if (is_closed) CHECK(must_close);
      if (!decoded.left_out.reason.empty()) {
        CHECK(decoded.left_out.text().starts_with(std::string(kind) + " "));
      }
      if (is_the_same_in_protobuf(was, bad, name)) {
        const auto from_proto = listed<T>(document, kind);
        REQUIRE(from_proto);
        CHECK(*from_proto == decoded.object);
      }
      // A Pod of a manifest without a status is running and ready.
      if (!name.starts_with("status")) check_manifest<T>(document, decoded);
    }
  }
}

template <typename T>
Decoded<T> decoded(const std::string& rest) {
  return decode_object<T>(R"({"metadata":{"name":"web","namespace":"shop"},)" + rest + "}");
}

Address ip(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("whatever single field of a Service is corrupted, all others are served (A4, H8)") {
  check_every_field<Service>("Service", kService);
}
TEST_CASE("whatever single field of a Pod is corrupted, all others are served (A4, H8)") {
  check_every_field<Pod>("Pod", kPod);
}
TEST_CASE("whatever single field of a Node is corrupted, all others are served (A4, H8)") {
  check_every_field<Node>("Node", kNode);
}
TEST_CASE(
    "whatever single field of an EndpointSlice is corrupted, all others are served (A4, H8)") {
  check_every_field<EndpointSlice>("EndpointSlice", kSlice);
}

TEST_CASE("addresses are read as kube-proxy reads them, in every field of every kind (A4)") {
  const auto service = decoded<Service>(
      R"("spec":{"clusterIP":"10.96.011.012","externalIPs":["::ffff:192.0.2.26","192.000.002.027"],
        "loadBalancerSourceRanges":["010.0.0.0/08","::ffff:10.1.0.0/112"]},
        "status":{"loadBalancer":{"ingress":[{"ip":"198.051.100.001"}]}})");
  CHECK(service.left_out.reason.empty());
  CHECK(service.object.cluster_ips == std::vector{ip("10.96.11.12")});
  CHECK(service.object.external_ips == std::vector{ip("192.0.2.26"), ip("192.0.2.27")});
  CHECK(service.object.load_balancer_ingress.at(0).ip == ip("198.51.100.1"));
  CHECK(service.object.load_balancer_source_ranges ==
        std::vector{Cidr{ip("10.0.0.0"), 8}, Cidr{ip("10.1.0.0"), 16}});

  const auto slice = decoded<EndpointSlice>(
      R"("addressType":"IPv4","endpoints":[{"addresses":["10.244.000.005"]},
        {"addresses":["::ffff:10.244.0.6"]}])");
  CHECK(slice.object.endpoints.at(0).address == ip("10.244.0.5"));
  CHECK(slice.object.endpoints.at(1).address == ip("10.244.0.6"));
  const auto v6 =
      decoded<EndpointSlice>(R"("addressType":"IPv6","endpoints":[{"addresses":["fd00::00005"]}])");
  CHECK(v6.object.endpoints.at(0).address == ip("fd00::5"));

  const auto pod = decoded<Pod>(R"("status":{"podIPs":[{"ip":"010.244.0.5"}]})");
  CHECK(pod.object.pod_ips == std::vector{ip("10.244.0.5")});
  const auto single = decoded<Pod>(R"("status":{"podIP":"010.244.0.5"})");
  CHECK(single.object.pod_ips == std::vector{ip("10.244.0.5")});

  const auto node = decode_object<Node>(
      R"({"metadata":{"name":"n"},"spec":{"podCIDR":"010.244.0.0/024"},"status":{"addresses":[
        {"type":"InternalIP","address":"203.000.113.001"}]}})");
  CHECK(node.object.addresses.at(0).address == ip("203.0.113.1"));
  CHECK(node.object.pod_cidrs == std::vector{Cidr{ip("10.244.0.0"), 24}});
}

TEST_CASE("a corrupted port of an init container costs that port (A4)") {
  const auto ports = [](const std::string& port) {
    return decoded<Pod>(R"("spec":{"containers":[{"ports":[{"name":"a","containerPort":1}]}],
        "initContainers":[{"restartPolicy":"Always","ports":[)" +
                        port + R"(,{"name":"c","containerPort":3}]}]})")
        .object.ports.size();
  };
  CHECK(ports(R"({"name":"b","containerPort":2})") == 3);
  CHECK(ports(R"({"name":"b","containerPort":70000})") == 2);
  CHECK(ports(R"({"name":"b","containerPort":2,"protocol":"tcp"})") == 2);
  CHECK(ports(R"({"name":5,"containerPort":2})") == 2);
  CHECK(ports("7") == 2);
}

TEST_CASE("one bad external IP costs that IP, and the fault names object and field (A4)") {
  const auto service = decoded<Service>(
      R"("spec":{"clusterIP":"10.96.0.7","externalIPs":["192.0.2.256","192.0.2.1","x"]})");
  CHECK(service.object.external_ips == std::vector{ip("192.0.2.1")});
  CHECK(service.left_out.text() ==
        "Service shop/web: spec.externalIPs[0]: \"192.0.2.256\" is not an IP address (and 1 more)");
}

TEST_CASE("a source range that cannot be read admits nobody, never everybody (A4)") {
  const Cidr nobody4{boost::asio::ip::address_v4::any(), 32};
  const Cidr nobody6{boost::asio::ip::address_v6::any(), 128};
  const auto ranges = [](const std::string& list) {
    return decoded<Service>(R"("spec":{"loadBalancerSourceRanges":)" + list + "}")
        .object.load_balancer_source_ranges;
  };
  CHECK(ranges(R"(["10.0.0.0/33"])") == std::vector{nobody4, nobody6});
  CHECK(ranges(R"(["10.0.0.0/8","all"])") ==
        std::vector{Cidr{ip("10.0.0.0"), 8}, nobody4, nobody6});
  CHECK(ranges(R"([7])") == std::vector{nobody4, nobody6});
  CHECK(ranges(R"("10.0.0.0/8")") == std::vector{nobody4, nobody6});
  CHECK(ranges("[]").empty());
}

TEST_CASE("a selector that cannot be read selects nothing, and does not become wider (A4)") {
  const auto selector = [](const std::string& text) {
    return decoded<Service>(R"("spec":{"selector":)" + text + "}").object.selector;
  };
  CHECK(selector(R"({"app":"web","tier":1})").size() == 2);  // web, and what no Pod can have
  CHECK(selector(R"(["app"])").size() == 1);
  CHECK(selector("{}").empty());
}

TEST_CASE("a targetPort that cannot be read leads to no port instead of another one (A4)") {
  const auto port = decoded<Service>(R"("spec":{"ports":[{"port":80,"targetPort":70000}]})");
  REQUIRE(port.object.ports.size() == 1);
  CHECK(std::holds_alternative<std::string>(port.object.ports[0].target_port));
}

TEST_CASE("an unknown ipMode is not served as a VIP, as in kube-proxy; the others are (H8)") {
  const auto service = decoded<Service>(
      R"("status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1","ipMode":"Tunnel"},
        {"ip":"192.0.2.2"}]}})");
  REQUIRE(service.object.load_balancer_ingress.size() == 2);
  CHECK(service.object.load_balancer_ingress[0].proxy_mode);
  CHECK_FALSE(service.object.load_balancer_ingress[1].proxy_mode);
}

TEST_CASE("unknown values of an enum take the default, and the object stays (H8)") {
  const auto service = decoded<Service>(
      R"("spec":{"type":"Mesh","sessionAffinity":"Cookie","internalTrafficPolicy":"Zone",
        "externalTrafficPolicy":"Zone","clusterIP":"10.96.0.7"})");
  CHECK(service.object.type == ServiceType::kClusterIp);
  CHECK_FALSE(service.object.client_ip_affinity_seconds);
  CHECK(service.object.external_traffic_policy == TrafficPolicy::kCluster);
  CHECK(service.object.cluster_ips.size() == 1);
  const auto pod = decoded<Pod>(R"("status":{"phase":"Paused","podIP":"10.0.0.1","conditions":[
      {"type":"Ready","status":"True"},{"type":"Strange","status":"Perhaps"}]})");
  CHECK(pod.object.phase == PodPhase::kUnknown);
  CHECK(pod.object.ready);
  const auto slice = decoded<EndpointSlice>(
      R"("addressType":"IP","endpoints":[{"addresses":["10.0.0.1"]},{"addresses":["fd00::1"]}])");
  CHECK(slice.object.endpoints.size() == 2);
  const auto node = decode_object<Node>(
      R"({"metadata":{"name":"n"},"status":{"addresses":[{"type":"InternalIP","address":"node-1"},
        {"type":"Satellite","address":"x"},{"type":"InternalIP","address":"203.0.113.1"}]}})");
  CHECK(node.object.addresses.size() == 1);
}
