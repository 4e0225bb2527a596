// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/responder.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/dns/messages.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::dns::test;
namespace dns = agent::dns;
using agent::test::ip;
using agent::test::make_port;
using agent::test::make_service;
using Lines = std::vector<std::string>;
using Verdict = dns::Responder::Verdict;

const dns::Name kZone = dns::name_of("cluster.local").value();
constexpr unsigned kA = 1, kNs = 2, kCname = 5, kSoa = 6, kPtr = 12, kTxt = 16, kAaaa = 28,
                   kSrv = 33, kAny = 255;
constexpr unsigned kNxdomain = 3, kRefused = 5;

k8s::Service alias(const std::string& name, const std::string& target) {
  k8s::Service service = make_service(name, {}, {});
  service.type = k8s::ServiceType::kExternalName;
  service.external_name = target;
  return service;
}

struct Fixture {
  dns::Zone zone{kZone, 7};
  dns::Responder responder{zone};
  bool may_ask = false;
  dns::Onward onward;
  std::string bytes;
  Verdict verdict = Verdict::kDrop;

  Fixture() {
    zone.set("", dns::zone_records(kZone, {ip("10.0.0.53")}));
    set(make_service("web", {"10.96.0.1"}, {make_port(80, 8080, "http")}));
    responder.set_ready();
  }
  void set(const k8s::Service& service, const std::vector<agent::NamedEndpoint>& endpoints = {}) {
    zone.set(service.meta.key.text(), dns::records_of(service, endpoints, kZone));
  }
  void set_pets(int endpoints) {
    k8s::Service service = make_service("pets", {}, {make_port(80, 8080, "http")});
    service.headless = true;
    std::vector<agent::NamedEndpoint> all;
    for (int i = 0; i < endpoints; ++i) {
      all.push_back(
          {.address = ip("10.244." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250)),
           .ready = true,
           .ports = {8080}});
    }
    set(service, all);
  }
  Answer ask(const Asked& asked, dns::Transport transport = dns::Transport::kUdp) {
    verdict = responder.answer(
        bytes_of(query(asked)), transport, [this] { return may_ask; }, bytes, onward);
    return verdict == Verdict::kSend ? read_answer(bytes) : Answer{};
  }
  Answer ask(const std::string& name, unsigned type) { return ask({.name = name, .type = type}); }
};

}  // namespace

TEST_CASE("dns: records of Services are answered with authority") {
  Fixture f;
  const Answer a = f.ask("web.default.svc.cluster.local", kA);
  CHECK(a.answers == Lines{"web.default.svc.cluster.local. 5 A 10.96.0.1"});
  CHECK((a.id == 0x1234 && a.rcode() == 0 && a.authoritative() && !a.truncated()));
  CHECK_FALSE(a.recursion_available());
  CHECK((a.flags & 0x8100) == 0x8100);  // an answer; RD as in the query
  CHECK(a.authorities.empty());
  CHECK_FALSE(a.opt_size);
  f.may_ask = true;
  CHECK(f.ask("web.default.svc.cluster.local", kA).recursion_available());
  f.may_ask = false;
  CHECK(f.ask("1.0.96.10.in-addr.arpa", kPtr).answers ==
        Lines{"1.0.96.10.in-addr.arpa. 5 PTR web.default.svc.cluster.local."});
  CHECK(f.ask("dns-version.cluster.local", kTxt).answers ==
        Lines{"dns-version.cluster.local. 5 TYPE16 5 49 46 49 46 48"});  // "1.1.0"
  CHECK(f.ask("cluster.local", kNs).answers == Lines{"cluster.local. 5 NS ns.dns.cluster.local."});
  CHECK(f.ask("cluster.local", kSoa).answers ==
        Lines{"cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local."});
}

TEST_CASE("dns: an SRV record comes with the addresses of its target") {
  Fixture f;
  const Answer a = f.ask("_http._tcp.web.default.svc.cluster.local", kSrv);
  CHECK(a.answers == Lines{"_http._tcp.web.default.svc.cluster.local. 5 SRV 0 100 80 "
                           "web.default.svc.cluster.local."});
  CHECK(a.additional == Lines{"web.default.svc.cluster.local. 5 A 10.96.0.1"});
}

