// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/service_json.hpp"

#include <boost/json/array.hpp>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "agent/answers/status_view.hpp"
#include "agent/decide/entrances.hpp"
#include "ipvs/state/model.hpp"

namespace agent {
namespace {

namespace json = boost::json;

std::string_view name_of(k8s::ServiceType type) {
  switch (type) {
    case k8s::ServiceType::kClusterIp:
      return "ClusterIP";
    case k8s::ServiceType::kNodePort:
      return "NodePort";
    case k8s::ServiceType::kLoadBalancer:
      return "LoadBalancer";
    case k8s::ServiceType::kExternalName:
      return "ExternalName";
  }
  return "";
}

std::string_view name_of(k8s::Protocol protocol) { return ipvs::name_of(to_ipvs(protocol)); }

// Why the virtual server is not what is wanted; "": it is.
std::string difference(const ServerView& server) {
  if (!server.wanted) return "not served here";
  if (!server.held) return "missing in the kernel";
  const ipvs::VirtualServer& wanted = server.wanted->settings;
  const ipvs::VirtualServer& held = server.held->settings;
  if (wanted.scheduler != held.scheduler) return "scheduler " + held.scheduler;
  if (wanted.flags != (held.flags & ~ipvs::kFlagHashed)) return "other flags";
  if (wanted.timeout_seconds != held.timeout_seconds) return "another persistence timeout";
  std::size_t missing = 0, weights = 0, more = 0;
  // Both are ordered by endpoint.
  const auto& have = server.held->destinations;
  auto next = have.begin();
  const auto skip = [&](const auto& is_before) {
    for (; next != have.end() && is_before(next->destination); ++next) {
      more += next->destination.weight != 0;
    }
  };
  for (const ipvs::Destination& each : server.wanted->destinations) {
    skip([&](const ipvs::Destination& other) { return other.endpoint < each.endpoint; });
    if (next == have.end() || next->destination.endpoint != each.endpoint) {
      ++missing;
    } else {
      weights += next->destination.weight != each.weight;
      ++next;
    }
  }
  skip([](const ipvs::Destination&) { return true; });
  if (missing + weights + more == 0) return "";
  return std::to_string(missing) + " endpoints missing, " + std::to_string(weights) +
         " other weights, " + std::to_string(more) + " not wanted";
}

json::object to_json(const ServerView& server) {
  json::object object;
  object["server"] = server.key.text();
  object["field"] = server.field;
  if (server.wanted) {
    object["scheduler"] = server.wanted->settings.scheduler;
    if (server.wanted->settings.timeout_seconds != 0) {
      object["persistenceSeconds"] = server.wanted->settings.timeout_seconds;
    }
    object["wantedDestinations"] = server.wanted->destinations.size();
  }
  if (server.held) {
    object["destinations"] = server.held->destinations.size();
    object["counters"] = agent::to_json(server.held->counters);
  }
  const std::string differs = difference(server);
  object["equal"] = differs.empty();
  if (!differs.empty()) object["difference"] = differs;
  return object;
}

template <typename Addresses>
json::array texts(const Addresses& addresses) {
  json::array all;
  for (const auto& each : addresses) all.push_back(json::value(each.to_string()));
  return all;
}

}  // namespace

std::string_view field_name(AddressField field) {
  switch (field) {
    case AddressField::kClusterIp:
      return "clusterIP";
    case AddressField::kNodePort:
      return "nodePort";
    case AddressField::kLoadBalancer:
      return "loadBalancerIP";
    case AddressField::kExternalIp:
      return "externalIP";
  }
  return "";
}

json::object service_json(const k8s::Service& service, bool is_served) {
  return {{"namespace", service.meta.key.ns},
          {"name", service.meta.key.name},
          {"type", name_of(service.type)},
          {"clusterIPs", texts(service.cluster_ips)},
          {"externalIPs", texts(external_addresses(service))},
          {"served", is_served}};
}

json::object port_json(const k8s::ServicePort& port, const std::vector<ServerView>& servers) {
  json::object object;
  object["name"] = port.name;
  object["port"] = port.port;
  object["protocol"] = name_of(port.protocol);
  if (port.node_port != 0) object["nodePort"] = port.node_port;
  json::array views;
  for (const ServerView& each : servers) views.push_back(to_json(each));
  object["servers"] = std::move(views);
  return object;
}

json::object state_counts(const std::deque<EndpointRow>& rows) {
  std::map<std::string_view, std::size_t> states;
  for (const EndpointRow& row : rows) ++states[agent::name_of(row.state)];
  json::object counts;
  for (const auto& [state, count] : states) counts[state] = count;
  return counts;
}

}  // namespace agent
