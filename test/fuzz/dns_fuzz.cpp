// SPDX-License-Identifier: Apache-2.0
//
// DNS: a query of any form is answered within the size that its client takes, with its id, or not at
// all; and a reply of another resolver of any form makes an answer of that size, too. The first byte
// chooses the transport, whether others may be asked, and which of the two it is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/dns/responder.hpp"

namespace {

namespace dns = agent::dns;

void require(bool holds) {
  if (!holds) std::abort();
}

ipvs::Address address(unsigned number) { return boost::asio::ip::address_v4(0x0AF40000 + number); }

struct Server {
  dns::Name apex = dns::name_of("cluster.local").value();
  dns::Zone zone{apex, 1};
  dns::Responder responder{zone};

  Server() {
    k8s::Service web;
    web.meta.key = {.ns = "default", .name = "web"};
    web.ports = {{.name = "http", .port = 80}};
    web.cluster_ips = {boost::asio::ip::make_address("10.96.0.1"),
                       boost::asio::ip::make_address("fd00::1")};
    add(web, {});
    k8s::Service pets = web;
    pets.meta.key.name = "pets";
    pets.headless = true;
    std::vector<agent::NamedEndpoint> endpoints;
    for (unsigned i = 1; i < 200; ++i) {
      endpoints.push_back({.address = address(i), .ready = true, .hostname = {}, .ports = {80}});
    }
    add(pets, endpoints);
    k8s::Service alias;
    alias.meta.key = {.ns = "default", .name = "foo"};
    alias.type = k8s::ServiceType::kExternalName;
    alias.external_name = "pets.default.svc.cluster.local";
    add(alias, {});
    responder.set_ready();
  }
  void add(const k8s::Service& service, const std::vector<agent::NamedEndpoint>& endpoints) {
    zone.set(service.meta.key.text(), dns::records_of(service, endpoints, apex));
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Server server;
  if (size == 0) return 0;
  const auto transport = (data[0] & 1) != 0 ? dns::Transport::kTcp : dns::Transport::kUdp;
  const bool may_ask = (data[0] & 2) != 0;
  const dns::Bytes message(data + 1, size - 1);
  std::string out;
  dns::Onward onward;
  if ((data[0] & 4) != 0) {
    onward.query.name = dns::name_of("foo.default.svc.cluster.local").value();
    onward.name = dns::name_of("www.example.com").value();
    if (may_ask) {
      onward.aliases.push_back({.owner = onward.query.name,
                                .type = dns::Type::kCname,
                                .data = dns::Target{.name = onward.name}});
    }
    (void)dns::is_reply_to(message, 1, onward.name, dns::Type::kA);
    if (message.size() < dns::kHeaderSize) return 0;  // is_reply_to() says no
    server.responder.conclude(onward, transport, message, out);
    require(out.size() >= dns::kHeaderSize && out.size() <= onward.query.limit(transport));
    return 0;
  }
  const auto verdict = server.responder.answer(
      message, transport, [&] { return may_ask; }, out, onward);
  if (verdict == dns::Responder::Verdict::kAsk) {
    require(may_ask && !dns::write_onward_query(onward.query, onward.name, 7).empty());
    server.responder.conclude(onward, transport, {}, out);
  }
  if (verdict == dns::Responder::Verdict::kDrop) {
    require(message.size() < dns::kHeaderSize || (message[2] & 0x80) != 0);
    return 0;
  }
  require(out.size() >= dns::kHeaderSize && (out[2] & 0x80) != 0);
  require(static_cast<std::uint8_t>(out[0]) == message[0]);
  require(static_cast<std::uint8_t>(out[1]) == message[1]);
  require(out.size() <= (transport == dns::Transport::kTcp ? dns::kLongestMessage : dns::kUdpSize));
  return 0;
}
