// SPDX-License-Identifier: Apache-2.0
//
// The commands' arguments, and what they show.
#include <boost/json/parse.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "agent/ask/arguments.hpp"
#include "agent/ask/run_question.hpp"
#include "agent/ask/screens.hpp"
#include "agent/ask/table.hpp"
#include "agent/ask/top.hpp"

namespace {

namespace json = boost::json;

agent::ReadArguments read(std::vector<const char*> words) {
  words.insert(words.begin(), "kube-ipvs");
  return agent::read_arguments(*config::find_command(words.at(1)), static_cast<int>(words.size()),
                               words.data());
}

}  // namespace

TEST_CASE("a question is known by its first word") {
  const char* status[] = {"kube-ipvs", "status"};
  const char* agent_itself[] = {"kube-ipvs", "--manifests", "status"};
  CHECK(agent::is_question(2, status));
  CHECK(!agent::is_question(3, agent_itself));
  CHECK(!agent::is_question(1, status));
}

TEST_CASE("arguments are read by the table of commands") {
  const auto get = read({"get", "endpoints", "web", "-n", "shop", "--output=json", "-w"});
  CHECK(get.fault.empty());
  CHECK(get.arguments.words == std::vector<std::string>{"endpoints", "web"});
  CHECK(get.arguments.value("namespace") == "shop");
  CHECK(get.arguments.value("output") == "json");
  CHECK(get.arguments.has("watch"));
  CHECK(read({"status"}).arguments.options.empty());
}

TEST_CASE("a wrong argument names itself and those that are allowed") {
  CHECK(read({"get"}).fault.starts_with("an argument is missing; usage: kube-ipvs get"));
  CHECK(read({"get", "pods"}).fault ==
        "\"pods\" is not one of: services, endpoints, vips, conditions");
  CHECK(read({"get", "vips", "-o", "xml"}).fault ==
        "--output: \"xml\" is not one of: wide, json, yaml");
  CHECK(read({"observe"}).fault.starts_with("an argument is missing; usage: kube-ipvs observe"));
  CHECK(read({"observe", "web", "-o", "wide"}).fault == "--output: \"wide\" is not one of: json");
  CHECK(read({"status", "now"}).fault.starts_with("unexpected argument \"now\""));
  CHECK(read({"status", "--colour"}).fault.find("--colour") != std::string::npos);
  CHECK(read({"drain", "10.0.0.1", "--for"}).fault.find("--for") != std::string::npos);
  const auto hostile = read({"status", "\033[2J"});
  CHECK(hostile.fault.find('\033') == std::string::npos);
}

TEST_CASE("every command has help") {
  for (const config::Command& command : config::commands()) {
    INFO(command.name);
    const std::string name(command.name);
    const auto help = read({name.c_str(), "--help"}).help;
    CHECK(help.starts_with("usage: kube-ipvs " + name));
    for (const config::CommandOption& option : command.options) {
      CHECK(help.find("--" + std::string(option.flag)) != std::string::npos);
    }
  }
}

TEST_CASE("durations are read as kubectl writes them") {
  CHECK(agent::seconds_of("10m") == 600);
  CHECK(agent::seconds_of("1h30m") == 5400);
  CHECK(agent::seconds_of("45") == 45);
  for (const char* wrong : {"", "x", "0", "-1s", "10 minutes"}) {
    INFO(wrong);
    CHECK(!agent::seconds_of(wrong));
  }
}

TEST_CASE("columns are as wide as their longest cell, and an empty cell is a dash") {
  CHECK(agent::table({"A", "LONG"}, {{"xyz", ""}, {"ä", "b"}}, false) ==
        "A    LONG\n"
        "xyz  -\n"
        "ä    b\n");
  CHECK(agent::table({"A"}, {{agent::Cell("x", agent::Colour::kBad)}}, true) ==
        "A\n\033[31mx\033[0m\n");
}

