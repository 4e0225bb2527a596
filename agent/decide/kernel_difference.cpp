// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/kernel_difference.hpp"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

namespace agent {
namespace {

using ipvs::Destination;
using ipvs::Element;
using ipvs::ElementKind;
using ipvs::Endpoint;
using ipvs::Server;
using ipvs::ServerKey;
using ipvs::TrafficClass;
using ipvs::VirtualServer;

using Lines = std::vector<std::string>;

std::string affinity_text(const VirtualServer& server) {
  if ((server.flags & ipvs::kFlagPersistent) == 0) return "none";
  return std::to_string(server.timeout_seconds) + " s";
}

std::string flags_text(const VirtualServer& server) {
  std::string text;
  const auto add = [&](std::uint32_t flag, const char* name) {
    if ((server.flags & flag) != 0) text += (text.empty() ? "" : ",") + std::string(name);
  };
  add(ipvs::kFlagOnePacket, "ops");
  add(ipvs::kFlagSched1, "sched-1");
  add(ipvs::kFlagSched2, "sched-2");
  return text.empty() ? "none" : text;
}

void compare_text(const char* what, const std::string& before, const std::string& after,
                  Lines& lines) {
  if (before != after) lines.push_back(std::string(what) + " " + before + " -> " + after);
}

void compare_settings(const VirtualServer& before, const VirtualServer& after, Lines& lines) {
  compare_text("scheduler", before.scheduler, after.scheduler, lines);
  compare_text("session affinity", affinity_text(before), affinity_text(after), lines);
  compare_text("scheduler flags", flags_text(before), flags_text(after), lines);
}

std::map<Endpoint, std::uint32_t> weights_of(const Server& server) {
  std::map<Endpoint, std::uint32_t> weights;
  for (const Destination& each : server.destinations) weights[each.endpoint] = each.weight;
  return weights;
}

void compare_destinations(const Server& before, const Server& after, Lines& lines) {
  const auto old_weights = weights_of(before);
  const auto new_weights = weights_of(after);
  for (const auto& [endpoint, weight] : new_weights) {
    const auto old = old_weights.find(endpoint);
    const std::string name = "endpoint " + endpoint.text() + ": ";
    if (old == old_weights.end()) {
      lines.push_back(name + "added with weight " + std::to_string(weight));
    } else if (old->second != weight) {
      lines.push_back(name + "weight " + std::to_string(old->second) + " -> " +
                      std::to_string(weight));
    }
  }
  for (const auto& [endpoint, weight] : old_weights) {
    if (!new_weights.contains(endpoint))
      lines.push_back("endpoint " + endpoint.text() + ": deleted");
  }
}

// What our table does with clients of a virtual server.
class Classes {
 public:
  explicit Classes(const std::vector<Element>& elements) {
    for (const Element& each : elements) {
      switch (each.kind) {
        case ElementKind::kServiceIp:
          classes_[{each.address, each.port, each.protocol}] = each.traffic_class;
          break;
        case ElementKind::kNodePort:
          node_ports_[{each.port, each.protocol}] = each.traffic_class;
          break;
        case ElementKind::kShortCutIp:
          short_cuts_.insert({each.address, each.port, each.protocol});
          break;
        case ElementKind::kLimitedIp:
          limits_.limited.insert({each.address, each.port, each.protocol});
          break;
        case ElementKind::kAllowedSource:
          limits_.allowed[{each.address, each.port, each.protocol}].insert(each.source_network);
          break;
        case ElementKind::kShortCutNodePort:
          node_port_short_cuts_.insert({each.address.is_v6(), each.port, each.protocol});
          break;
        default:
          break;
      }
    }
  }

  std::optional<TrafficClass> of(const ServerKey& key) const {
    const auto found = classes_.find(key);
    if (found != classes_.end()) return found->second;
    const auto port = node_ports_.find({key.port, key.protocol});
    if (port == node_ports_.end()) return std::nullopt;
    return port->second;
  }

  const ipvs::SourceLimits& limits() const { return limits_; }

  bool has_short_cut(const ServerKey& key) const {
    if (classes_.contains(key)) return short_cuts_.contains(key);
    return node_port_short_cuts_.contains({key.address.is_v6(), key.port, key.protocol});
  }

