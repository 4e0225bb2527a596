// SPDX-License-Identifier: Apache-2.0
//
// What our nftables table does to packets. Everything happens on the loopback of a network
// namespace that has all addresses concerned; there is no IPVS here, so what is sent to a virtual
// IP reaches the table's last chain.
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cerrno>
#include <chrono>
#include <thread>

#include "test/kernel/nft_fixture.hpp"

using namespace ipvs;
using namespace nft_test;

namespace {

using enum TrafficClass;
using boost::asio::ip::make_address;
using boost::asio::ip::tcp;
using boost::asio::ip::udp;

const TableRules kPlainRules{};

class Socket {
 public:
  Socket(const Address& family_of_this, int type, int protocol = 0)
      : fd_(::socket(family_of_this.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, protocol)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(fd_); }
  int fd() const { return fd_; }

  template <typename Endpoint>
  int bind(const Endpoint& endpoint) const {
    return ::bind(fd_, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 ? 0 : errno;
  }
  template <typename Endpoint>
  int connect(const Endpoint& endpoint) const {
    return ::connect(fd_, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 ? 0
                                                                                         : errno;
  }
  template <typename Endpoint>
  Endpoint local() const {
    Endpoint endpoint;
    auto size = static_cast<socklen_t>(endpoint.capacity());
    ::getsockname(fd_, endpoint.data(), &size);
    endpoint.resize(size);
    return endpoint;
  }
  bool readable(int milliseconds = 5000) const {
    pollfd wait{fd_, POLLIN, 0};
    return ::poll(&wait, 1, milliseconds) == 1;
  }

 private:
  int fd_;
};

// Accepts on every address of both families; `backlog` connections wait unaccepted.
class Listener {
 public:
  Listener() : socket_(address("::"), SOCK_STREAM) {
    REQUIRE(socket_.bind(tcp::endpoint(tcp::v6(), 0)) == 0);
    REQUIRE(::listen(socket_.fd(), 4096) == 0);
  }
  std::uint16_t port() const { return socket_.local<tcp::endpoint>().port(); }

 private:
  Socket socket_;
};

// The errno of a TCP connection from this host.
int connect_to(const char* to, std::uint16_t port) {
  return Socket(address(to), SOCK_STREAM).connect(tcp::endpoint(make_address(to), port));
}

void send_from(const Socket& socket, const char* from, const char* to, std::uint16_t port) {
  REQUIRE(socket.bind(udp::endpoint(make_address(from), 0)) == 0);
  REQUIRE(socket.connect(udp::endpoint(make_address(to), port)) == 0);
  const char byte = 0;
  REQUIRE(::send(socket.fd(), &byte, 1, 0) == 1);
}

// Whether a datagram is refused (ICMP); waits for the answer.
bool is_refused(const char* from, const char* to, std::uint16_t port) {
  const Socket socket(address(to), SOCK_DGRAM);
  send_from(socket, from, to, port);
  char byte;
  return socket.readable() && ::recv(socket.fd(), &byte, 1, 0) < 0 && errno == ECONNREFUSED;
}

bool answers_ping(const char* to) {
  const bool v4 = address(to).is_v4();
  const Socket socket(address(to), SOCK_RAW, v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
  REQUIRE(socket.connect(udp::endpoint(make_address(to), 0)) == 0);
  icmphdr request{};
  request.type = v4 ? ICMP_ECHO : 128;
  request.checksum = v4 ? 0xfff7 : 0;  // of this one header; for IPv6 the kernel fills it in
  REQUIRE(::send(socket.fd(), &request, sizeof(request), 0) == sizeof(request));
  // The request itself is received as well.
  const std::uint8_t reply = v4 ? ICMP_ECHOREPLY : 129;
  const std::size_t header = v4 ? 20 : 0;
  std::array<std::uint8_t, 256> packet;
  while (socket.readable()) {
    const auto size = ::recv(socket.fd(), packet.data(), packet.size(), 0);
    if (size > static_cast<ssize_t>(header) && packet[header] == reply) return true;
  }
  return false;
}

// Whether a datagram to an unused port of our own address is answered; a short wait.
bool is_usable(const char* text) {
  const Socket socket(address(text), SOCK_DGRAM);
  if (socket.connect(udp::endpoint(make_address(text), 9)) != 0) return false;
  char byte = 0;
  if (::send(socket.fd(), &byte, 1, 0) != 1 || !socket.readable(20)) return false;
  return ::recv(socket.fd(), &byte, 1, 0) < 0 && errno == ECONNREFUSED;
}

// Gives the loopback an address and waits until it can be used: for IPv6 the kernel does that
// later.
void add_address(const char* text) {
  must(std::string("ip addr add ") + text + " dev lo" + (address(text).is_v6() ? " nodad" : ""));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!is_usable(text)) REQUIRE(std::chrono::steady_clock::now() < deadline);
}

// A namespace whose loopback has these addresses; the first is the one that masquerading picks.
void make_host(std::initializer_list<const char*> addresses) {
  enter_new_network();
  must("ip link set lo up");
  for (const char* one : addresses) add_address(one);
}

// Counts, in a table of its own, new flows that arrive with another source than they were sent
// with.
class Watch {
 public:
  Watch() {
    feed_nft(R"(
      table inet watch {
        counter masqueraded {}
        chain arrive {
          type filter hook input priority 0
          meta l4proto udp ct status snat counter name masqueraded
        }
      }
    )");
  }
  // Sends a datagram and says what happened to it: "" or "masqueraded".
  std::string fate(const char* from, const char* to, std::uint16_t port) const {
    // Nothing listens at these addresses: when the refusal is here, the datagram is counted.
    REQUIRE(is_refused(from, to, port));
    const std::string counters = must("nft reset counters table inet watch");
    return counters.find("packets 1 ") != std::string::npos ? "masqueraded" : "";
  }
};

const std::string kMasqueraded = "masqueraded";

// What other software does with marks: saves packet marks that are 0 in the connection mark, and
// overwrites either (E5).
const char* const kMarksOfOthers = R"(
  table inet marks {
    chain pre { type filter hook prerouting priority -150; meta mark set ct mark; ct mark set 0; }
    chain out { type route hook output priority -150; meta mark set ct mark; ct mark set 0; }
    chain late { type filter hook output priority 50; ct mark set meta mark and 0xffff0000; }
    chain post { type filter hook postrouting priority -150; ct mark set meta mark; }
  }
)";

std::vector<Element> both_families(const std::vector<Element>& elements) {
  std::vector<Element> both = elements;
  for (Element element : elements) {
    if (element.kind == ElementKind::kNodePort) continue;
    // 10.96.0.1 becomes fd00:a60:1::
    const auto bytes = element.address.bytes();
    boost::asio::ip::address_v6::bytes_type six{0xfd, 0, bytes[0], bytes[1], bytes[2], bytes[3]};
    element.address = boost::asio::ip::address_v6(six);
    both.push_back(element);
  }
  return both;
}

}  // namespace

TEST_CASE("a port without a Service is refused at a virtual IP", "[kernel][nft]") {
  make_host({"203.0.113.7", "10.96.0.1", "fd00:96::1"});
  const Listener listener;
  REQUIRE(connect_to("10.96.0.1", listener.port()) == 0);
  REQUIRE(connect_to("fd00:96::1", listener.port()) == 0);

  NftClient client = open_client();
  REQUIRE(client.install_table(kPlainRules,
                               std::vector{plain(ElementKind::kVirtualIp, "10.96.0.1"),
                                           plain(ElementKind::kVirtualIp, "fd00:96::1")}) == 0);
  CHECK(connect_to("10.96.0.1", listener.port()) == ECONNREFUSED);
  CHECK(connect_to("fd00:96::1", listener.port()) == ECONNREFUSED);
  CHECK(connect_to("203.0.113.7", listener.port()) == 0);
  CHECK(connect_to("127.0.0.1", listener.port()) == 0);
}

TEST_CASE("a health check is let in on its load balancer IP, and on no other virtual IP (E4)",
          "[kernel][nft]") {
  make_host({"192.0.2.1", "192.0.2.2", "fd00:192::1"});
  const Listener listener;
  const auto health_check = [&](const char* ip) {
    return Element{
        .kind = ElementKind::kHealthCheckIp, .address = address(ip), .port = listener.port()};
  };
  NftClient client = open_client();
  REQUIRE(client.install_table(
              kPlainRules, std::vector{plain(ElementKind::kVirtualIp, "192.0.2.1"),
                                       plain(ElementKind::kVirtualIp, "192.0.2.2"),
                                       plain(ElementKind::kVirtualIp, "fd00:192::1"),
                                       health_check("192.0.2.1"), health_check("fd00:192::1")}) ==
          0);
  CHECK(connect_to("192.0.2.1", listener.port()) == 0);
  CHECK(connect_to("fd00:192::1", listener.port()) == 0);
  CHECK(connect_to("192.0.2.2", listener.port()) == ECONNREFUSED);
  CHECK(connect_to("192.0.2.1", 9) == ECONNREFUSED);
}

TEST_CASE("a datagram to an unused port of a virtual IP is refused", "[kernel][nft]") {
  make_host({"203.0.113.7", "10.96.0.1", "fd00:96::1"});
  const Socket open_port(address("::"), SOCK_DGRAM);
  REQUIRE(open_port.bind(udp::endpoint(udp::v6(), 0)) == 0);
  const std::uint16_t port = open_port.local<udp::endpoint>().port();
  const auto arrives = [&](const char* from, const char* to) {
    const Socket sender(address(to), SOCK_DGRAM);
    send_from(sender, from, to, port);
    char byte;
    return open_port.readable() && ::recv(open_port.fd(), &byte, 1, 0) == 1;
  };
  REQUIRE(arrives("203.0.113.7", "10.96.0.1"));
  REQUIRE(arrives("fd00:96::1", "fd00:96::1"));

  NftClient client = open_client();
  REQUIRE(client.install_table(kPlainRules,
                               std::vector{plain(ElementKind::kVirtualIp, "10.96.0.1"),
                                           plain(ElementKind::kVirtualIp, "fd00:96::1")}) == 0);
  CHECK(is_refused("203.0.113.7", "10.96.0.1", port));
  CHECK(is_refused("fd00:96::1", "fd00:96::1", port));
  CHECK(arrives("203.0.113.7", "203.0.113.7"));
}

TEST_CASE("a virtual IP answers to ping", "[kernel][nft]") {
  make_host({"10.96.0.1", "fd00:96::1"});
  NftClient client = open_client();
  REQUIRE(client.install_table(kPlainRules,
                               std::vector{plain(ElementKind::kVirtualIp, "10.96.0.1"),
                                           plain(ElementKind::kVirtualIp, "fd00:96::1")}) == 0);
  CHECK(answers_ping("10.96.0.1"));
  CHECK(answers_ping("fd00:96::1"));
}

TEST_CASE("each class of traffic is masqueraded as it should be", "[kernel][nft]") {
  // Masquerading, a node address, a pod, virtual IPs.
  make_host({"198.51.100.1", "203.0.113.7", "10.244.1.5", "10.96.0.1", "192.0.2.1", "192.0.2.2"});
  for (const char* six : {"2001:db8::1", "fd00:cb00:7107::", "fd00:af4:105::", "fd00:a60:1::",
                          "fd00:c000:201::", "fd00:c000:202::"}) {
    add_address(six);
  }
  NftClient client = open_client();
  const std::vector<Element> elements = both_families(
      {service("10.96.0.1", 53, kClusterIp, Protocol::kUdp),
       service("192.0.2.1", 53, kExternal, Protocol::kUdp),
       service("192.0.2.2", 53, kExternalLocal, Protocol::kUdp),
       node_port(30001, kExternal, Protocol::kUdp),
       node_port(30002, kExternalLocal, Protocol::kUdp),
       node_port(30003, kExternal, Protocol::kTcp), plain(ElementKind::kNodeAddress, "203.0.113.7"),
       plain(ElementKind::kVirtualIp, "10.96.0.1"), plain(ElementKind::kVirtualIp, "192.0.2.1"),
       plain(ElementKind::kVirtualIp, "192.0.2.2")});
  REQUIRE(client.install_table(kPlainRules, elements) == 0);
  const Watch watch;

  // A cluster IP without pod networks: only what has a virtual IP as its source.
  CHECK(watch.fate("10.244.1.5", "10.96.0.1", 53) == "");
  CHECK(watch.fate("203.0.113.7", "10.96.0.1", 53) == "");
  CHECK(watch.fate("10.96.0.1", "10.96.0.1", 53) == kMasqueraded);
  CHECK(watch.fate("fd00:af4:105::", "fd00:a60:1::", 53) == "");
  CHECK(watch.fate("fd00:a60:1::", "fd00:a60:1::", 53) == kMasqueraded);
  // External addresses: always.
  CHECK(watch.fate("10.244.1.5", "192.0.2.1", 53) == kMasqueraded);
  CHECK(watch.fate("fd00:af4:105::", "fd00:c000:201::", 53) == kMasqueraded);
  // Local policy: what comes from this host, whatever its source: it may take a short cut to
  // another node.
  CHECK(watch.fate("10.244.1.5", "192.0.2.2", 53) == kMasqueraded);
  CHECK(watch.fate("192.0.2.2", "192.0.2.2", 53) == kMasqueraded);
  CHECK(watch.fate("fd00:af4:105::", "fd00:c000:202::", 53) == kMasqueraded);
  CHECK(watch.fate("fd00:c000:202::", "fd00:c000:202::", 53) == kMasqueraded);
  // Node ports, by policy; the protocol counts, and the address does.
  CHECK(watch.fate("10.244.1.5", "203.0.113.7", 30001) == kMasqueraded);
  CHECK(watch.fate("10.244.1.5", "203.0.113.7", 30002) == kMasqueraded);
  CHECK(watch.fate("10.244.1.5", "203.0.113.7", 30003) == "");
  CHECK(watch.fate("10.244.1.5", "198.51.100.1", 30001) == "");
  CHECK(watch.fate("fd00:af4:105::", "fd00:cb00:7107::", 30001) == kMasqueraded);
  CHECK(watch.fate("fd00:af4:105::", "fd00:cb00:7107::", 30002) == kMasqueraded);
  // Loopback is left alone, other ports are.
  CHECK(watch.fate("127.0.0.1", "203.0.113.7", 30001) == "");
  CHECK(watch.fate("127.0.0.1", "192.0.2.1", 53) == "");
  CHECK(watch.fate("10.244.1.5", "192.0.2.1", 54) == "");

  REQUIRE(client.install_table({.masquerade_all = true, .cluster_cidrs = {}}, elements) == 0);
  CHECK(watch.fate("10.244.1.5", "10.96.0.1", 53) == kMasqueraded);

  REQUIRE(client.install_table(
              {.cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16},
                                 {.address = address("fd00:af4::"), .prefix_length = 32}}},
              elements) == 0);
  CHECK(watch.fate("10.244.1.5", "10.96.0.1", 53) == "");
  CHECK(watch.fate("203.0.113.7", "10.96.0.1", 53) == kMasqueraded);
  CHECK(watch.fate("10.96.0.1", "10.96.0.1", 53) == kMasqueraded);
  CHECK(watch.fate("fd00:af4:105::", "fd00:a60:1::", 53) == "");
  CHECK(watch.fate("fd00:cb00:7107::", "fd00:a60:1::", 53) == kMasqueraded);
}

