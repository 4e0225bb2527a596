// SPDX-License-Identifier: Apache-2.0
//
// Queries over the loopback interface, by UDP and TCP; servers of the test stand for other resolvers.
#include "agent/dns/server.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "test/agent/dns/messages.hpp"
#include "test/agent/objects.hpp"
#include "test/agent/run_until.hpp"

namespace {

namespace asio = boost::asio;
namespace dns = agent::dns;
using namespace agent::dns::test;
using namespace std::chrono_literals;
using agent::test::ip;
using agent::test::make_service;
using asio::ip::tcp;
using asio::ip::udp;
using boost::system::error_code;
using Lines = std::vector<std::string>;

const dns::Name kZone = dns::name_of("cluster.local").value();
constexpr const char* kWeb = "web.default.svc.cluster.local";

class Fixture {
 public:
  explicit Fixture(const std::vector<std::string>& addresses = {"127.0.0.1"},
                   std::chrono::milliseconds idle = 10s)
      : server(context.get_executor(), options(idle)) {
    std::vector<dns::Server::Place> all;
    for (const std::string& each : addresses) all.emplace_back(ip(each), 0);
    server.set_addresses(all);
    asio::co_spawn(context, server.run(),
                   asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr e) {
                     ended = true;
                     error = e;
                   }));
    set("web", {"10.96.0.1"});
    REQUIRE(until([&] { return server.places().size() == addresses.size(); }));
    place = server.places().front();
  }
  ~Fixture() { stop(); }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  void set(const std::string& name, const std::vector<std::string>& cluster_ips) {
    records["default/" + name] = dns::records_of(make_service(name, cluster_ips), {}, kZone);
    server.mark("default/" + name);
    server.refresh();
  }
  bool until(const std::function<bool()>& done) { return agent::test::run_until(context, done); }
  void stop() {
    if (ended) return;
    stop_.emit(asio::cancellation_type::terminal);
    REQUIRE(until([this] { return ended; }));
  }
  // What is received at a socket.
  std::string receive(udp::socket& socket) {
    std::string text(65536, ' ');
    std::size_t got = 0;
    bool done = false;
    socket.async_receive(asio::buffer(text), [&](error_code, std::size_t size) {
      got = size;
      done = true;
    });
    REQUIRE(until([&] { return done; }));
    return text.substr(0, got);
  }
  Answer ask(const Asked& asked, const dns::Server::Place& at) {
    udp::socket client(context, at.protocol());
    client.connect(at);
    client.send(asio::buffer(query(asked)));
    return read_answer(receive(client));
  }
  Answer ask(const Asked& asked) { return ask(asked, place); }

  struct Connection {
    explicit Connection(Fixture& f) : fixture(f), socket(f.context) {
      socket.connect(tcp::endpoint(f.place.address(), f.place.port()));
    }
    void send(const Asked& asked) {
      const std::string message = query(asked);
      std::string framed;
      put(framed, static_cast<unsigned>(message.size()));
      asio::write(socket, asio::buffer(framed + message));
    }
    std::string read(std::size_t size, error_code& result) {
      std::string text(size, ' ');
      bool done = false;
      asio::async_read(socket, asio::buffer(text), [&](error_code e, std::size_t) {
        result = e;
        done = true;
      });
      REQUIRE(fixture.until([&] { return done; }));
      return text;
    }
    Answer receive() {
      error_code failed;
      const std::string length = read(2, failed);
      REQUIRE_FALSE(failed);
      const auto bytes = bytes_of(length);
      const std::string message = read(static_cast<std::size_t>(bytes[0] << 8 | bytes[1]), failed);
      REQUIRE_FALSE(failed);
      return read_answer(message);
    }
    Fixture& fixture;
    tcp::socket socket;
  };

  asio::io_context context;
  std::map<std::string, std::vector<dns::Record>> records;
  std::map<std::string, std::string> faults;  // by place
  bool may_ask = true;
  dns::Server server;
  dns::Server::Place place;
  bool ended = false;
  std::exception_ptr error;

 private:
  dns::Server::Options options(std::chrono::milliseconds idle) {
    dns::Server::Options all;
    all.zone = kZone;
    all.records_of = [this](const std::string& owner) { return records[owner]; };
    all.may_ask = [this](const asio::ip::address&) { return may_ask; };
    all.on_bind = [this](const std::string& where, const std::string& fault) {
      faults[where] = fault;
    };
    all.retry = 20ms;
    all.idle = idle;
    all.patience = 100ms;
    return all;
  }
  asio::cancellation_signal stop_;
};