 private:
  std::map<ServerKey, TrafficClass> classes_;
  std::map<std::pair<std::uint16_t, ipvs::Protocol>, TrafficClass> node_ports_;
  ipvs::SourceLimits limits_;
  std::set<ServerKey> short_cuts_;
  std::set<std::tuple<bool, std::uint16_t, ipvs::Protocol>> node_port_short_cuts_;
};

// kube-proxy masquerades every client of an external address or node port, or with
// externalTrafficPolicy Local none, and gives all of them the same endpoints.
void compare_clients(const Classes& classes, const ServerKey& key, Lines& lines) {
  if (!classes.has_short_cut(key)) return;
  lines.emplace_back(
      classes.of(key) == TrafficClass::kExternalLocal
          ? "clients in the cluster: endpoints of this node -> those of the cluster IP"
          : "clients in the cluster: masqueraded -> as at the cluster IP");
}

// Whose packets to a cluster IP our table masquerades, as ipvs/nftables/rules.cpp has it.
std::string cluster_ip_clients(const ipvs::TableRules& rules, ipvs::Family family) {
  if (rules.masquerade_all) return ipvs::kAllClients;
  if (ipvs::is_by_interface(rules)) {
    const char* any = rules.local_by == ipvs::LocalBy::kNamePrefix ? "+" : "";
    return ipvs::clients_not_from(rules.pod_interface + any);
  }
  std::set<ipvs::Network> networks;
  for (const ipvs::Network& each : ipvs::local_networks(rules)) {
    if (ipvs::family_of(each.address) != family) continue;
    if (each.prefix_length == 0) return ipvs::kVirtualIpClients;
    networks.insert(each);
  }
  return networks.empty() ? ipvs::kVirtualIpClients : ipvs::clients_outside(networks);
}

void compare_masquerading(const KernelPicture& before, const KernelPicture& after,
                          const ServerKey& key, const Classes& classes, Lines& lines) {
  const auto traffic_class = classes.of(key);
  if (!before.kube_proxy || !after.rules || !traffic_class) return;
  const auto old = before.kube_proxy->masqueraded(key);
  if (!old) return;
  std::string now = ipvs::kAllClients;
  if (*traffic_class == TrafficClass::kClusterIp) {
    now = cluster_ip_clients(*after.rules, ipvs::family_of(key.address));
  } else if (*traffic_class == TrafficClass::kExternalLocal) {
    // With a short cut this host, too, is led to the cluster IP.
    now = classes.has_short_cut(key) ? ipvs::kNoClients : "this node";
  }
  compare_text("masqueraded:", *old, now, lines);
}

// Who may be a client at all: loadBalancerSourceRanges.
void compare_limits(const KernelPicture& before, const ServerKey& key, const Classes& classes,
                    Lines& lines) {
  if (!before.kube_proxy) return;
  compare_text("allowed:", before.kube_proxy->limits.clients(key), classes.limits().clients(key),
               lines);
}

const Server* find(const std::map<ServerKey, Server>& servers, const ServerKey& key) {
  const auto place = servers.find(key);
  return place == servers.end() ? nullptr : &place->second;
}

void append(Lines& lines, Lines more) {
  for (std::string& line : more) lines.push_back(std::move(line));
}

std::set<std::string> texts_of(const std::set<ipvs::Address>& addresses) {
  std::set<std::string> texts;
  for (const ipvs::Address& each : addresses) texts.insert(each.to_string());
  return texts;
}

std::set<std::string> texts_of(const std::vector<Element>& elements) {
  std::set<std::string> texts;
  for (const Element& each : elements) texts.insert(each.text());
  return texts;
}

}  // namespace

Lines server_difference(const Server* before, const Server* after) {
  Lines lines;
  if (!after) {
    lines.push_back("deleted, with " + std::to_string(before->destinations.size()) + " endpoints");
    return lines;
  }
  if (!before) {
    lines.push_back("added, scheduler " + after->settings.scheduler + ", session affinity " +
                    affinity_text(after->settings));
  } else {
    compare_settings(before->settings, after->settings, lines);
  }
  compare_destinations(before ? *before : Server(), *after, lines);
  return lines;
}

Lines text_difference(const std::string& of, const std::set<std::string>& before,
                      const std::set<std::string>& after) {
  Lines lines;
  for (const std::string& each : after) {
    if (!before.contains(each)) lines.push_back(of + each + " added");
  }
  for (const std::string& each : before) {
    if (!after.contains(each)) lines.push_back(of + each + " deleted");
  }
  return lines;
}

std::vector<std::string> difference_lines(const KernelPicture& before, const KernelPicture& after,
                                          const OwnerOf& owner_of) {
  std::set<ServerKey> keys;
  for (const auto& [key, server] : before.servers) keys.insert(key);
  for (const auto& [key, server] : after.servers) keys.insert(key);
  const bool is_kube_proxys = before.has_kube_proxy_chains && !before.has_table;
  const Classes classes(after.elements);
  Lines all;
  for (const ServerKey& key : keys) {
    const Server* old = find(before.servers, key);
    const Server* now = find(after.servers, key);
    Lines lines = server_difference(old, now);
    if (is_kube_proxys && old && now) {
      compare_limits(before, key, classes, lines);
      compare_masquerading(before, after, key, classes, lines);
      compare_clients(classes, key, lines);
    }
    if (lines.empty()) continue;
    const std::string owner = owner_of(key);
    all.push_back(key.text() + (owner.empty() ? "" : " (Service " + owner + ")"));
    for (std::string& line : lines) all.push_back("  " + std::move(line));
  }
  append(all,
         text_difference("kube-ipvs0: ", texts_of(before.addresses), texts_of(after.addresses)));
  // Only where there was a table: otherwise all of it is new, and says nothing.
  if (before.has_table) {
    append(all, text_difference("nftables: ", texts_of(before.elements), texts_of(after.elements)));
  }
  return all;
}

}  // namespace agent