// Instead of IPVS, a rule of another table leads to the pod, as IPVS does before postrouting; before
// our table, which keeps a Service's destination.
const char* const kLeadsToThePod = R"(
  table inet leads {
    chain out {
      type nat hook output priority -115
      ip daddr 10.96.0.1 dnat ip to 10.244.1.5
      ip daddr 192.0.2.2 dnat ip to 10.244.1.5
      ip6 daddr fd00:a60:1:: dnat ip6 to fd00:af4:105::
    }
  }
)";

TEST_CASE("a pod that reaches itself through a Service is masqueraded, and nothing else is (E1)",
          "[kernel][nft]") {
  make_host({"198.51.100.1", "2001:db8::1", "10.244.1.5", "10.244.1.6",
             "fd00:af4:105::", "10.96.0.1", "192.0.2.2", "fd00:a60:1::"});
  NftClient client = open_client();
  REQUIRE(client.install_table(
              {.cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16},
                                 {.address = address("fd00:af4::"), .prefix_length = 32}}},
              both_families({service("10.96.0.1", 53, kClusterIp, Protocol::kUdp),
                             service("192.0.2.2", 53, kExternalLocal, Protocol::kUdp),
                             plain(ElementKind::kHairpin, "10.244.1.5")})) == 0);
  feed_nft(kLeadsToThePod);
  const Watch watch;
  CHECK(watch.fate("10.244.1.5", "10.96.0.1", 53) == kMasqueraded);
  CHECK(watch.fate("fd00:af4:105::", "fd00:a60:1::", 53) == kMasqueraded);
  CHECK(watch.fate("10.244.1.5", "192.0.2.2", 53) == kMasqueraded);
  // An endpoint that another pod reaches, and another port than the Service's.
  CHECK(watch.fate("10.244.1.6", "10.96.0.1", 53) == "");
  CHECK(watch.fate("10.244.1.5", "10.96.0.1", 54) == "");
  // With itself, on the Service's port and on any other: as a host with a hostNetwork endpoint.
  CHECK(watch.fate("10.244.1.5", "10.244.1.5", 53) == "");
  CHECK(watch.fate("10.244.1.5", "10.244.1.5", 9) == "");
  CHECK(watch.fate("fd00:af4:105::", "fd00:af4:105::", 53) == "");
}

