// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <utility>

#include "k8s/decode/decode.hpp"
#include "test/k8s/decode/encode.hpp"
#include "test/k8s/decode/encode_proto.hpp"

namespace {

using namespace k8s;

EndpointSlice decoded(std::string_view json) {
  auto result = decode_object<EndpointSlice>(json);
  INFO(result.fault.text());
  REQUIRE(result.fault.reason.empty());
  return std::move(result.object);
}

EndpointSlice with(const std::string& rest) {
  return decoded(R"({"metadata":{"name":"web-abc","namespace":"shop"},)" + rest + "}");
}

Address ip(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("an EndpointSlice of v1 is decoded with every field we use") {
  const EndpointSlice slice = decoded(R"({
    "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
    "metadata": {"name": "web-abc", "namespace": "shop", "generateName": "web-", "labels": {
      "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
      "kubernetes.io/service-name": "web", "app": "web"},
      "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-11-22T10:00:00Z"}},
    "addressType": "IPv4",
    "endpoints": [
      {"addresses": ["10.244.1.7", "10.244.1.8"],
       "conditions": {"ready": false, "serving": true, "terminating": true},
       "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-0", "uid": "7"},
       "nodeName": "node-1", "zone": "z1", "hostname": "pet-0",
       "hints": {"forZones": [{"name": "z1"}, {"name": "z2"}], "forNodes": [{"name": "node-1"}]}},
      {"addresses": ["10.244.2.7"], "conditions": {}, "targetRef": {"name": "x", "kind": "Node"}}],
    "ports": [{"name": "", "protocol": "TCP", "port": 8080}, {"name": "dns", "protocol": "UDP", "port": 53},
              {"name": "any", "port": null}]
  })");
  CHECK(slice.service_name == "web");
  CHECK(slice.meta.labels.empty());
  CHECK(slice.meta.annotations.size() == 1);
  REQUIRE(slice.endpoints.size() == 2);
  const SliceEndpoint& first = slice.endpoints[0];
  CHECK(first.address == ip("10.244.1.7"));
  CHECK_FALSE(first.ready);
  CHECK(first.serving);
  CHECK(first.terminating);
  CHECK(first.pod_name == "web-0");
  CHECK(first.node_name == "node-1");
  CHECK(first.zone == "z1");
  CHECK(slice.hostnames == std::vector<std::string>{"pet-0"});
  CHECK(first.zone_hints == std::vector<std::string>{"z1", "z2"});
  CHECK(first.node_hints == std::vector<std::string>{"node-1"});
  CHECK(slice.endpoints[1] == SliceEndpoint{.address = ip("10.244.2.7"),
                                            .ready = true,
                                            .serving = true,
                                            .terminating = false,
                                            .node_name = "",
                                            .zone = "",
                                            .pod_name = "",
                                            .zone_hints = {},
                                            .node_hints = {}});
  CHECK(slice.ports ==
        std::vector<SlicePort>{{"", Protocol::kTcp, 8080}, {"dns", Protocol::kUdp, 53}});
}

TEST_CASE("hostnames stay with their endpoints where others are left out") {
  const auto read = [](const std::string& endpoints) {
    return decode_object<EndpointSlice>(
               R"({"metadata":{"name":"a","namespace":"b"},"addressType":"IPv4","endpoints":[)" +
               endpoints + "]}")
        .object.hostnames;
  };
  const std::string first = R"({"addresses":["10.0.0.1"]})";
  const std::string lost = R"({"addresses":["127.0.0.1"],"hostname":"lost"})";
  const std::string six = R"({"hostname":"six","addresses":["fd00::1"]})";
  const std::string last = R"({"addresses":["10.0.0.2"],"hostname":"last"})";
  const std::vector<std::string> expected{"", "last"};
  CHECK(read(first + "," + last) == expected);
  CHECK(read(first + "," + lost + "," + last) == expected);
  CHECK(read(first + "," + six + "," + last) == expected);
  CHECK(read(first + "," + last + "," + six) == expected);
  CHECK(read(first + "," + last + "," + lost) == expected);
  CHECK(read(first + "," + first).empty());
}

TEST_CASE("an EndpointSlice of v1beta1 has node and zone in its topology") {
  const EndpointSlice slice = with(R"("apiVersion":"discovery.k8s.io/v1beta1","addressType":"IPv6",
    "endpoints":[{"addresses":["2001:db8::7"],"conditions":{"ready":true},
      "topology":{"kubernetes.io/hostname":"node-1","topology.kubernetes.io/zone":"z1","x/y":"z"}}])");
  REQUIRE(slice.endpoints.size() == 1);
  CHECK(slice.endpoints[0].node_name == "node-1");
  CHECK(slice.endpoints[0].zone == "z1");
  CHECK(slice.endpoints[0].ready);
}

TEST_CASE("nodeName and zone take precedence over topology in either order") {
  for (const char* order : {R"("nodeName":"new","topology":{"kubernetes.io/hostname":"old"})",
                            R"("topology":{"kubernetes.io/hostname":"old"},"nodeName":"new")"}) {
    const auto slice = with(R"("addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],)" +
                            std::string(order) + "}]");
    CHECK(slice.endpoints.at(0).node_name == "new");
  }
}

TEST_CASE("a slice of host names has no endpoints, whether its type comes first or last") {
  CHECK(with(R"("addressType":"FQDN","endpoints":[{"addresses":["a.example.org"]}])")
            .endpoints.empty());
  CHECK(with(R"("endpoints":[{"addresses":["a.example.org"]}],"addressType":"FQDN")")
            .endpoints.empty());
}

TEST_CASE("a port with the number 0 is dropped and the slice is kept, in JSON and in protobuf") {
  const std::string json =
      R"({"kind":"EndpointSlice","metadata":{"name":"web-abc"},"addressType":"IPv4",)"
      R"("ports":[{"name":"any","port":0},{"name":"http","port":80}]})";
  const std::vector<SlicePort> only_http{{"http", Protocol::kTcp, 80}};
  CHECK(decoded(json).ports == only_http);

  std::vector<EndpointSlice> slices;
  ListDecoder<EndpointSlice> decoder(
      {.on_item = [&](EndpointSlice slice) { slices.push_back(std::move(slice)); },
       .on_fault = [](const Meta&, const DecodeFault& fault) { FAIL(fault.text()); }},
      MediaType::kProtobuf);
  CHECK(decoder.feed(test::to_proto(test::list_json("EndpointSlice", {json}, "1"))));
  REQUIRE(slices.size() == 1);
  CHECK(slices.front().ports == only_http);
}

TEST_CASE("a slice without endpoints and ports is valid") {
  const auto slice = with(R"("addressType":"IPv4","endpoints":null,"ports":null)");
  CHECK(slice.endpoints.empty());
  CHECK(slice.ports.empty());
}
