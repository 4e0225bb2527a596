// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/service_targets.hpp"

#include <algorithm>
#include <array>
#include <variant>

#include "agent/answers/entrance_names.hpp"
#include "agent/decide/planner.hpp"

namespace agent {
namespace {

using Found = boost::system::result<Targets, BadQuestion>;

constexpr std::array kProtocols{ipvs::Protocol::kTcp, ipvs::Protocol::kUdp, ipvs::Protocol::kSctp};

std::string ports_text(const k8s::Service& service) {
  std::string text;
  for (const k8s::ServicePort& port : service.ports) {
    text += (text.empty() ? "" : ", ") + std::to_string(port.port) + "/" +
            std::string(ipvs::name_of(to_ipvs(port.protocol)));
    if (!port.name.empty()) text += " (" + port.name + ")";
  }
  return text.empty() ? "it has no port" : "it has " + text;
}

// Why no address of this Service is served here; "": some is.
std::string why_not_served(const k8s::Service& service, const ExplainView& view) {
  if (is_served(service, view.config.service_proxy_name)) return {};
  if (service.type == k8s::ServiceType::kExternalName)
    return "it is of type ExternalName: a name of DNS, no address";
  if (service.headless)
    return "it is headless: clients get the endpoints' addresses by DNS, and nothing is in between";
  if (service.cluster_ips.empty()) return "it has no cluster IP yet";
  return "its label service.kubernetes.io/service-proxy-name names another proxy";
}

BadQuestion no_service(const k8s::ObjectKey& key, const ExplainView& view) {
  std::string others;
  int left = 3;
  view.cluster.services().for_each([&](const k8s::Service& service) {
    if (service.meta.key.name != key.name || left == 0) return;
    --left;
    others += (others.empty() ? "; of this name there is " : ", ") + service.meta.key.text();
  });
  return {.what = "to: there is no Service " + key.text() + others, .is_missing = true};
}

bool is_asked_for(const k8s::ServicePort& port, const ToService& to, const Question& question) {
  if (question.protocol && to_ipvs(port.protocol) != *question.protocol) return false;
  if (!to.port_name.empty()) return port.name == to.port_name;
  return to.port == 0 || port.port == to.port;
}

// Of a lingering Service, what the kernel still has is its plan.
Targets of_plan(const ToService& to, const Question& question, const ExplainView& view) {
  Targets targets;
  for (const ipvs::ServerKey& key : view.desired.servers_of(to.service.text())) {
    if (to.port != 0 && key.port != to.port) continue;
    if (question.protocol && key.protocol != *question.protocol) continue;
    targets.all.push_back({{key.address, key.port}, key.protocol});
  }
  return targets;
}

Found of_service(const ToService& to, const Question& question, const ExplainView& view) {
  const k8s::Service* service = view.cluster.service(to.service.text());
  if (!service) {
    Targets targets = of_plan(to, question, view);
    if (targets.all.empty()) return no_service(to.service, view);
    targets.notes.push_back("Service " + to.service.text() +
                            " is deleted; it keeps its addresses while connections are open");
    return targets;
  }
  Targets targets;
  if (const std::string why = why_not_served(*service, view); !why.empty()) {
    targets.notes.push_back("Service " + to.service.text() + " is not served here: " + why);
    return targets;
  }
  bool has_port = false;
  for (const k8s::ServicePort& port : service->ports) {
    if (!is_asked_for(port, to, question)) continue;
    has_port = true;
    for (const Entrance& each : entrances_of(*service, port, view.cluster.node_view())) {
      const Target target{{each.address, each.port}, to_ipvs(port.protocol)};
      if (std::find(targets.all.begin(), targets.all.end(), target) == targets.all.end())
        targets.all.push_back(target);
    }
  }
  if (!has_port) {
    return BadQuestion{
        .what = "to: Service " + to.service.text() + " has no such port: " + ports_text(*service),
        .is_missing = true};
  }
  for (const RefusedAddress& refused : refused_addresses(*service, view.cluster.node_view()))
    targets.notes.push_back(refused.text());
  if (targets.all.empty() && targets.notes.empty())
    targets.notes.push_back("Service " + to.service.text() + " has no address that is served here");
  return targets;
}

// The protocols that somebody serves there; TCP if nobody does.
std::vector<ipvs::Protocol> protocols_at(const ipvs::Endpoint& to, const Question& question,
                                         const ExplainView& view) {
  if (question.protocol) return {*question.protocol};
  std::vector<ipvs::Protocol> served;
  for (const ipvs::Protocol protocol : kProtocols) {
    const ipvs::ServerKey key{to.address, to.port, protocol};
    if (view.ledger.server(key) || view.foreign.contains(key) || view.desired.owner_of(key))
      served.push_back(protocol);
  }
  return served.empty() ? std::vector{ipvs::Protocol::kTcp} : served;
}

Found of_node_port(const ToNodePort& to, const Question& question, const ExplainView& view) {
  Targets targets;
  for (const ipvs::Address& address : view.cluster.node_view().node_port_addresses) {
    const ipvs::Endpoint at{address, to.port};
    for (const ipvs::Protocol protocol : protocols_at(at, question, view))
      targets.all.push_back({at, protocol});
  }
  if (targets.all.empty())
    targets.notes.emplace_back("this node has no address that serves node ports");
  return targets;
}

}  // namespace

Found find_targets(const Question& question, const ExplainView& view) {
  if (const auto* service = std::get_if<ToService>(&question.to))
    return of_service(*service, question, view);
  if (const auto* node_port = std::get_if<ToNodePort>(&question.to))
    return of_node_port(*node_port, question, view);
  const auto& to = std::get<ipvs::Endpoint>(question.to);
  Targets targets;
  for (const ipvs::Protocol protocol : protocols_at(to, question, view))
    targets.all.push_back({to, protocol});
  return targets;
}

}  // namespace agent