TEST_CASE("dns: a name without that type is NODATA, and no name NXDOMAIN, with the zone's SOA") {
  Fixture f;
  const Lines soa{"cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local."};
  struct Row {
    const char* name;
    unsigned type;
    unsigned rcode;
  };
  for (const Row& row : std::vector<Row>{
           {"web.default.svc.cluster.local", kAaaa, 0},
           {"web.default.svc.cluster.local", 65, 0},       // HTTPS, which browsers ask for
           {"web.default.svc.cluster.local", 65280, 0},    // private use
           {"_tcp.web.default.svc.cluster.local", kA, 0},  // has names below (RFC 8020)
           {"default.svc.cluster.local", kA, 0},
           {"svc.cluster.local", kA, 0},
           {"cluster.local", kA, 0},
           {"other.default.svc.cluster.local", kA, kNxdomain},
           {"web.other.svc.cluster.local", kA, kNxdomain},
           {"a.web.default.svc.cluster.local", kA, kNxdomain},
           {"*.default.svc.cluster.local", kA, kNxdomain},  // dropped by 1.1.0
           {"10-96-0-1.default.pod.cluster.local", kA, kNxdomain},
           {"www.example.com.default.svc.cluster.local", kA, kNxdomain},
       }) {
    CAPTURE(row.name, row.type);
    const Answer a = f.ask(row.name, row.type);
    CHECK(a.rcode() == row.rcode);
    CHECK(a.answers.empty());
    CHECK(a.authorities == soa);
    CHECK(a.authoritative());
  }
  const Answer reverse = f.ask("1.0.96.10.in-addr.arpa", kA);
  CHECK(reverse.rcode() == 0);
  CHECK(reverse.authorities ==
        Lines{"1.0.96.10.in-addr.arpa. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local."});
}

TEST_CASE("dns: a headless Service without a ready endpoint is NXDOMAIN (2.4.1)") {
  Fixture f;
  f.set_pets(1);
  CHECK(f.ask("pets.default.svc.cluster.local", kA).answers.size() == 1);
  CHECK(f.ask("pets.default.svc.cluster.local", kAaaa).rcode() == 0);
  CHECK(f.ask("10-244-0-1.pets.default.svc.cluster.local", kA).answers.size() == 1);
  f.set_pets(0);
  CHECK(f.ask("pets.default.svc.cluster.local", kA).rcode() == kNxdomain);
  CHECK(f.ask("10-244-0-1.pets.default.svc.cluster.local", kA).rcode() == kNxdomain);
  CHECK(f.ask("_tcp.pets.default.svc.cluster.local", kA).rcode() == kNxdomain);
}

TEST_CASE("dns: the question comes back in the case in which it was asked (0x20)") {
  Fixture f;
  for (const char* name : {"WeB.dEfault.SVC.cLuster.Local", "web.DEFAULT.svc.cluster.LOCAL"}) {
    const Answer a = f.ask(name, kA);
    CHECK(a.question == std::string(name) + ".");
    CHECK(a.answers == Lines{std::string(name) + ". 5 A 10.96.0.1"});
    const Answer none = f.ask(std::string("x.") + name, kA);
    CHECK(none.question == "x." + std::string(name) + ".");
    CHECK(none.rcode() == kNxdomain);
  }
}

TEST_CASE("dns: an ExternalName is followed within the zone") {
  Fixture f;
  f.set(alias("first", "second.default.svc.cluster.local"));
  f.set(alias("second", "web.default.svc.cluster.local"));
  const Lines both{"first.default.svc.cluster.local. 5 CNAME second.default.svc.cluster.local.",
                   "second.default.svc.cluster.local. 5 CNAME web.default.svc.cluster.local."};
  Lines with_address = both;
  with_address.emplace_back("web.default.svc.cluster.local. 5 A 10.96.0.1");
  CHECK(f.ask("first.default.svc.cluster.local", kA).answers == with_address);
  CHECK(f.ask("first.default.svc.cluster.local", kCname).answers == Lines{both[0]});
  CHECK(f.ask("first.default.svc.cluster.local", kAny).answers == Lines{both[0]});

  SECTION("to a name without that type") {
    const Answer a = f.ask("first.default.svc.cluster.local", kAaaa);
    CHECK(a.answers == both);
    CHECK(a.authorities.size() == 1);
    CHECK(a.rcode() == 0);
  }
  SECTION("to a Service that changes") {
    f.set(make_service("web", {"10.96.0.2"}));
    with_address.back() = "web.default.svc.cluster.local. 5 A 10.96.0.2";
    CHECK(f.ask("first.default.svc.cluster.local", kA).answers == with_address);
  }
  SECTION("to a Service that is deleted") {
    f.zone.set("default/web", {});
    const Answer a = f.ask("first.default.svc.cluster.local", kA);
    CHECK(a.answers == both);
    CHECK(a.authorities.size() == 1);
    CHECK(a.rcode() == kNxdomain);
  }
  SECTION("in a circle, which ends") {
    f.set(alias("second", "first.default.svc.cluster.local"));
    CHECK(f.ask("first.default.svc.cluster.local", kA).answers.size() == 8);
  }
}

