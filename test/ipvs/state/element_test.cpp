// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/element.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using ipvs::Element;
using ipvs::ElementKind;
using ipvs::Protocol;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("elements are written as nft does") {
  CHECK(Element{.kind = ElementKind::kServiceIp,
                .address = address("10.96.0.10"),
                .protocol = Protocol::kTcp,
                .port = 80}
            .text() == "cluster-ips-4 10.96.0.10 . tcp . 80");
  CHECK(Element{.kind = ElementKind::kVirtualIp, .address = address("fd00::1")}.text() ==
        "virtual-ips-6 fd00::1");
}

TEST_CASE("elements are ordered by their key, not by their class") {
  Element a{.kind = ElementKind::kServiceIp, .address = address("10.96.0.10"), .port = 80};
  Element b = a;
  b.traffic_class = ipvs::TrafficClass::kExternal;
  const ipvs::ElementKeyLess less;
  CHECK_FALSE(less(a, b));
  CHECK_FALSE(less(b, a));
  b.port = 81;
  CHECK(less(a, b));
}

TEST_CASE("an element is written with all that its kind has") {
  const ipvs::Address vip = address("192.0.2.1");
  const auto text = [](const Element& element) { return element.text(); };
  CHECK(text({.kind = ElementKind::kNodePort,
              .traffic_class = ipvs::TrafficClass::kExternalLocal,
              .port = 30080}) == "node-ports-local tcp . 30080");
  CHECK(text({.kind = ElementKind::kNodePort, .port = 30080}) == "element without a set");
  CHECK(text({.kind = ElementKind::kHairpin, .address = vip}) == "hairpin-4 192.0.2.1 . 192.0.2.1");
  CHECK(text({.kind = ElementKind::kShortCutIp,
              .address = vip,
              .protocol = Protocol::kUdp,
              .port = 53,
              .target = {address("10.96.0.10"), 5353}}) ==
        "short-cuts-4 192.0.2.1 . udp . 53 : 10.96.0.10 . 5353");
  CHECK(text({.kind = ElementKind::kAllowedSource,
              .address = vip,
              .port = 80,
              .source_network = {address("198.51.100.0"), 24}}) ==
        "allowed-sources-4 192.0.2.1 . tcp . 80 . 198.51.100.0/24");
}

TEST_CASE("the network of an allowed source is part of its key, the target of a short cut is not") {
  Element source{.kind = ElementKind::kAllowedSource, .address = address("192.0.2.1"), .port = 80};
  source.source_network = {address("10.0.0.0"), 8};
  Element other = source;
  CHECK(source == other);
  other.source_network.prefix_length = 9;
  CHECK_FALSE(source == other);
  CHECK_FALSE(source.same_key(other));
  CHECK(overlap(source, other));
  other.source_network = {address("11.0.0.0"), 8};
  CHECK(same_server(source, other));
  CHECK_FALSE(overlap(source, other));

  Element short_cut{.kind = ElementKind::kShortCutIp, .address = address("192.0.2.1"), .port = 80};
  Element elsewhere = short_cut;
  elsewhere.target = {address("10.96.0.10"), 80};
  CHECK_FALSE(short_cut == elsewhere);
  CHECK(short_cut.same_key(elsewhere));
}

TEST_CASE("a virtual server depends on the elements that name it and on those that limit it") {
  const ipvs::ServerKey server{address("192.0.2.1"), 80, Protocol::kTcp};
  std::string kinds;
  for (const ipvs::ElementKindRow& row : ipvs::kElementKinds) {
    const Element element{.kind = row.kind, .address = server.address, .port = 80};
    if (depends_on(server, element)) kinds += std::string(row.sets[0].name) + " ";
  }
  CHECK(kinds == "cluster-ips node-ports node-addresses virtual-ips limited-ips allowed-sources ");
  const Element other_port{.kind = ElementKind::kServiceIp, .address = server.address, .port = 81};
  CHECK_FALSE(depends_on(server, other_port));
  const Element node_port{.kind = ElementKind::kNodePort, .address = {}, .port = 80};
  CHECK(depends_on(server, node_port));
}
