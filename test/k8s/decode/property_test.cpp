// SPDX-License-Identifier: Apache-2.0
//
// decode(to_json(x)) = x for any object of the four kinds: alone, in a list and in a watch that are
// split at random positions, in JSON and in protobuf.
#include <rapidcheck.h>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "k8s/decode/decode.hpp"
#include "test/k8s/decode/encode.hpp"
#include "test/k8s/decode/encode_proto.hpp"

namespace {

using namespace k8s;
using rc::gen::arbitrary;
using rc::gen::element;
using rc::gen::inRange;

template <typename T, typename Make>
std::vector<T> up_to(int most, Make make) {
  std::vector<T> list(static_cast<std::size_t>(*inRange(0, most + 1)));
  for (T& item : list) item = make();
  return list;
}

// Nearly always unique, because of the number.
std::string word(const char* stem) { return stem + std::to_string(*inRange(0, 100000)); }

// Text with everything that JSON must escape.
std::string text() {
  return *rc::gen::container<std::string>(
             element('a', '"', '\\', '\n', '\t', '/', '\x7f', ' ', 'u')) +
         *element(std::string(), std::string("\xc3\xa9"), std::string("\xe2\x82\xac"),
                  std::string("\xf0\x9f\x98\x80"));
}

Address v4() { return boost::asio::ip::address_v4(*inRange(0x0a000000u, 0x0affffffu)); }
Address v6() {
  auto bytes = boost::asio::ip::make_address_v6("fd00::").to_bytes();
  for (std::size_t i = 8; i < bytes.size(); ++i) bytes[i] = *arbitrary<std::uint8_t>();
  return boost::asio::ip::address_v6(bytes);
}
Address address() { return *arbitrary<bool>() ? v4() : v6(); }

Cidr cidr() {
  const bool is_v4 = *arbitrary<bool>();
  const auto length = static_cast<std::uint8_t>(*inRange(0, 9));
  if (is_v4) return {boost::asio::ip::make_address(length == 8 ? "10.0.0.0" : "0.0.0.0"), length};
  return {boost::asio::ip::make_address("::"), length};
}

Protocol protocol() { return *element(Protocol::kTcp, Protocol::kUdp, Protocol::kSctp); }
std::uint16_t port() { return static_cast<std::uint16_t>(*inRange(1, 65536)); }

Labels some_labels(std::initializer_list<const char*> keys) {
  Labels labels;
  for (const char* key : keys) {
    if (*arbitrary<bool>()) labels[key] = text();
  }
  return labels;
}

Meta meta(bool namespaced, Labels labels) {
  Meta result;
  result.key = {namespaced ? word("ns-") : "", word("object-")};
  result.resource_version = word("");
  result.labels = std::move(labels);
  result.annotations =
      some_labels({"kube-ipvs.io/scheduler", "service.kubernetes.io/topology-mode"});
  result.creation_timestamp = *inRange<UnixSeconds>(0, 4'000'000'000);
  if (*arbitrary<bool>()) result.deletion_timestamp = *inRange<UnixSeconds>(0, 4'000'000'000);
  return result;
}

ServicePort service_port(int number) {
  ServicePort result;
  result.name = "p" + std::to_string(number);
  result.protocol = protocol();
  result.port = static_cast<std::uint16_t>(number * 100 + *inRange(1, 100));
  if (*arbitrary<bool>()) result.node_port = static_cast<std::uint16_t>(30000 + number);
  if (*arbitrary<bool>()) {
    result.target_port = word("t");
  } else {
    result.target_port = port();
  }
  return result;
}

Service service() {
  Service s;
  s.meta = meta(true, some_labels({"service.kubernetes.io/service-proxy-name"}));
  s.meta.uid = word("uid");
  s.type = *element(ServiceType::kClusterIp, ServiceType::kNodePort, ServiceType::kLoadBalancer,
                    ServiceType::kExternalName);
  if (s.type == ServiceType::kExternalName) {
    s.external_name = *element<std::string>("", "www.example.com", "db");
  }
  s.headless = *inRange(0, 4) == 0;
  const bool has_ips = !s.headless && s.type != ServiceType::kExternalName;
  if (has_ips && *arbitrary<bool>()) s.cluster_ips.push_back(v4());
  if (has_ips && *arbitrary<bool>()) s.cluster_ips.push_back(v6());
  for (int i = 0, n = *inRange(0, 5); i < n; ++i) s.ports.push_back(service_port(i));
  s.selector = some_labels({"app", "tier", "x.example.org/y"});
  if (*arbitrary<bool>()) s.external_ips = {v4(), v6()};
  s.load_balancer_ingress = up_to<LoadBalancerIngress>(3, [] {
    return LoadBalancerIngress{address(), *arbitrary<bool>()};
  });
  if (*arbitrary<bool>()) s.load_balancer_source_ranges = {cidr()};
  if (*arbitrary<bool>()) s.client_ip_affinity_seconds = *inRange(1u, 86401u);
  s.internal_traffic_policy = *element(TrafficPolicy::kCluster, TrafficPolicy::kLocal);
  s.external_traffic_policy = *element(TrafficPolicy::kCluster, TrafficPolicy::kLocal);
  s.health_check_node_port = *arbitrary<std::uint16_t>();
  s.publish_not_ready_addresses = *arbitrary<bool>();
  s.traffic_distribution =
      *element<std::string>("", "PreferClose", "PreferSameZone", "PreferSameNode");
  return s;
}

Pod pod() {
  Pod p;
  p.meta = meta(true, some_labels({"app", "pod-template-hash", "x.example.org/y"}));
  p.node_name = *element<std::string>("", "node-1");
  p.host_network = *arbitrary<bool>();
  p.hostname = *element<std::string>("", "web-0");
  p.subdomain = *element<std::string>("", "web");
  p.pod_ips = up_to<Address>(2, address);
  p.phase = *element(PodPhase::kPending, PodPhase::kRunning, PodPhase::kSucceeded,
                     PodPhase::kFailed, PodPhase::kUnknown);
  p.ready = *arbitrary<bool>();
  p.ports = up_to<ContainerPort>(4, [] { return ContainerPort{word("p"), protocol(), port()}; });
  return p;
}

Node node() {
  Node n;
  n.meta = meta(false, some_labels({"topology.kubernetes.io/zone", "kubernetes.io/hostname"}));
  n.addresses = up_to<NodeAddress>(3, [] {
    return NodeAddress{*element(NodeAddressType::kInternalIp, NodeAddressType::kExternalIp),
                       address()};
  });
  n.pod_cidrs = up_to<Cidr>(2, cidr);
  n.taint_keys = up_to<std::string>(2, [] { return word("taint"); });
  return n;
}

EndpointSlice slice() {
  EndpointSlice s;
  s.meta = meta(true, {});
  s.service_name = *element<std::string>("", "web");
  const bool is_v4 = *arbitrary<bool>();
  s.endpoints = up_to<SliceEndpoint>(4, [is_v4] {
    SliceEndpoint e;
    e.address = is_v4 ? v4() : v6();
    e.ready = *arbitrary<bool>();
    e.serving = *arbitrary<bool>();
    e.terminating = *arbitrary<bool>();
    e.node_name = text();
    e.zone = text();
    e.pod_name = *element<std::string>("", "web-0");
    e.zone_hints = up_to<std::string>(2, [] { return word("z"); });
    e.node_hints = up_to<std::string>(2, [] { return word("n"); });
    return e;
  });
  for (std::size_t i = 0; i < s.endpoints.size(); ++i) {
    if (*arbitrary<bool>()) continue;
    s.hostnames.resize(i);
    s.hostnames.push_back("pet-" + std::to_string(i));
  }
  for (int i = 0, n = *inRange(0, 3); i < n; ++i) {
    s.ports.push_back({"p" + std::to_string(i), protocol(), port()});
  }
  return s;
}

// Passes `json` to `feed` in pieces of random size; false if one is refused.
template <typename Feed>
bool feed_in_pieces(std::string_view json, Feed feed) {
  while (!json.empty()) {
    const auto size = std::min(json.size(), static_cast<std::size_t>(*inRange(1, 200)));
    if (!feed(json.substr(0, size))) return false;
    json.remove_prefix(size);
  }
  return true;
}

template <typename T>
std::vector<T> listed(std::string_view body, MediaType type) {
  std::vector<T> found;
  ListDecoder<T> list({.on_item = [&](T item) { found.push_back(std::move(item)); },
                       .on_fault = [](const Meta&, const DecodeFault&) { RC_FAIL("a fault"); }},
                      type);
  RC_ASSERT(feed_in_pieces(body, [&](auto piece) { return list.feed(piece); }));
  RC_ASSERT(list.finish());
  return found;
}

template <typename T>
std::vector<T> watched(std::string_view body, MediaType type) {
  std::vector<T> found;
  WatchDecoder<T> decoder(
      {.on_event = [&](WatchVerb, T item) { found.push_back(std::move(item)); },
       .on_error = [](const ApiStatus&) { RC_FAIL("an error"); },
       .on_fault = [](WatchVerb, const Meta&, const DecodeFault&) { RC_FAIL("a fault"); }},
      4096, type);
  RC_ASSERT(feed_in_pieces(body, [&](auto piece) { return decoder.feed(piece); }));
  return found;
}

template <typename T>
void round_trips(const char* kind, const std::vector<T>& objects) {
  std::vector<std::string> texts;
  std::string watch;
  for (const T& object : objects) {
    texts.push_back(test::to_json(object));
    watch += test::event_json("MODIFIED", texts.back());
    const auto decoded = decode_object<T>(texts.back());
    if (!decoded.fault.reason.empty()) RC_LOG(decoded.fault.text() + "\n" + texts.back());
    RC_ASSERT(decoded.fault.reason.empty());
    RC_ASSERT((decoded.object == object));
  }
  const std::string list = test::list_json(kind, texts, "1");
  RC_ASSERT((listed<T>(list, MediaType::kJson) == objects));
  RC_ASSERT((listed<T>(test::to_proto(list), MediaType::kProtobuf) == objects));
  RC_ASSERT((watched<T>(watch, MediaType::kJson) == objects));
  RC_ASSERT((watched<T>(test::events_to_proto(watch), MediaType::kProtobuf) == objects));
}

}  // namespace

TEST_CASE("an encoded object is decoded to the same object, alone, in a list and in a watch") {
  REQUIRE(rc::check("Service", [] { round_trips("Service", up_to<Service>(3, service)); }));
  REQUIRE(rc::check("Pod", [] { round_trips("Pod", up_to<Pod>(3, pod)); }));
  REQUIRE(rc::check("Node", [] { round_trips("Node", up_to<Node>(3, node)); }));
  REQUIRE(rc::check("EndpointSlice",
                    [] { round_trips("EndpointSlice", up_to<EndpointSlice>(3, slice)); }));
}