TEST_CASE("marks that other software writes do not change what is masqueraded (E5)",
          "[kernel][nft]") {
  make_host({"198.51.100.1", "203.0.113.7", "10.244.1.5", "10.96.0.1", "192.0.2.1", "192.0.2.2"});
  NftClient client = open_client();
  const std::vector<Element> elements{service("10.96.0.1", 53, kClusterIp, Protocol::kUdp),
                                      service("192.0.2.1", 53, kExternal, Protocol::kUdp),
                                      service("192.0.2.2", 53, kExternalLocal, Protocol::kUdp),
                                      node_port(30001, kExternal, Protocol::kUdp),
                                      node_port(30002, kExternalLocal, Protocol::kUdp),
                                      plain(ElementKind::kNodeAddress, "203.0.113.7"),
                                      plain(ElementKind::kVirtualIp, "10.96.0.1")};
  REQUIRE(client.install_table(
              {.cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16}}},
              elements) == 0);
  feed_nft(kMarksOfOthers);
  const Watch watch;
  for (int round = 0; round < 2; ++round) {
    CHECK(watch.fate("203.0.113.7", "10.96.0.1", 53) == kMasqueraded);
    CHECK(watch.fate("10.96.0.1", "10.96.0.1", 53) == kMasqueraded);
    CHECK(watch.fate("10.244.1.5", "192.0.2.1", 53) == kMasqueraded);
    CHECK(watch.fate("203.0.113.7", "192.0.2.2", 53) == kMasqueraded);
    CHECK(watch.fate("10.244.1.5", "203.0.113.7", 30001) == kMasqueraded);
    CHECK(watch.fate("203.0.113.7", "203.0.113.7", 30002) == kMasqueraded);
    CHECK(watch.fate("10.244.1.5", "10.96.0.1", 53) == "");
    CHECK(watch.fate("10.244.1.5", "203.0.113.7", 30003) == "");
    // Then with every bit set on every packet and connection.
    if (round == 0) {
      feed_nft(
          "flush table inet marks\n"
          "add rule inet marks pre meta mark set 0xffffffff ct mark set 0xffffffff\n"
          "add rule inet marks late ct mark set 0xffffffff\n");
    }
  }
}

