// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/records.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace agent::dns {
namespace {

constexpr std::string_view kVersion = "1.1.0";

Record address_record(const Name& owner, const ipvs::Address& address) {
  return {.owner = owner, .type = address.is_v4() ? Type::kA : Type::kAaaa, .data = address};
}

Record pointer(const ipvs::Address& address, const Name& target) {
  return {.owner = reverse_name(address), .type = Type::kPtr, .data = Target{.name = target}};
}

std::string_view protocol_label(k8s::Protocol protocol) {
  switch (protocol) {
    case k8s::Protocol::kTcp:
      return "_tcp";
    case k8s::Protocol::kUdp:
      return "_udp";
    case k8s::Protocol::kSctp:
      return "_sctp";
  }
  return "_tcp";
}

// Sections 2.3.2 and 2.4.2. Unnamed ports have no SRV record.
void add_server(std::vector<Record>& all, const Name& service, const k8s::ServicePort& port,
                std::uint16_t number, const Name& target) {
  if (port.name.empty() || number == 0) return;
  const auto protocol = below(protocol_label(port.protocol), service);
  const auto owner = protocol ? below("_" + port.name, *protocol) : std::nullopt;
  if (!owner) return;
  // Weight as CoreDNS: the same for each, since the highest sum would be unequal for a hundred.
  all.push_back({.owner = *owner,
                 .type = Type::kSrv,
                 .data = Srv{.priority = 0, .weight = 100, .port = number, .target = target}});
}

// Section 2.3.
void add_cluster_ips(std::vector<Record>& all, const k8s::Service& service, const Name& name) {
  for (const ipvs::Address address : service.cluster_ips) {
    all.push_back(address_record(name, address));
    all.push_back(pointer(address, name));
  }
  if (service.cluster_ips.empty()) return;
  for (const k8s::ServicePort& port : service.ports) add_server(all, name, port, port.port, name);
}

// Section 2.1, hostname: "a unique, system-assigned identifier".
std::string label_of(const NamedEndpoint& endpoint) {
  if (!endpoint.hostname.empty()) return endpoint.hostname;
  std::string label = endpoint.address.to_string();
  std::replace_if(
      label.begin(), label.end(), [](char c) { return c == '.' || c == ':'; }, '-');
  return label;
}

// Section 2.4.
void add_endpoints(std::vector<Record>& all, const k8s::Service& service,
                   const std::vector<NamedEndpoint>& endpoints, const Name& name) {
  for (const NamedEndpoint& endpoint : endpoints) {
    if (!endpoint.ready) continue;
    const ipvs::Address& address = endpoint.address;
    all.push_back(address_record(name, address));
    const auto own = below(label_of(endpoint), name);
    if (!own) continue;
    all.push_back(address_record(*own, address));
    all.push_back(pointer(address, *own));
    for (std::size_t i = 0; i < service.ports.size() && i < endpoint.ports.size(); ++i) {
      add_server(all, name, service.ports[i], endpoint.ports[i], *own);
    }
  }
}

// Section 2.5.
void add_alias(std::vector<Record>& all, const k8s::Service& service, const Name& name) {
  const auto target = name_of(service.external_name);
  if (service.external_name.empty() || !target) return;
  all.push_back({.owner = name, .type = Type::kCname, .data = Target{.name = *target}});
}

std::string_view text_of(Type type) {
  switch (type) {
    case Type::kA:
      return "A";
    case Type::kNs:
      return "NS";
    case Type::kCname:
      return "CNAME";
    case Type::kSoa:
      return "SOA";
    case Type::kPtr:
      return "PTR";
    case Type::kTxt:
      return "TXT";
    case Type::kAaaa:
      return "AAAA";
    case Type::kSrv:
      return "SRV";
    default:
      return "?";
  }
}

struct DataText {
  std::string operator()(const ipvs::Address& address) const { return address.to_string(); }
  std::string operator()(const Srv& server) const {
    return std::to_string(server.priority) + " " + std::to_string(server.weight) + " " +
           std::to_string(server.port) + " " + dns::text_of(server.target);
  }
  std::string operator()(const Target& target) const { return dns::text_of(target.name); }
  std::string operator()(const Text& text) const { return "\"" + text.text + "\""; }
  std::string operator()(const Authority& authority) const {
    return dns::text_of(authority.server) + " " + dns::text_of(authority.mailbox) + " " +
           std::to_string(authority.serial);
  }
};

}  // namespace

std::vector<Record> records_of(const k8s::Service& service,
                               const std::vector<NamedEndpoint>& endpoints, const Name& zone) {
  std::vector<Record> all;
  const auto services = below("svc", zone);
  const auto in_namespace = services ? below(service.meta.key.ns, *services) : std::nullopt;
  const auto name = in_namespace ? below(service.meta.key.name, *in_namespace) : std::nullopt;
  if (!name) return all;
  if (service.type == k8s::ServiceType::kExternalName) {
    add_alias(all, service, *name);
  } else if (service.headless) {
    add_endpoints(all, service, endpoints, *name);
  } else {
    add_cluster_ips(all, service, *name);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::vector<Record> zone_records(const Name& zone, const std::vector<ipvs::Address>& servers) {
  std::vector<Record> all;
  const auto parent = below("dns", zone);
  const auto server = parent ? below("ns", *parent) : std::nullopt;
  const auto version = below("dns-version", zone);
  if (!server || !version) return all;
  all.push_back({.owner = zone, .type = Type::kNs, .data = Target{.name = *server}});
  all.push_back(
      {.owner = *version, .type = Type::kTxt, .data = Text{.text = std::string(kVersion)}});
  for (const ipvs::Address& address : servers) {
    if (!address.is_unspecified()) all.push_back(address_record(*server, address));
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Record authority_record(const Name& owner, const Name& zone, std::uint32_t serial) {
  const auto parent = below("dns", zone);
  return {.owner = owner,
          .type = Type::kSoa,
          .data = Authority{.server = parent ? below("ns", *parent).value_or(zone) : zone,
                            .mailbox = below("hostmaster", zone).value_or(zone),
                            .serial = serial}};
}

std::string text_of(const Record& record) {
  return text_of(record.owner) + " " + std::to_string(kTtl) + " IN " +
         std::string(text_of(record.type)) + " " + std::visit(DataText{}, record.data);
}

}  // namespace agent::dns