TEST_CASE("dns: an ExternalName out of the zone is led on, or is an alias alone") {
  Fixture f;
  f.set(alias("foo", "www.example.com"));
  const Lines line{"foo.default.svc.cluster.local. 5 CNAME www.example.com."};
  const Answer alone = f.ask("foo.default.svc.cluster.local", kA);
  CHECK(alone.answers == line);
  CHECK((alone.rcode() == 0 && alone.authorities.empty()));

  f.zone.set("", dns::zone_records(kZone, {}));  // what was kept is not for another client
  f.may_ask = true;
  f.ask("foo.default.svc.cluster.local", kA);
  REQUIRE(f.verdict == Verdict::kAsk);
  CHECK(dns::text_of(f.onward.name) == "www.example.com.");

  std::string reply = query({.name = "www.example.com", .id = 9, .flags = 0x8180});
  reply[7] = 1;
  reply += wire_name("www.example.com");
  put(reply, kA);
  put(reply, 1);
  put(reply, 0);
  put(reply, 60);
  put(reply, 4);
  reply += std::string("\xC0\x00\x02\x35", 4);
  std::string out;
  f.responder.conclude(f.onward, dns::Transport::kUdp, bytes_of(reply), out);
  const Answer a = read_answer(out);
  CHECK(a.id == 0x1234);
  CHECK(a.question == "foo.default.svc.cluster.local.");
  CHECK(a.answers == Lines{line[0], "www.example.com. 60 A 192.0.2.53"});
  CHECK(a.recursion_available());
  f.responder.conclude(f.onward, dns::Transport::kUdp, {}, out);
  CHECK(read_answer(out).rcode() == 2);
}

TEST_CASE("dns: an alias that was kept for one client is led on for the next that may ask") {
  Fixture f;
  f.set(alias("foo", "www.example.com"));
  f.ask("foo.default.svc.cluster.local", kA);
  CHECK(f.verdict == Verdict::kSend);
  f.may_ask = true;
  f.ask("foo.default.svc.cluster.local", kA);
  CHECK(f.verdict == Verdict::kAsk);
}

TEST_CASE("dns: names of others are refused, or asked for where the client may") {
  Fixture f;
  for (const char* name :
       {"www.example.com", "local", "com", "mycluster.local", "1.0.0.10.in-addr.arpa"}) {
    CAPTURE(name);
    f.may_ask = false;
    const Answer a = f.ask(name, kA);
    CHECK(a.rcode() == kRefused);
    CHECK_FALSE(a.authoritative());
    f.may_ask = true;
    f.ask(name, kA);
    CHECK(f.verdict == Verdict::kAsk);
  }
}

TEST_CASE("dns: before the first pass names in the zone are not known, not missing") {
  dns::Zone zone(kZone, 1);
  dns::Responder responder(zone);
  std::string out;
  dns::Onward onward;
  for (const char* name : {"web.default.svc.cluster.local", "1.0.96.10.in-addr.arpa"}) {
    responder.answer(
        bytes_of(query({.name = name})), dns::Transport::kUdp, [] { return true; }, out, onward);
    CHECK(read_answer(out).rcode() == 2);
  }
}

