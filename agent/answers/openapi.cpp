// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/openapi.hpp"

#include <boost/json/array.hpp>
#include <string_view>
#include <utility>
#include <vector>

namespace agent {
namespace {

namespace json = boost::json;

struct Answered {
  std::string_view path;
  std::string_view summary;
  std::vector<std::pair<std::string_view, std::string_view>> parameters{};  // name, description
};

const std::vector<Answered>& questions() {
  constexpr std::pair<std::string_view, std::string_view> kNamespace{
      "namespace", "of the Services; all without it"};
  constexpr std::pair<std::string_view, std::string_view> kName{
      "name", "of the Service, also as NAMESPACE/NAME; all without it"};
  constexpr std::pair<std::string_view, std::string_view> kSelector{
      "selector", "a label selector for Services, as kubectl takes it"};
  constexpr std::pair<std::string_view, std::string_view> kTo{
      "to", "SERVICE[:PORT], ADDRESS:PORT or the number of a node port; required"};
  constexpr std::pair<std::string_view, std::string_view> kPacketNamespace{
      "namespace", "of names without one; default without it"};
  static const std::vector<Answered> all{
      {.path = "/v1/status", .summary = "the verdict on this node"},
      {.path = "/v1/services",
       .summary = "Services with their virtual servers, wanted and held by the kernel",
       .parameters = {kNamespace, kName, kSelector}},
      {.path = "/v1/endpoints",
       .summary = "the same with the state of each endpoint, and why",
       .parameters = {kNamespace, kName, kSelector}},
      {.path = "/v1/vips", .summary = "the addresses that are wanted or bound"},
      {.path = "/v1/conditions", .summary = "what this node does not do as asked"},
      {.path = "/v1/history",
       .summary = "operations of the kernel with their causes; with `at` the table as it was",
       .parameters = {{"service", "as NAMESPACE/NAME; all without it"},
                      {"since", "seconds before now; all without it"},
                      {"at", "RFC 3339: what the kernel held of the Service then"}}},
      {.path = "/v1/explain",
       .summary = "the way of a packet: hook by hook, with the rule and the element that decides",
       .parameters = {kTo,
                      {"from", "an address or NAMESPACE/NAME of a Pod; any client without it"},
                      {"protocol", "tcp, udp or sctp; those that are served without it"},
                      kPacketNamespace}},
      {.path = "/v1/next",
       .summary = "command lines that look further, for each entrance",
       .parameters = {kTo, {"protocol", "tcp, udp or sctp"}, kPacketNamespace}},
      {.path = "/v1/observe",
       .summary = "connections of a Service as they begin and end: lines of JSON, until the client "
                  "closes the connection",
       .parameters = {{"name", "of the Service, also as NAMESPACE/NAME; required"},
                      {"namespace", "of the Service; default without it"},
                      {"for", "seconds, 1 to 3600; 600 without it"},
                      {"rate", "lines a second, 1 to 1000; beyond it a sample; 50 without it"}}},
      {.path = "/v1/openapi.json", .summary = "this document"}};
  return all;
}

struct Verb {
  std::string_view path;
  std::string_view summary;
};
constexpr Verb kVerbs[] = {
    {"/v1/drain",
     R"(gives an endpoint no new connections: {"endpoint", "seconds", "reason", "by"})"},
    {"/v1/undrain", R"(ends that: {"endpoint"})"},
    {"/v1/log-level", "the level of the log, a number from 0 to 10"}};

json::object responses() {
  const auto response = [](std::string_view what) { return json::object{{"description", what}}; };
  return {{"200", response("the answer, JSON")},
          {"400", response("what was asked is wrong: {\"error\": one line}")},
          {"403", response("the caller may not do that")},
          {"404", response("there is no such object")},
          {"503", response("too many questions at once: try again")}};
}

}  // namespace

json::object openapi() {
  json::object paths;
  for (const Answered& each : questions()) {
    json::array parameters;
    for (const auto& [name, description] : each.parameters) {
      parameters.push_back(json::object{{"name", name},
                                        {"in", "query"},
                                        {"description", description},
                                        {"schema", json::object{{"type", "string"}}}});
    }
    json::object get{{"summary", each.summary}, {"responses", responses()}};
    if (!parameters.empty()) get["parameters"] = std::move(parameters);
    paths[each.path] = json::object{{"get", std::move(get)}};
  }
  for (const Verb& each : kVerbs) {
    paths[each.path] =
        json::object{{"put", json::object{{"summary", each.summary}, {"responses", responses()}}}};
  }
  return {{"openapi", "3.0.3"},
          {"info", json::object{{"title", "kube-ipvs"}, {"version", "v1"}}},
          {"paths", std::move(paths)}};
}

}  // namespace agent
