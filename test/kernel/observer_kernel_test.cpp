// SPDX-License-Identifier: Apache-2.0
//
// LinuxFlowObserver against the real kernel, with each value of net.netfilter.nf_conntrack_events; each
// test runs in a network namespace of its own.
#include "ipvs/linux_flow_observer.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ipvs/host/flow_codec.hpp"
#include "nft_fixture.hpp"
#include "own_namespace.hpp"
#include "waiting.hpp"

namespace {

using ipvs::FlowEvent;
using ipvs::FlowObserver;
using ipvs::Protocol;
using Kind = FlowEvent::Kind;

constexpr std::size_t kSent = 10'000, kAnswered = 3'000;

struct Socket {
  int fd;
  explicit Socket(int type) : fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {}
  explicit Socket(const Socket& listening, int) : fd(::accept(listening.fd, nullptr, nullptr)) {}
  ~Socket() { ::close(fd); }
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  return to;
}

// A TCP connection in which the client sends kSent bytes and gets kAnswered.
void exchange(std::uint16_t port) {
  const Socket listening(SOCK_STREAM);
  const sockaddr_in to = loopback(port);
  const int on = 1;
  ::setsockopt(listening.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  REQUIRE(::bind(listening.fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
  REQUIRE(::listen(listening.fd, 1) == 0);
  const Socket client(SOCK_STREAM);
  REQUIRE(::connect(client.fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
  const Socket server(listening, 0);
  std::vector<char> bytes(kSent, 'x');
  REQUIRE(::send(client.fd, bytes.data(), kSent, 0) == static_cast<ssize_t>(kSent));
  REQUIRE(::recv(server.fd, bytes.data(), kSent, MSG_WAITALL) == static_cast<ssize_t>(kSent));
  REQUIRE(::send(server.fd, bytes.data(), kAnswered, 0) == static_cast<ssize_t>(kAnswered));
  REQUIRE(::recv(client.fd, bytes.data(), kAnswered, MSG_WAITALL) ==
          static_cast<ssize_t>(kAnswered));
}

void set(const std::string& key, const std::string& value) {
  REQUIRE(ipvs::Sysctls().write("net/netfilter/" + key, value).has_value());
}

ipvs::ServerKey at(std::uint16_t port) {
  return {boost::asio::ip::address_v4::loopback(), port, Protocol::kTcp};
}

std::unique_ptr<FlowObserver> observe(std::uint16_t port) {
  auto opened = ipvs::LinuxFlowObserver::open(ipvs::Sysctls(), std::vector{at(port)});
  INFO((opened ? "" : opened.error().text()));
  REQUIRE(opened.has_value());
  return std::move(*opened);
}

// What it reports until an event of that kind is there.
std::vector<FlowEvent> until(FlowObserver& observer, Kind kind) {
  std::vector<FlowEvent> all;
  const bool came = soon([&] {
    const auto drained = observer.drain([&](const FlowEvent& event) { all.push_back(event); });
    CHECK_FALSE(drained.lost);
    return std::any_of(all.begin(), all.end(), [&](const auto& e) { return e.kind == kind; });
  });
  CHECK(came);
  return all;
}

std::size_t tables() {
  const std::string text = nft_test::must("nft list tables");
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find("kube-ipvs-observe", at)) != text.npos; ++at) ++count;
  return count;
}

// Messages about connections to a port, as any program hears them.
class Ear {
 public:
  Ear()
      : socket_(ipvs::NetlinkSocket::open(
                    NETLINK_NETFILTER,
                    {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY})
                    .value()) {}
  std::size_t heard(std::uint16_t port) {
    socket_.read_events([&](const ipvs::NetlinkMessage& message) {
      const auto flow = ipvs::decode_flow(message.payload);
      if (flow) ++counts_[flow->original_destination.port];
    });
    return counts_[port];
  }

 private:
  ipvs::NetlinkSocket socket_;
  std::map<std::uint16_t, std::size_t> counts_;
};

// As in the agent, whose table makes the kernel track connections.
struct Namespace {
  Namespace() {
    enter_own_namespace();
    auto client = nft_test::open_client();
    REQUIRE(client.install_table({}, {}) == 0);
  }
};

// Tables with an owner, without which no events can be given to some connections alone.
bool has_owners() { return ipvs::running_kernel_version() >= ipvs::KernelVersion{5, 12}; }

bool knows_2() { return ipvs::running_kernel_version() >= ipvs::KernelVersion{6, 0}; }

}  // namespace

TEST_CASE_METHOD(Namespace, "a TCP connection is seen to begin and to end, with its bytes") {
  const std::string events = GENERATE("0", "1", "2");
  if (events == "2" && !knows_2()) SKIP("this kernel knows 0 and 1 only");
  if (events == "0" && !has_owners()) SKIP("this kernel has no tables with an owner");
  CAPTURE(events);
  set("nf_conntrack_events", events);
  set("nf_conntrack_acct", "1");
  auto observer = observe(8080);
  CHECK(observer->facts().counts_bytes);
  CHECK((observer->facts().limit == ipvs::EventLimit::kOnlyThese) == (events != "1"));
  CHECK(tables() == (events == "1" ? 0 : 1));
  exchange(8081);
  exchange(8080);
  const auto all = until(*observer, Kind::kClosed);
  REQUIRE(all.size() == 2);
  CHECK(all[0].kind == Kind::kNew);
  CHECK(all[0].key == all[1].key);
  CHECK(all[0].key.entrance.port == 8080);
  CHECK(all[0].endpoint == all[0].key.entrance);  // no virtual server chose another
  CHECK_FALSE(all[1].is_reset);
  const auto bytes = observer->read_bytes(all[1]);
  REQUIRE(bytes.has_value());
  // With the headers of a few dozen packets.
  CHECK(bytes->in > kSent);
  CHECK(bytes->in < kSent + 4'000);
  CHECK(bytes->out > kAnswered);
  CHECK(bytes->out < kAnswered + 4'000);
  nft_test::must("conntrack -D -p tcp --dport 8080");
  const auto deleted = until(*observer, Kind::kDeleted);
  REQUIRE(deleted.size() == 1);
  CHECK(deleted[0].was_closed);
  CHECK(deleted[0].bytes == bytes);
  observer.reset();
  CHECK(soon([] { return tables() == 0; }));
}

TEST_CASE_METHOD(Namespace, "with events off, a kernel without owners of tables is a clear error") {
  if (has_owners()) SKIP("this kernel has them");
  set("nf_conntrack_events", "0");
  const auto opened = ipvs::LinuxFlowObserver::open(ipvs::Sysctls(), std::vector{at(8080)});
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().what.find("nf_conntrack_events is 0") != std::string::npos);
  CHECK(tables() == 0);
}

TEST_CASE_METHOD(Namespace, "with events off, only the observed connections get them") {
  if (!has_owners()) SKIP("this kernel has no tables with an owner");
  set("nf_conntrack_events", "0");
  Ear ear;
  auto observer = observe(8080);
  exchange(8081);
  exchange(8080);
  until(*observer, Kind::kClosed);
  CHECK(ear.heard(8080) >= 2);
  CHECK(ear.heard(8081) == 0);
  observer.reset();
  exchange(8080);
  const std::size_t before = ear.heard(8080);
  CHECK(ear.heard(8080) == before);
}

TEST_CASE_METHOD(Namespace, "where others listen they hear what they heard before") {
  if (!knows_2()) SKIP("this kernel knows 0 and 1 only");
  set("nf_conntrack_events", "2");
  auto observer = observe(8080);
  CHECK(observer->facts().limit == ipvs::EventLimit::kOnlyThese);
  Ear ear;
  observer->check();
  CHECK(observer->facts().limit == ipvs::EventLimit::kFiltered);
  CHECK(observer->facts().why == "others listen to conntrack events, too");
  CHECK(tables() == 0);
  exchange(8081);
  exchange(8080);
  CHECK(until(*observer, Kind::kClosed).size() == 2);
  CHECK(ear.heard(8081) >= 2);
}

TEST_CASE_METHOD(Namespace, "the observed virtual servers can change") {
  const std::string events = GENERATE("0", "1");
  if (events == "0" && !has_owners()) SKIP("this kernel has no tables with an owner");
  CAPTURE(events);
  set("nf_conntrack_events", events);
  auto observer = observe(8080);
  REQUIRE(observer->set_servers(std::vector{at(8081), at(8082)}).has_value());
  CHECK(tables() == (events == "0" ? 1 : 0));
  exchange(8080);
  exchange(8082);
  const auto all = until(*observer, Kind::kClosed);
  CHECK(all.size() == 2);
  CHECK(all[0].key.entrance.port == 8082);
}

TEST_CASE_METHOD(Namespace, "what `nft` lists of the table for events can be read again") {
  if (!has_owners()) SKIP("this kernel has no tables with an owner");
  set("nf_conntrack_events", "0");
  const auto observer = observe(8080);
  const std::string name = [] {
    const std::string text = nft_test::must("nft list tables");
    const std::size_t begin = text.find("kube-ipvs-observe");
    return text.substr(begin, text.find('\n', begin) - begin);
  }();
  const std::string text = nft_test::must("nft list table inet " + name);
  CAPTURE(text);
  CHECK(text.find("flags owner") != std::string::npos);
  CHECK(text.find("hook prerouting priority -190") != std::string::npos);
  CHECK(text.find("ct state new meta nfproto ipv4 ct original ip daddr 127.0.0.1 meta l4proto tcp "
                  "ct original proto-dst 8080 ct event set new,destroy,protoinfo accept") !=
        std::string::npos);
  CHECK(nft_test::shell("nft delete table inet " + name).status != 0);  // it has an owner
}
