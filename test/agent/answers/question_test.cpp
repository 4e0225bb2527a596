// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/question.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent;
using agent::test::ip;

Question good(const QuestionText& text) {
  const auto question = parse_question(text);
  INFO((question ? "" : question.error().what));
  REQUIRE(question.has_value());
  return *question;
}

std::string fault(const QuestionText& text) {
  const auto question = parse_question(text);
  REQUIRE_FALSE(question.has_value());
  return question.error().what;
}

ToService service(const std::string& ns, const std::string& name, std::uint16_t port = 0,
                  const std::string& port_name = "") {
  return {.service = {.ns = ns, .name = name}, .port = port, .port_name = port_name};
}

}  // namespace

TEST_CASE("a question names a Service, with or without namespace and port") {
  CHECK(good({.to = "web"}).to == To(service("default", "web")));
  CHECK(good({.to = "web", .ns = "shop"}).to == To(service("shop", "web")));
  CHECK(good({.to = "shop/web", .ns = "other"}).to == To(service("shop", "web")));
  CHECK(good({.to = "shop/web:80"}).to == To(service("shop", "web", 80)));
  CHECK(good({.to = "web:http-alt"}).to == To(service("default", "web", 0, "http-alt")));
  const Question dns = good({.to = "kube-system/kube-dns:53/udp"});
  CHECK(dns.to == To(service("kube-system", "kube-dns", 53)));
  CHECK(dns.protocol == ipvs::Protocol::kUdp);
}

TEST_CASE("a question names an address and port, or a node port") {
  CHECK(good({.to = "10.96.0.1:80"}).to == To(ipvs::Endpoint{ip("10.96.0.1"), 80}));
  CHECK(good({.to = "[fd00::1]:65535"}).to == To(ipvs::Endpoint{ip("fd00::1"), 65535}));
  CHECK(good({.to = "10.96.0.1:53/UDP"}).protocol == ipvs::Protocol::kUdp);
  CHECK(good({.to = "30080"}).to == To(ToNodePort{30080}));
  const Question udp = good({.to = "30053/udp"});
  CHECK(udp.to == To(ToNodePort{30053}));
  CHECK(udp.protocol == ipvs::Protocol::kUdp);
  CHECK(good({.to = "30053", .protocol = "SCTP"}).protocol == ipvs::Protocol::kSctp);
  CHECK_FALSE(good({.to = "30053"}).protocol.has_value());
}

TEST_CASE("a question names a client by address or as a Pod") {
  CHECK(good({.to = "web"}).from == From());
  CHECK(good({.to = "web", .from = "fd00::7"}).from == From(ipvs::Address(ip("fd00::7"))));
  CHECK(good({.to = "web", .from = "client-0", .ns = "shop"}).from ==
        From(k8s::ObjectKey{"shop", "client-0"}));
  CHECK(good({.to = "web", .from = "test/client"}).from == From(k8s::ObjectKey{"test", "client"}));
}

TEST_CASE("a wrong argument names itself and what is allowed") {
  struct Case {
    QuestionText text;
    const char* expected;
  };
  const std::vector<Case> cases{
      {{}, "to is missing: SERVICE[:PORT], IP:PORT, [IPv6]:PORT or NODEPORT[/PROTOCOL]"},
      {{.to = "Web"},
       "to \"Web\" is none of: SERVICE[:PORT], IP:PORT, [IPv6]:PORT or NODEPORT[/PROTOCOL]"},
      {{.to = "10.96.0.1"}, "to \"10.96.0.1\" has no port: write IP:PORT"},
      {{.to = "fd00::1"}, "to \"fd00::1\" has no port: write [IPv6]:PORT"},
      {{.to = "fd00::5:80"}, "to \"fd00::5:80\" has no port: write [IPv6]:PORT"},
      {{.to = "fd00:0:0:0:0:0:0:1:80"},
       "to \"fd00:0:0:0:0:0:0:1:80\" has an IPv6 address without brackets: write [IPv6]:PORT"},
      {{.to = "10.96.0.1:0"}, "to \"10.96.0.1:0\" has no port from 1 to 65535 after the address"},
      {{.to = "[fd00::1]:x"}, "to \"[fd00::1]:x\" has no port from 1 to 65535 after the address"},
      {{.to = "65536"}, "to \"65536\" is no port: 1 to 65535"},
      {{.to = "web:99999"}, "to \"web:99999\" has no port from 1 to 65535"},
      {{.to = "web:"}, "to \"web:\" has neither the number nor the name of a port after the colon"},
      {{.to = "web:HTTP"},
       "to \"web:HTTP\" has neither the number nor the name of a port after the colon"},
      {{.to = "web", .from = "a b"},
       "from \"a b\" is none of: an IP address or a Pod (name or namespace/name)"},
      {{.to = "web", .protocol = "icmp"}, "protocol \"icmp\" is none of: tcp, udp or sctp"},
      {{.to = "web:53/udp", .protocol = "tcp"}, "protocol \"tcp\" is another than that of \"to\""},
      {{.to = "web", .ns = "../x"}, "namespace \"../x\" is no name of a namespace"}};
  for (const Case& each : cases) CHECK(fault(each.text) == each.expected);
}

TEST_CASE("nothing that an argument says reaches a terminal as it is") {
  const std::string what = fault({.to = "\x1b[31mweb\nx"});
  CHECK(what.starts_with("to \"\\x1b[31mweb\\nx\" is none of"));
  CHECK(fault({.to = std::string(100'000, 'W')}).size() < 300);
}
