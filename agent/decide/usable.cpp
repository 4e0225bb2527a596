// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/usable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "agent/decide/entrances.hpp"
#include "ipvs/state/networks.hpp"

namespace agent {
namespace {

using ipvs::Address;

constexpr std::size_t kMostNotes = 3;

bool begins_with(const Address& address, const std::array<std::uint8_t, 12>& prefix) {
  return address.is_v6() && std::equal(prefix.begin(), prefix.end(), address.bytes().begin());
}

bool is_mapped(const Address& address) {
  return begins_with(address, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff});
}

bool is_limited_broadcast(const Address& address) {
  const auto bytes = address.bytes();
  return address.is_v4() &&
         std::all_of(bytes.begin(), bytes.end(), [](auto b) { return b == 255; });
}

// Of no use as an endpoint and as a virtual IP, whatever the host.
const char* why_never(const Address& address) {
  if (address.is_unspecified()) return "the unspecified address";
  if (address.is_v4() && address.bytes()[0] == 0) return "in 0.0.0.0/8, where no host is";
  if (address.is_loopback()) return "a loopback address";
  if (address.is_multicast()) return "a multicast address";
  if (is_limited_broadcast(address)) return "the broadcast address";
  if (address.is_v6() && address.is_link_local()) return "a link-local address, without a zone";
  if (is_mapped(address)) return "an IPv4-mapped address";
  return nullptr;
}

bool is_usable(const Address& address, const HostLimits& limits) {
  if (address.is_v6() && !limits.no_ipv6.empty()) return false;
  return !why_never(address) && !limits.broadcasts.contains(address);
}

bool is_usable(const k8s::Service& service, const HostLimits& limits) {
  const auto usable = [&](const Address& address) { return is_usable(address, limits); };
  return std::all_of(service.cluster_ips.begin(), service.cluster_ips.end(), usable) &&
         std::all_of(service.external_ips.begin(), service.external_ips.end(), usable) &&
         std::all_of(service.load_balancer_ingress.begin(), service.load_balancer_ingress.end(),
                     [&](const auto& ingress) { return ingress.proxy_mode || usable(ingress.ip); });
}

// Whether packets to the address come to this host because of the Service.
bool is_virtual_ip_of(const k8s::Service& service, const Address& address, const NodeView& node) {
  const auto is_it = [&](const Address& own) { return own == address; };
  const bool is_asked_for =
      std::any_of(service.cluster_ips.begin(), service.cluster_ips.end(), is_it) ||
      std::any_of(service.external_ips.begin(), service.external_ips.end(), is_it) ||
      std::any_of(service.load_balancer_ingress.begin(), service.load_balancer_ingress.end(),
                  [&](const auto& ingress) { return Address(ingress.ip) == address; });
  if (!is_asked_for) return false;  // nearly always
  const auto servers = servers_of(service, node);
  return std::any_of(servers.begin(), servers.end(),
                     [&](const ServerOfPort& server) { return server.key.address == address; });
}

}  // namespace

HostLimits limits_of(const std::vector<ipvs::LocalAddress>& local, std::string no_ipv6) {
  HostLimits limits{.own = {}, .broadcasts = {}, .no_ipv6 = std::move(no_ipv6)};
  for (const ipvs::LocalAddress& each : local) {
    limits.own.insert(each.address);
    if (!each.address.is_v4() || each.prefix_length == 0 || each.prefix_length > 30) continue;
    const Address last = ipvs::last_address(each.address, each.prefix_length);
    limits.broadcasts.emplace(
        last, "the broadcast address of the network of " + each.address.to_string() + "/" +
                  std::to_string(each.prefix_length) + " on " + each.interface_name);
  }
  for (const Address& address : limits.own) limits.broadcasts.erase(address);
  return limits;
}

std::string why_no_endpoint(const Address& address, const HostLimits& limits) {
  if (const char* why = why_never(address)) return why;
  const auto broadcast = limits.broadcasts.find(address);
  if (broadcast != limits.broadcasts.end()) return broadcast->second;
  return address.is_v6() && !limits.no_ipv6.empty() ? "an IPv6 address, and " + limits.no_ipv6 : "";
}

std::string why_no_virtual_ip(const Address& address, const HostLimits& limits) {
  return why_no_endpoint(address, limits);
}

std::optional<UsableService> usable_part(const k8s::Service& service, const HostLimits& limits) {
  if (is_usable(service, limits)) return std::nullopt;
  UsableService usable{.service = service, .notes = {}};
  std::vector<std::string> of_family;
  const auto refuse = [&](const Address& address) {
    if (is_usable(address, limits)) return false;
    const bool lacks_family = address.is_v6() && !limits.no_ipv6.empty();
    (lacks_family ? of_family : usable.notes)
        .push_back(address.to_string() + " is " + why_no_virtual_ip(address, limits) +
                   ": not served");
    return true;
  };
  std::erase_if(usable.service.cluster_ips, refuse);
  std::erase_if(usable.service.external_ips, refuse);
  std::erase_if(usable.service.load_balancer_ingress, [&](const k8s::LoadBalancerIngress& ingress) {
    return !ingress.proxy_mode && refuse(ingress.ip);
  });
  if (usable.service.cluster_ips.empty()) {
    usable.notes.insert(usable.notes.end(), of_family.begin(), of_family.end());
  }
  return usable;
}

std::vector<std::string> remove_unusable(ServiceEndpoints& endpoints, const k8s::Service& service,
                                         const NodeView& node, const HostLimits& limits) {
  std::map<Address, std::string> refused;
  const auto refuse = [&](const ServiceEndpoint& each) {
    const Address& address = each.endpoint.address;
    const bool is_own_vip =
        is_virtual_ip_of(service, address, node) && !limits.own.contains(address);
    if (!is_own_vip && is_usable(address, limits)) return false;
    if (address.is_v6() && !limits.no_ipv6.empty()) return true;  // the host says it
    refused[address] =
        is_own_vip ? "an address of the Service itself" : why_no_endpoint(address, limits);
    return true;
  };
  for (auto& of_port : endpoints) std::erase_if(of_port, refuse);
  std::vector<std::string> notes;
  for (const auto& [address, why] : refused) {
    if (notes.size() == kMostNotes) {
      notes.push_back(std::to_string(refused.size()) + " endpoints in all get no traffic");
      break;
    }
    notes.push_back("endpoint " + address.to_string() + " is " + why + ": it gets no traffic");
  }
  return notes;
}

}  // namespace agent
