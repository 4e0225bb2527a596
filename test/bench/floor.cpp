// SPDX-License-Identifier: Apache-2.0
//
// The floor under the netlink part of the agent: sends the messages that the agent sends for a number
// of Services, and does nothing else. They are written before the clock is started; no answer is
// remembered.
//
//   floor --services N --endpoints M [--binding address|route] [--local L] [--listeners yes|no]
//
// N Services of M endpoints each; L of them (M / 10, at least 1) are Pods of this node, for which there
// are hairpin elements. With listeners, sockets get the kernel's notifications of it all, as those of
// the agent do, and nobody reads them. Prints, of each phase: messages, seconds, microseconds for one.
// Needs root, and a network namespace without our table and device: test/bench/scale runs it in the
// test kernel.
#include <linux/ip_vs.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipvs/host/device.hpp"
#include "ipvs/host/route_codec.hpp"
#include "ipvs/netlink/message.hpp"
#include "ipvs/netlink/socket.hpp"
#include "ipvs/nftables/encode.hpp"
#include "ipvs/virtual_servers/codec.hpp"

namespace {

using ipvs::Address;
using ipvs::Element;
using ipvs::ElementKind;
using ipvs::MessageBatch;
using ipvs::NetlinkSocket;

constexpr std::uint32_t kMtu = 1500;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "floor: %s\n", what.c_str());
  std::exit(1);
}

NetlinkSocket open(int protocol, std::vector<unsigned> groups = {}) {
  auto socket = NetlinkSocket::open(protocol, std::move(groups));
  if (!socket) fail(socket.error().text());
  return std::move(*socket);
}

struct Shape {
  unsigned services = 1000;
  unsigned endpoints = 10;
  unsigned local = 0;
  bool by_route = false;
  bool has_listeners = false;
};

Address vip(unsigned service) { return boost::asio::ip::address_v4(0x0A600001U + service); }
Address pod(unsigned number) { return boost::asio::ip::address_v4(0x0A800001U + number); }

ipvs::VirtualServer server_of(unsigned service) {
  return {.key = {vip(service), 80, ipvs::Protocol::kTcp}, .scheduler = "rr"};
}

std::vector<Element> elements_of(const Shape& shape) {
  std::vector<Element> elements;
  for (unsigned s = 0; s < shape.services; ++s) {
    elements.push_back({.kind = ElementKind::kServiceIp, .address = vip(s), .port = 80});
    elements.push_back({.kind = ElementKind::kVirtualIp, .address = vip(s)});
    for (unsigned e = 0; e < shape.local; ++e) {
      elements.push_back({.kind = ElementKind::kHairpin, .address = pod(s * shape.endpoints + e)});
    }
  }
  return elements;
}

void report(const char* phase, std::size_t messages, double seconds) {
  std::printf("floor: %-14s %8zu messages %9.3f s %9.1f us each\n", phase, messages, seconds,
              messages == 0 ? 0 : seconds * 1e6 / static_cast<double>(messages));
}