// A resolver that replies to what it gets with one address, as often as it is told to.
class Resolver {
 public:
  explicit Resolver(asio::io_context& context, std::function<void(std::string&)> change = {})
      : acceptor_(context, tcp::endpoint(ip("127.0.0.1"), 0)),
        // Connections take ports of TCP, so that one of UDP would often be in use there.
        socket_(context, udp::endpoint(ip("127.0.0.1"), acceptor_.local_endpoint().port())),
        connection_(context),
        change_(std::move(change)) {
    receive();
    accept();
  }
  dns::Server::Place place() const { return socket_.local_endpoint(); }
  int asked = 0;

 private:
  std::string reply_to(std::string message) {
    ++asked;
    message.resize(12 + message.find('\0', 12) - 12 + 5);  // the question alone
    message[2] = static_cast<char>(0x81);
    message[3] = static_cast<char>(0x80);
    message[7] = 1;
    message[11] = 0;
    message += std::string("\xC0\x0C\0\1\0\1\0\0\0\x3C\0\4\xC0\x00\x02\x35", 16);
    if (change_) change_(message);
    return message;
  }
  void receive() {
    socket_.async_receive_from(asio::buffer(buffer_), from_, [this](error_code e, std::size_t n) {
      if (e) return;
      const std::string reply = reply_to(std::string(buffer_.data(), n));
      if (!reply.empty()) socket_.send_to(asio::buffer(reply), from_);
      receive();
    });
  }
  void accept() {
    acceptor_.async_accept(connection_, [this](error_code e) {
      if (e) return;
      asio::async_read(connection_, asio::buffer(buffer_, 2), [this](error_code f, std::size_t) {
        if (f) return;
        const auto size = static_cast<std::size_t>(static_cast<unsigned char>(buffer_[1]));
        asio::async_read(connection_, asio::buffer(buffer_, size),
                         [this](error_code g, std::size_t n) {
                           if (g) return;
                           const std::string reply = reply_to(std::string(buffer_.data(), n));
                           std::string framed;
                           put(framed, static_cast<unsigned>(reply.size()));
                           asio::write(connection_, asio::buffer(framed + reply));
                         });
      });
    });
  }

  tcp::acceptor acceptor_;
  udp::socket socket_;
  tcp::socket connection_;
  std::function<void(std::string&)> change_;
  std::array<char, 2048> buffer_{};
  udp::endpoint from_;
};

}  // namespace

TEST_CASE("dns server: answers by UDP and TCP, at each address, of both families") {
  const std::string address = GENERATE("127.0.0.1", "127.0.0.53", "::1");
  Fixture f({address});
  CHECK(f.ask({.name = kWeb}).answers == Lines{std::string(kWeb) + ". 5 A 10.96.0.1"});
  Fixture::Connection connection(f);
  connection.send({.name = kWeb});
  CHECK(connection.receive().answers.size() == 1);
}

TEST_CASE("dns server: bound to all addresses it answers from the one that was asked") {
  const bool six = GENERATE(false, true);
  Fixture f({six ? "::" : "0.0.0.0"});
  // Connected sockets get nothing from elsewhere.
  for (const char* to : {"127.0.0.1", "127.0.0.77"}) {
    const dns::Server::Place at(ip(six ? "::1" : to), f.place.port());
    CHECK(f.ask({.name = kWeb}, at).answers.size() == 1);
  }
}