TEST_CASE("dns: what is no query of ours is answered with a code, or not at all") {
  Fixture f;
  struct Row {
    const char* what;
    Asked asked;
    unsigned rcode;
  };
  for (const Row& row : std::vector<Row>{
           {"opcode STATUS", {.flags = 0x1000}, 4},
           {"opcode UPDATE", {.flags = 0x2800}, 4},
           {"class CH", {.name = "version.bind", .type = kTxt, .record_class = 3}, kRefused},
           {"class ANY", {.record_class = 255}, kRefused},
           {"AXFR", {.name = "cluster.local", .type = 252}, kRefused},
           {"IXFR", {.name = "cluster.local", .type = 251}, kRefused},
           {"type OPT", {.type = 41}, 1},
           {"EDNS of version 1", {.udp_size = 1232, .edns_version = 1}, 16},
           {"two OPT records", {.udp_size = 1232, .opts = 2}, 1},
       }) {
    CAPTURE(row.what);
    CHECK(f.ask(row.asked).rcode() == row.rcode);
    CHECK(f.ask(row.asked).answers.empty());
  }
  f.ask({.flags = 0x8100});  // an answer
  CHECK(f.verdict == Verdict::kDrop);
  const auto raw = [&f](const std::string& message) {
    f.verdict = f.responder.answer(
        bytes_of(message), dns::Transport::kUdp, [] { return false; }, f.bytes, f.onward);
    return f.verdict == Verdict::kSend ? read_answer(f.bytes).rcode() : 99U;
  };
  const std::string good = query({});
  CHECK(raw("") == 99);
  CHECK(raw(good.substr(0, 11)) == 99);
  for (std::size_t size = 12; size < good.size(); ++size) CHECK(raw(good.substr(0, size)) == 1);
  std::string two = good;
  two[5] = 2;
  CHECK(raw(two) == 1);
  std::string loop =
      good.substr(0, 12) + std::string("\xC0\x0C\0\1\0\1", 6);  // a name that is itself
  CHECK(raw(loop) == 1);
  std::string bad_label = good;
  bad_label[12] = static_cast<char>(0x80);
  CHECK(raw(bad_label) == 1);
  CHECK(raw(good + std::string(dns::kLongestQuery, '\0')) == 1);
}

TEST_CASE("dns: EDNS is answered with EDNS, and says how much we take") {
  Fixture f;
  const Answer a = f.ask({.udp_size = 4096, .dnssec_ok = true});
  CHECK(a.opt_size == 1232U);
  CHECK(a.opt_ttl == 0x8000);
  CHECK(a.answers.size() == 1);
  CHECK(f.ask({.name = "x.cluster.local", .udp_size = 0}).opt_size == 1232U);
}

TEST_CASE("dns: what does not fit is cut between records, with TC, and comes whole by TCP") {
  Fixture f;
  f.set_pets(200);
  const Asked asked{.name = "pets.default.svc.cluster.local", .type = kA};
  const Answer plain = f.ask(asked);
  CHECK(plain.truncated());
  CHECK(f.bytes.size() <= 512);
  CHECK(f.bytes.size() > 512 - 16);
  for (const unsigned size : {0U, 100U, 512U, 700U, 1232U, 1233U, 65535U}) {
    CAPTURE(size);
    Asked edns = asked;
    edns.udp_size = size;
    const Answer a = f.ask(edns);
    CHECK(a.truncated());
    CHECK(f.bytes.size() <= std::clamp(size, 512U, 1232U));
    CHECK_FALSE(a.answers.empty());
  }
  const Answer whole = f.ask(asked, dns::Transport::kTcp);
  CHECK_FALSE(whole.truncated());
  CHECK(whole.answers.size() == 200);
  CHECK(std::set(whole.answers.begin(), whole.answers.end()).size() == 200);
  const Answer servers = f.ask({.name = "_http._tcp.pets.default.svc.cluster.local", .type = kSrv},
                               dns::Transport::kTcp);
  CHECK(servers.answers.size() == 200);
  CHECK(servers.additional.size() == 64);
}

TEST_CASE("dns: more endpoints than a message takes are cut, also by TCP") {
  Fixture f;
  f.set_pets(6000);
  const Answer a = f.ask({.name = "pets.default.svc.cluster.local"}, dns::Transport::kTcp);
  CHECK(f.bytes.size() <= 65535);
  CHECK(a.answers.size() > 4000);
}

TEST_CASE("dns: records that are additional are left out first, without TC") {
  Fixture f;
  f.set_pets(7);
  const Asked asked{.name = "_http._tcp.pets.default.svc.cluster.local", .type = kSrv};
  const Answer whole = f.ask(asked, dns::Transport::kTcp);
  CHECK(whole.additional.size() == 7);
  const Answer plain = f.ask(asked);
  CHECK(f.bytes.size() <= 512);
  CHECK(plain.answers.size() == 7);
  CHECK(plain.additional.size() < 7);
  CHECK_FALSE(plain.truncated());
}