// Sends the batches, and returns how long it took.
double send(NetlinkSocket& socket, std::vector<MessageBatch>& batches, const char* phase) {
  std::size_t messages = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (MessageBatch& batch : batches) {
    messages += batch.size();
    for (const int error : socket.transact(batch)) {
      if (error != 0) fail(std::string(phase) + ": " + std::to_string(error));
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report(phase, messages, seconds);
  return seconds;
}

// Batches as the agent's, each as large as one send.
class Writer {
 public:
  MessageBatch& batch() {
    if (batches_.empty() || batches_.back().byte_size() >= ipvs::kBatchBytes) {
      batches_.emplace_back();
    }
    return batches_.back();
  }
  std::vector<MessageBatch>& batches() { return batches_; }

 private:
  std::vector<MessageBatch> batches_;
};

double install(const Shape& shape) {
  NetlinkSocket socket = open(NETLINK_NETFILTER);
  // The modules that the rules need are loaded by the first of two.
  ipvs::Transaction trial = ipvs::encode_install({}, {});
  if (const int error = socket.transact_atomically(trial.batch)) {
    fail("table: " + std::to_string(error));
  }
  const std::vector<Element> elements = elements_of(shape);
  ipvs::Transaction all = ipvs::encode_install({}, elements);
  const auto begin = std::chrono::steady_clock::now();
  const int error = socket.transact_atomically(all.batch);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (error != 0) fail("table: " + std::to_string(error));
  report("table", elements.size(), seconds);
  return seconds;
}

double fill(const Shape& shape) {
  NetlinkSocket socket = open(NETLINK_GENERIC);
  const auto family = socket.resolve_family(IPVS_GENL_NAME);
  if (!family) fail(family.error().text());
  Writer servers;
  Writer destinations;
  for (unsigned s = 0; s < shape.services; ++s) {
    ipvs::encode_op(
        servers.batch(), *family,
        {.command = ipvs::ServerCommand::kNewService, .server = server_of(s), .destination = {}});
    for (unsigned e = 0; e < shape.endpoints; ++e) {
      ipvs::encode_op(destinations.batch(), *family,
                      {.command = ipvs::ServerCommand::kNewDest,
                       .server = server_of(s),
                       .destination = {.endpoint = {pod(s * shape.endpoints + e), 8080}}});
    }
  }
  const double seconds = send(socket, servers.batches(), "servers");
  return seconds + send(socket, destinations.batches(), "destinations");
}

double bind(const Shape& shape) {
  const auto binding = shape.by_route ? ipvs::VipBinding::kRoute : ipvs::VipBinding::kAddress;
  auto device = ipvs::Device::open();
  if (!device) fail(device.error().text());
  if (const auto made = device->prepare({.vip_binding = binding}); !made) fail(made.error().text());
  NetlinkSocket socket = open(NETLINK_ROUTE);
  MessageBatch question;
  ipvs::encode_get_link(question, ipvs::kDeviceName);
  unsigned index = 0;
  socket.transact(question, [&](std::size_t, const ipvs::NetlinkMessage& message) {
    if (const auto link = ipvs::decode_link(message.payload)) index = link->index;
  });
  Writer writer;
  Writer mtu;
  for (unsigned s = 0; s < shape.services; ++s) {
    if (shape.by_route) {
      ipvs::encode_route(writer.batch(), true, vip(s), index, std::nullopt, kMtu);
    } else {
      ipvs::encode_address(writer.batch(), true, vip(s), index);
      ipvs::encode_address_mtu(mtu.batch(), vip(s), index, kMtu);
    }
  }
  double seconds = send(socket, writer.batches(), shape.by_route ? "routes" : "addresses");
  if (!shape.by_route) seconds += send(socket, mtu.batches(), "their MTU");
  return seconds;
}

Shape shape_of(int count, char** words) {
  Shape shape;
  bool has_local = false;
  for (int i = 1; i < count; i += 2) {
    const std::string_view name = words[i];
    if (i + 1 == count) fail(std::string(name) + " needs a value");
    const std::string value = words[i + 1];
    const auto number = static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10));
    if (name == "--services") {
      shape.services = number;
    } else if (name == "--endpoints") {
      shape.endpoints = number;
    } else if (name == "--local") {
      shape.local = number;
      has_local = true;
    } else if (name == "--listeners" && (value == "yes" || value == "no")) {
      shape.has_listeners = value == "yes";
    } else if (name == "--binding" && (value == "address" || value == "route")) {
      shape.by_route = value == "route";
    } else {
      fail("unknown: " + std::string(name) + " " + value);
    }
  }
  if (!has_local) shape.local = (shape.endpoints + 9) / 10;
  if (shape.services == 0 || shape.local > shape.endpoints) fail("no such shape");
  return shape;
}

}  // namespace

int main(int count, char** words) {
  const Shape shape = shape_of(count, words);
  std::vector<NetlinkSocket> listeners;
  if (shape.has_listeners) {
    listeners.push_back(open(NETLINK_NETFILTER, {NFNLGRP_NFTABLES}));
    listeners.push_back(open(NETLINK_ROUTE, {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE}));
  }
  double seconds = install(shape);
  seconds += fill(shape);
  seconds += bind(shape);
  std::printf("floor: all of it %.3f s\n", seconds);
  return 0;
}
