// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/status_view.hpp"

#include <utility>

#include "agent/answers/lists.hpp"

namespace agent {
namespace {

namespace json = boost::json;

// A watch that is open counts as fresh (k8s/source.hpp); else the server has been silent that long.
constexpr double kStaleSeconds = 60;

json::object to_json(const StatusInputs::Amount& amount) {
  return {{"virtualServers", amount.servers},
          {"destinations", amount.destinations},
          {"addresses", amount.addresses}};
}

std::size_t size_of(const json::object& conditions, std::string_view part) {
  const json::value* list = conditions.if_contains(part);
  return list && list->is_array() ? list->as_array().size() : 0;
}

json::array to_json(const std::vector<k8s::KindCounters>& kinds) {
  json::array all;
  for (const k8s::KindCounters& kind : kinds) {
    all.push_back(json::object{{"kind", kind.kind},
                               {"secondsSinceContact", kind.seconds_since_contact},
                               {"fresh", kind.seconds_since_contact < kStaleSeconds},
                               {"lists", kind.lists},
                               {"watches", kind.watches},
                               {"events", kind.events}});
  }
  return all;
}

std::string count(std::size_t number, const std::string& one, const std::string& many) {
  return std::to_string(number) + " " + (number == 1 ? one : many);
}

// What somebody should look at, one sentence each.
json::array attention(const StatusInputs& inputs) {
  json::array all;
  for (const k8s::KindCounters& kind : inputs.kinds) {
    if (kind.seconds_since_contact < kStaleSeconds) continue;
    const auto seconds = static_cast<long>(kind.seconds_since_contact);
    all.push_back(json::value("the API server has not answered about " + kind.kind + " for " +
                              std::to_string(seconds) + " s: what is known of it may be old"));
  }
  const std::size_t conditions =
      size_of(inputs.conditions, "node") + size_of(inputs.conditions, "objects");
  if (conditions != 0) {
    all.push_back(json::value(count(conditions, "condition", "conditions") +
                              ": see kube-ipvs get conditions"));
  }
  for (const std::string& chain : inputs.dropping_chains) {
    all.push_back(json::value(chain));
  }
  if (inputs.kube_proxy_runs) all.push_back("a kube-proxy runs on this node, too");
  if (inputs.kube_proxy_chains + inputs.kube_proxy_sets != 0) {
    all.push_back(json::value("kube-proxy has left " +
                              count(inputs.kube_proxy_chains, "chain", "chains") + " and " +
                              count(inputs.kube_proxy_sets, "ipset", "ipsets")));
  }
  if (!inputs.drained_by_hand.empty()) {
    all.push_back(json::value(count(inputs.drained_by_hand.size(), "endpoint is", "endpoints are") +
                              " drained by hand"));
  }
  return all;
}

}  // namespace

json::object status_json(const StatusInputs& inputs) {
  json::array looks = attention(inputs);
  json::array failing;
  for (const std::string& reason : inputs.health_reasons) failing.push_back(json::value(reason));
  std::string_view verdict = "ok";
  if (!failing.empty()) {
    verdict = "failing";
  } else if (!inputs.awaited.empty()) {
    verdict = "starting";
  } else if (!looks.empty()) {
    verdict = "attention";
  }
  json::object status;
  status["kind"] = "Status";
  status["apiVersion"] = kApiVersion;
  status["verdict"] = verdict;
  status["failing"] = std::move(failing);
  if (!inputs.awaited.empty()) status["awaits"] = inputs.awaited;
  status["attention"] = std::move(looks);
  status["node"] = inputs.node;
  status["version"] = inputs.version;
  status["started"] = inputs.started;
  status["now"] = inputs.now;
  status["source"] = json::object{{"from", inputs.source},
                                  {"kinds", to_json(inputs.kinds)},
                                  {"services", inputs.services},
                                  {"pods", inputs.pods},
                                  {"endpointSlices", inputs.slices}};
  json::object kernel{
      {"lastPass", inputs.last_pass},     {"pendingServices", inputs.pending},
      {"wanted", to_json(inputs.wanted)}, {"held", to_json(inputs.held)},
      {"refused", inputs.refused},        {"foreignVirtualServers", inputs.foreign_servers},
      {"repaired", inputs.repaired},      {"comparedSince", inputs.audited}};
  if (!inputs.last_compared.empty()) kernel["lastComparison"] = inputs.last_compared;
  status["kernel"] = std::move(kernel);
  status["digest"] = inputs.digest;
  status["programmedVersion"] = inputs.programmed_version;
  status["settled"] = inputs.is_settled;
  status["conditions"] = inputs.conditions;
  json::array draining;
  for (const StatusInputs::Draining& each : inputs.draining) {
    draining.push_back(json::object{{"service", each.service},
                                    {"destinations", each.destinations},
                                    {"connections", each.connections}});
  }
  status["draining"] = std::move(draining);
  status["drainedByHand"] = inputs.drained_by_hand;
  json::array chains;
  for (const std::string& chain : inputs.dropping_chains) chains.push_back(json::value(chain));
  status["dropping"] = std::move(chains);
  return status;
}

}  // namespace agent