TEST_CASE("dns: addresses of one name take turns to be the first") {
  Fixture f;
  f.set_pets(3);
  std::set<std::string> first;
  for (int i = 0; i < 3; ++i) {
    const Answer a = f.ask("pets.default.svc.cluster.local", kA);
    CHECK(std::set(a.answers.begin(), a.answers.end()).size() == 3);
    first.insert(a.answers.front());
  }
  CHECK(first.size() == 3);
  f.set(alias("foo", "pets.default.svc.cluster.local"));
  for (int i = 0; i < 3; ++i) {
    const Answer a = f.ask("foo.default.svc.cluster.local", kA);
    CHECK(a.answers.front() ==
          "foo.default.svc.cluster.local. 5 CNAME pets.default.svc.cluster.local.");
    CHECK(a.answers.size() == 4);
  }
}

TEST_CASE("dns: ANY gets the records of one type (RFC 8482)") {
  Fixture f;
  f.set(make_service("both", {"10.96.0.2", "fd00::2"}));
  CHECK(f.ask("both.default.svc.cluster.local", kAny).answers.size() == 1);
  CHECK(f.ask("default.svc.cluster.local", kAny).rcode() == 0);
  CHECK(f.ask("default.svc.cluster.local", kAny).answers.empty());
}

TEST_CASE("dns: a changed Service changes its names, and what was kept of them") {
  Fixture f;
  const auto ask = [&f] { return f.ask("web.default.svc.cluster.local", kA).answers; };
  CHECK(ask() == Lines{"web.default.svc.cluster.local. 5 A 10.96.0.1"});
  const std::uint32_t serial = f.zone.serial();
  f.set(make_service("web", {"10.96.0.1"}, {make_port(80, 8080, "http")}));
  CHECK(f.zone.serial() == serial);  // nothing has changed
  f.set(make_service("web", {"10.96.0.9"}));
  CHECK(f.zone.serial() == serial + 1);
  CHECK(ask() == Lines{"web.default.svc.cluster.local. 5 A 10.96.0.9"});
  CHECK(f.ask("1.0.96.10.in-addr.arpa", kPtr).rcode() == kRefused);
  CHECK(f.ask("_http._tcp.web.default.svc.cluster.local", kSrv).rcode() == kNxdomain);
  const std::size_t names = f.zone.name_count();
  f.set(make_service("new", {"10.96.0.10"}));
  f.zone.set("default/new", {});
  CHECK(f.zone.name_count() == names);
  f.zone.set("default/web", {});
  CHECK(f.ask("default.svc.cluster.local", kA).rcode() == kNxdomain);
}

TEST_CASE("dns: an address of two headless Services has two names, and one when one is gone") {
  Fixture f;
  k8s::Service other = make_service("others", {}, {});
  other.headless = true;
  f.set_pets(1);
  f.set(other, {{.address = ip("10.244.0.1"), .ready = true, .hostname = "x"}});
  CHECK(f.ask("1.0.244.10.in-addr.arpa", kPtr).answers.size() == 2);
  f.zone.set("default/others", {});
  CHECK(f.ask("1.0.244.10.in-addr.arpa", kPtr).answers.size() == 1);
}

TEST_CASE("dns: queries are counted by protocol, type and code") {
  Fixture f;
  f.ask("web.default.svc.cluster.local", kA);
  f.ask("web.default.svc.cluster.local", kA);
  f.ask("x.default.svc.cluster.local", 4711);
  f.ask({.name = "web.default.svc.cluster.local"}, dns::Transport::kTcp);
  f.ask({.flags = 0x1000});
  Lines lines;
  f.responder.counters().for_each([&lines](auto protocol, auto type, auto rcode, auto count) {
    lines.push_back(std::string(protocol) + " " + std::string(type) + " " + std::string(rcode) +
                    " " + std::to_string(count));
  });
  CHECK(lines ==
        Lines{"udp A NOERROR 2", "udp other NXDOMAIN 1", "udp other NOTIMP 1", "tcp A NOERROR 1"});
}