TEST_CASE("dns server: many datagrams at once are all answered") {
  Fixture f;
  udp::socket client(f.context, udp::v4());
  client.set_option(asio::socket_base::receive_buffer_size(1 << 20));
  client.connect(f.place);
  constexpr unsigned kMany = 100;
  for (unsigned i = 0; i < kMany; ++i) client.send(asio::buffer(query({.name = kWeb, .id = i})));
  std::vector<bool> seen(kMany);
  for (unsigned i = 0; i < kMany; ++i) seen.at(read_answer(f.receive(client)).id) = true;
  CHECK(std::count(seen.begin(), seen.end(), true) == kMany);
}

TEST_CASE("dns server: a change is answered from the end of its pass on") {
  Fixture f;
  f.records["default/web"] = dns::records_of(make_service("web", {"10.96.0.2"}), {}, kZone);
  f.server.mark("default/web");
  CHECK(f.ask({.name = kWeb}).answers == Lines{std::string(kWeb) + ". 5 A 10.96.0.1"});
  f.server.refresh();
  CHECK(f.ask({.name = kWeb}).answers == Lines{std::string(kWeb) + ". 5 A 10.96.0.2"});
  f.records.clear();
  f.server.mark("default/web");
  f.server.refresh();
  CHECK(f.ask({.name = kWeb}).rcode() == 3);
}

TEST_CASE("dns server: pipelined queries of a TCP connection are answered in their order") {
  Fixture f;
  Fixture::Connection connection(f);
  for (unsigned id = 1; id <= 50; ++id) connection.send({.name = kWeb, .id = id});
  for (unsigned id = 1; id <= 50; ++id) CHECK(connection.receive().id == id);
}

TEST_CASE(
    "dns server: a TCP connection that sends nothing, or half of a query, or too much is closed") {
  Fixture f({"127.0.0.1"}, 50ms);
  const std::string sent = GENERATE(std::string(), std::string("\0", 1), std::string("\0\x20zz", 4),
                                    std::string("\xFF\xFF", 2), std::string("\0\1z", 3));
  Fixture::Connection connection(f);
  if (!sent.empty()) asio::write(connection.socket, asio::buffer(sent));
  error_code failed;
  connection.read(1, failed);
  CHECK(failed == asio::error::eof);
}

TEST_CASE("dns server: is moved to other addresses while it serves") {
  Fixture f;
  const dns::Server::Place first = f.place;
  f.server.set_addresses({dns::Server::Place(ip("127.0.0.1"), 0), {ip("127.0.0.2"), 0}});
  REQUIRE(f.until([&] { return f.server.places().size() == 2; }));
  CHECK(f.ask({.name = kWeb}, first).answers.size() == 1);  // still the same socket
  CHECK(f.ask({.name = kWeb}, f.server.places().back()).answers.size() == 1);
  f.server.set_addresses({{ip("127.0.0.2"), 0}});
  CHECK(f.server.places().size() == 1);
  CHECK(f.ask({.name = "ns.dns.cluster.local"}, f.server.places().front()).answers ==
        Lines{"ns.dns.cluster.local. 5 A 127.0.0.2"});
}

TEST_CASE("dns server: an address in use is reported, and taken as soon as it is free") {
  Fixture f;
  auto other = std::make_unique<tcp::acceptor>(f.context, tcp::endpoint(ip("127.0.0.1"), 0));
  const dns::Server::Place taken(ip("127.0.0.1"), other->local_endpoint().port());
  f.server.set_addresses({taken});
  const std::string name = "127.0.0.1:" + std::to_string(taken.port());
  REQUIRE(f.until([&] { return !f.faults[name].empty(); }));
  other.reset();
  REQUIRE(f.until([&] { return f.faults[name].empty(); }));
  CHECK(f.ask({.name = kWeb}, taken).answers.size() == 1);
}

TEST_CASE("dns server: an address that this host does not have yet is no fault") {
  Fixture f({"192.0.2.53"});
  CHECK(f.faults.empty());
}