TEST_CASE("a hostile name cannot control the terminal or begin a line") {
  const std::string shown = agent::table({"NAME"}, {{"a\033[2J\nb"}}, false);
  CHECK(shown == "NAME\na\\x1b[2J\\nb\n");
  const json::value status = json::parse(
      R"({"verdict":"ok\u001b[31m","node":"n\u0007","attention":["x\ny"],"failing":[]})");
  const std::string screen = agent::status_screen(status, {});
  CHECK(screen.find('\033') == std::string::npos);
  CHECK(screen.find('\007') == std::string::npos);
  CHECK(screen.find("x\\ny") != std::string::npos);
}

TEST_CASE("the screens take answers of other versions, with fields missing or of another type") {
  for (const char* answer :
       {"{}", "[]", "7", R"({"items":7})", R"({"items":[7,{}]})",
        R"({"items":[{"ports":[{}],"endpoints":[{"why":7}],"conditions":{}}]})",
        R"({"kernel":[],"source":"x","draining":[1],"now":"x"})"}) {
    INFO(answer);
    const json::value parsed = json::parse(answer);
    for (auto* screen :
         {agent::status_screen, agent::services_screen, agent::endpoints_screen, agent::vips_screen,
          agent::conditions_screen, agent::history_screen, agent::table_screen}) {
      CHECK(!screen(parsed, {}).empty());
    }
    CHECK(!agent::Top("new").next(parsed, 1, false).empty());
  }
}

TEST_CASE("endpoints show their state, their weight beside the wanted one, and why") {
  const json::value answer = json::parse(R"({"items":[{"namespace":"default","name":"web",
    "endpoints":[{"servicePort":"http","endpoint":"10.244.0.2:8080","pod":"default/web-2",
      "node":"node-1","state":"out","weight":0,"wantedWeight":1,"activeConnections":2,
      "why":{"object":"Pod default/web-2","field":"status.conditions[Ready]","value":"False",
             "since":"2026-11-30T03:00:00Z","note":"the Pod is not ready"}}]}]})");
  CHECK(agent::endpoints_screen(answer, {}) ==
        "SERVICE      PORT  ENDPOINT         POD            NODE    STATE  WEIGHT  ACTIVE  WHY\n"
        "default/web  http  10.244.0.2:8080  default/web-2  node-1  out    0 of 1  2       "
        "the Pod is not ready (Pod default/web-2 status.conditions[Ready] False since "
        "2026-11-30T03:00:00Z)\n");
}

TEST_CASE("YAML of an answer keeps its types") {
  const json::value answer =
      json::parse(R"({"a":"1","b":2,"c":[true,null],"d":{"e":1.5},"f":[],"g":"x: y\nz"})");
  CHECK(agent::yaml_text(answer) ==
        "a: \"1\"\nb: 2\nc:\n  - true\n  - ~\nd:\n  e: 1.5\nf: []\ng: \"x: y\\nz\"\n");
}

TEST_CASE("top shows rates between two readings, and takes a counter that began anew for none") {
  const auto reading = [](int first, int second) {
    return json::parse(R"({"items":[{"namespace":"default","name":"web",
      "ports":[{"name":"","port":80,"protocol":"TCP"}],"endpoints":[
      {"servicePort":"80","endpoint":"10.0.0.1:80","pod":"default/\u001b[2Jweb",
       "state":"serving","activeConnections":9,"counters":{"connections":)" +
                       std::to_string(first) + R"(,"bytesIn":)" + std::to_string(first * 20) +
                       R"(,"bytesOut":0}},
      {"servicePort":"80","endpoint":"10.0.0.2:80","state":"serving","activeConnections":1,
       "counters":{"connections":)" +
                       std::to_string(second) + R"(,"bytesIn":0,"bytesOut":0}}]}]})");
  };
  agent::Top top("new");
  top.next(reading(100, 50), 0, false);
  const std::string screen = top.next(reading(120, 10), 2, false);
  CHECK(screen.find("serving  10     9       200") != std::string::npos);
  CHECK(screen.find("serving  0      1") != std::string::npos);
  CHECK(screen.find("lc would give") == std::string::npos);  // one is silent
  CHECK(screen.find("[2Jweb) gets packets and sends none back\n") != std::string::npos);
  CHECK(screen.find("10.0.0.2:80 gets") == std::string::npos);
  CHECK(screen.find('\033') == std::string::npos);
}

TEST_CASE("top says which scheduler would spread what is uneven") {
  const auto reading = [](int connections) {
    const std::string counters = R"(,"counters":{"connections":)" + std::to_string(connections) +
                                 R"(,"bytesIn":)" + std::to_string(connections * 20) +
                                 R"(,"bytesOut":)" + std::to_string(connections * 30) + "}}";
    return json::parse(R"({"items":[{"namespace":"default","name":"web",
      "ports":[{"name":"","port":80,"protocol":"TCP","servers":[{"scheduler":"rr"}]}],"endpoints":[
      {"servicePort":"80","endpoint":"10.0.0.1:80","state":"serving","weight":1,
       "activeConnections":9)" +
                       counters + R"(,
      {"servicePort":"80","endpoint":"10.0.0.2:80","state":"serving","weight":1,
       "activeConnections":1)" +
                       counters + R"(,
      {"servicePort":"80","endpoint":"10.0.0.3:80","state":"serving","weight":1,
       "counters":{"connections":0}}]}]})");
  };
  agent::Top top("new");
  top.next(reading(10), 0, false);
  const std::string screen = top.next(reading(20), 2, false);
  CHECK(screen.find("10.0.0.3:80") == std::string::npos);  // no row, but it is there
  CHECK(screen.ends_with(
      "\ndefault/web:80: rr, spread 2.7, connections last 1s on average: lc would give 1.2\n"));
}