TEST_CASE("a host port of others does not take the traffic of a virtual IP", "[kernel][nft]") {
  make_host({"203.0.113.7", "10.96.0.1"});
  const Listener pod;
  // As CNI plugins do it: whatever local address.
  const std::string redirect =
      "fib daddr type local tcp dport 8080 dnat ip to 203.0.113.7:" + std::to_string(pod.port());
  feed_nft("table inet cni {\n chain pre { type nat hook prerouting priority -100;\n" + redirect +
           "\n}\nchain out { type nat hook output priority -100;\n" + redirect + "\n}\n}\n");
  REQUIRE(connect_to("10.96.0.1", 8080) == 0);

  NftClient client = open_client();
  REQUIRE(client.install_table(kPlainRules,
                               std::vector{plain(ElementKind::kVirtualIp, "10.96.0.1")}) == 0);
  CHECK(connect_to("10.96.0.1", 8080) == ECONNREFUSED);
  CHECK(connect_to("203.0.113.7", 8080) == 0);
}

TEST_CASE("a host port of others does not take a Service's traffic on an own address (B6)",
          "[kernel][nft]") {
  make_host({"203.0.113.7", "203.0.113.8"});
  const Listener pod;
  const std::string redirect =
      "fib daddr type local tcp dport { 8080, 8081, 30080, 30081 } dnat ip to 203.0.113.7:" +
      std::to_string(pod.port());
  feed_nft("table inet cni {\n chain out { type nat hook output priority -100;\n" + redirect +
           "\n}\n}\n");
  REQUIRE(connect_to("203.0.113.7", 8080) == 0);

  NftClient client = open_client();
  const std::vector elements{service("203.0.113.7", 8080, TrafficClass::kExternal),
                             service("203.0.113.7", 8081, TrafficClass::kExternalLocal),
                             node_port(30080, TrafficClass::kExternal),
                             node_port(30081, TrafficClass::kExternalLocal),
                             plain(ElementKind::kNodeAddress, "203.0.113.7")};
  REQUIRE(client.install_table(kPlainRules, elements) == 0);
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{8080, 8081, 30080, 30081}) {
    CAPTURE(port);
    CHECK(connect_to("203.0.113.7", port) == ECONNREFUSED);
    CHECK(connect_to("203.0.113.8", port) == 0);  // no Service's
  }
}

TEST_CASE("there is no moment without rules while the table is replaced", "[kernel][nft]") {
  make_host({"203.0.113.7", "10.96.0.1"});
  const Listener listener;
  NftClient client = open_client();
  std::vector<Element> elements = many_services(2'000);
  elements.push_back(plain(ElementKind::kVirtualIp, "10.96.0.1"));
  REQUIRE(client.install_table(kPlainRules, elements) == 0);

  std::atomic<bool> stop = false;
  std::atomic<int> refused = 0;
  std::atomic<int> other = 0;
  std::thread traffic([&] {  // in the namespace of the thread that starts it
    while (!stop) ++(connect_to("10.96.0.1", listener.port()) == ECONNREFUSED ? refused : other);
  });
  int error = 0;
  for (int round = 0; round < 30 || refused < 300; ++round)
    error |= client.install_table(kPlainRules, elements);
  stop = true;
  traffic.join();
  CHECK(error == 0);
  CHECK(refused > 0);
  CHECK(other == 0);
}