TEST_CASE("dns server: other names are asked for at another resolver, by UDP and by TCP") {
  Fixture f;
  Resolver resolver(f.context);
  f.server.set_upstreams({resolver.place()});
  const Lines line{"wWw.example.com. 60 A 192.0.2.53"};
  const Answer a = f.ask({.name = "wWw.example.com", .id = 77});
  CHECK(a.answers == line);
  CHECK((a.id == 77 && a.recursion_available()));
  Fixture::Connection connection(f);
  connection.send({.name = "wWw.example.com", .id = 78});
  CHECK(connection.receive().answers == line);
  CHECK(resolver.asked == 2);
  f.may_ask = false;
  CHECK(f.ask({.name = "www.example.com"}).rcode() == 5);
  CHECK(resolver.asked == 2);
}

TEST_CASE(
    "dns server: a resolver that does not reply, or with something else, is SERVFAIL in time") {
  struct Row {
    const char* what;
    std::function<void(std::string&)> change;
  };
  const std::vector<Row> rows{
      {"nothing", [](std::string& reply) { reply.clear(); }},
      {"another id", [](std::string& reply) { reply[0] = static_cast<char>(reply[0] ^ 1); }},
      {"another name", [](std::string& reply) { reply[13] = 'x'; }},
      {"a query", [](std::string& reply) { reply[2] = 0; }},
      {"a header", [](std::string& reply) { reply.resize(12); }},
  };
  const std::size_t row = static_cast<std::size_t>(GENERATE(0, 1, 2, 3, 4));
  CAPTURE(rows[row].what);
  Fixture f;
  Resolver resolver(f.context, rows[row].change);
  f.server.set_upstreams({resolver.place()});
  CHECK(f.ask({.name = "www.example.com"}).rcode() == 2);
  CHECK(f.ask({.name = kWeb}).rcode() == 0);
}

TEST_CASE("dns server: the next resolver is asked where the first does not reply") {
  Fixture f;
  Resolver silent(f.context, [](std::string& reply) { reply.clear(); });
  Resolver good(f.context);
  f.server.set_upstreams({silent.place(), good.place()});
  CHECK(f.ask({.name = "www.example.com"}).answers.size() == 1);
  CHECK(f.ask({.name = "www.example.com"}).answers.size() == 1);
  CHECK(silent.asked == 1);  // the one that replies is asked first from now on
}

TEST_CASE("dns server: an ExternalName comes with what another resolver knows of it") {
  Fixture f;
  Resolver resolver(f.context);
  f.server.set_upstreams({resolver.place()});
  k8s::Service alias = make_service("foo", {}, {});
  alias.type = k8s::ServiceType::kExternalName;
  alias.external_name = "www.example.com";
  f.records["default/foo"] = dns::records_of(alias, {}, kZone);
  f.server.mark("default/foo");
  f.server.refresh();
  CHECK(f.ask({.name = "foo.default.svc.cluster.local"}).answers ==
        Lines{"foo.default.svc.cluster.local. 5 CNAME www.example.com.",
              "www.example.com. 60 A 192.0.2.53"});
}

TEST_CASE("dns server: dig, a client of others, reads what we answer") {
  if (!std::filesystem::exists("/usr/bin/dig")) SKIP("dig is not installed (bind9-dnsutils)");
  Fixture f;
  const auto dig = [&f](const std::string& arguments) {
    const std::string line = "dig @127.0.0.1 -p " + std::to_string(f.place.port()) +
                             " +tries=1 +time=5 +short " + arguments + " 2>&1";
    auto output = std::async(std::launch::async, [line] {
      std::string text;
      const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(line.c_str(), "r"), ::pclose);
      for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get()))
        text += static_cast<char>(c);
      return text;
    });
    REQUIRE(f.until([&] { return output.wait_for(0s) == std::future_status::ready; }));
    return output.get();
  };
  CHECK(dig("web.default.svc.cluster.local") == "10.96.0.1\n");
  CHECK(dig("+tcp web.default.svc.cluster.local") == "10.96.0.1\n");
  CHECK(dig("+noedns web.default.svc.cluster.local") == "10.96.0.1\n");
  CHECK(dig("-x 10.96.0.1") == "web.default.svc.cluster.local.\n");
  CHECK(dig("dns-version.cluster.local TXT") == "\"1.1.0\"\n");
}
