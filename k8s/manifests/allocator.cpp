// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/allocator.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "k8s/manifests/pool.hpp"
#include "k8s/manifests/service.hpp"

namespace k8s {
namespace {

class Allocator {
 public:
  Allocator(std::span<const AllocationRequest> requests, const AllocationRanges& ranges)
      : requests_(requests),
        ranges_(ranges),
        ports_(ranges.node_port_first, ranges.node_port_last),
        by_name_(requests.size()),
        missing_(requests.size()) {
    for (const Cidr& range : ranges.cluster_ips) pools_.emplace_back(range);
    result_.allocations.resize(requests.size());
    std::iota(by_name_.begin(), by_name_.end(), std::size_t{0});
    std::sort(by_name_.begin(), by_name_.end(),
              [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  }

  AllocationResult run() {
    std::vector<std::size_t> by_age = by_name_;
    std::stable_sort(by_age.begin(), by_age.end(), [&](std::size_t a, std::size_t b) {
      return service(a).meta.creation_timestamp < service(b).meta.creation_timestamp;
    });
    for (const std::size_t i : by_age) grant_static(i);
    for (const std::size_t i : by_name_) {
      if (!mine(i).refused) keep_previous(i);
    }
    for (const std::size_t i : by_name_) {
      if (!mine(i).refused) allocate_rest(i);
    }
    return std::move(result_);
  }

 private:
  const Service& service(std::size_t i) const { return *requests_[i].service; }
  const ObjectKey& key(std::size_t i) const { return service(i).meta.key; }
  Allocation& mine(std::size_t i) { return result_.allocations[i]; }
  std::string name(std::size_t i) const { return name_of<Service>(key(i)); }

  AddressPool* pool_of(IpFamily family) {
    for (AddressPool& pool : pools_) {
      if (family_of(pool.range().address) == family) return &pool;
    }
    return nullptr;
  }
  static std::uint32_t port_id(std::uint16_t port, Protocol protocol) {
    return std::uint32_t{port} << 8 | static_cast<std::uint32_t>(protocol);
  }

  void refuse(std::size_t i, const std::string& why) {
    mine(i) = {.refused = true, .cluster_ips = {}, .node_ports = {}, .health_check_node_port = 0};
    result_.conflicts.push_back(name(i) + ": " + why + ": not used until it is free");
  }

  // A fault naming the owner of an explicit number of the Service; "" if all are free.
  std::string static_holder(std::size_t i) const {
    for (const Address& address : service(i).cluster_ips) {
      if (const auto owner = address_owner_.find(address); owner != address_owner_.end()) {
        return "spec.clusterIP: " + address.to_string() + " belongs to " + name(owner->second);
      }
    }
    const auto taken = [&](std::uint16_t port, Protocol protocol) -> std::string {
      const auto owner = port_owner_.find(port_id(port, protocol));
      if (port == 0 || owner == port_owner_.end()) return {};
      return std::to_string(port) + "/" + name_of_protocol(protocol) + " belongs to " +
             name(owner->second);
    };
    for (std::size_t p = 0; p < service(i).ports.size(); ++p) {
      const ServicePort& port = service(i).ports[p];
      if (std::string who = taken(port.node_port, port.protocol); !who.empty()) {
        return "spec.ports[" + std::to_string(p) + "].nodePort: " + who;
      }
    }
    if (!has_health_check_port(service(i))) return {};
    std::string who = taken(service(i).health_check_node_port, Protocol::kTcp);
    return who.empty() ? who : "spec.healthCheckNodePort: " + who;
  }

  void grant_static(std::size_t i) {
    const Service& wanted = service(i);
    Allocation& given = mine(i);
    given.node_ports.resize(wanted.ports.size());
    if (const std::string holder = static_holder(i); !holder.empty()) return refuse(i, holder);
    missing_[i] = missing_families(wanted, *requests_[i].extras, ranges_);
    if (has_cluster_ip(wanted)) {
      given.cluster_ips = wanted.cluster_ips;
      for (const Address& address : wanted.cluster_ips) {
        address_owner_.emplace(address, i);
        if (AddressPool* pool = pool_of(family_of(address))) pool->take(address);
      }
    }
    if (may_have_node_ports(wanted)) {
      for (std::size_t p = 0; p < wanted.ports.size(); ++p) {
        given.node_ports[p] = wanted.ports[p].node_port;
        own_port(i, given.node_ports[p], wanted.ports[p].protocol);
      }
    }
    if (has_health_check_port(wanted)) {
      given.health_check_node_port = wanted.health_check_node_port;
      own_port(i, given.health_check_node_port, Protocol::kTcp);
    }
  }

  void own_port(std::size_t i, std::uint16_t port, Protocol protocol) {
    if (port == 0) return;
    port_owner_.emplace(port_id(port, protocol), i);
    ports_.take(port, protocol);
  }

  // Another Service has claimed, explicitly, a number that this one was given before.
  void report_moved(std::size_t i, const std::string& what, std::size_t owner) {
    if (owner == i) return;
    result_.conflicts.push_back(name(i) + ": its " + what + " is claimed explicitly by " +
                                name(owner) + ": it gets another one");
  }

  void keep_previous(std::size_t i) {
    const Service* before = requests_[i].previous;
    if (before == nullptr) return;
    Allocation& given = mine(i);
    std::erase_if(missing_[i], [&](IpFamily family) { return keep_address(i, *before, family); });
    if (wants_node_ports(service(i), *requests_[i].extras)) {
      for (std::size_t p = 0; p < service(i).ports.size(); ++p) {
        if (given.node_ports[p] == 0) given.node_ports[p] = keep_port(i, *before, p);
      }
    }
    if (has_health_check_port(service(i)) && given.health_check_node_port == 0) {
      given.health_check_node_port =
          keep_number(i, before->health_check_node_port, Protocol::kTcp, "health check node port ");
    }
  }

  bool keep_address(std::size_t i, const Service& before, IpFamily family) {
    AddressPool* pool = pool_of(family);
    for (const Address& address : before.cluster_ips) {
      if (family_of(address) != family || pool == nullptr || !pool->usable(address)) continue;
      if (!pool->is_free(address)) {
        if (const auto owner = address_owner_.find(address); owner != address_owner_.end()) {
          report_moved(i, "cluster IP " + address.to_string(), owner->second);
        }
        continue;
      }
      pool->take(address);
      mine(i).cluster_ips.push_back(address);
      return true;
    }
    return false;
  }

  // Matches ports by name only, as an API server does.
  std::uint16_t keep_port(std::size_t i, const Service& before, std::size_t p) {
    const ServicePort& port = service(i).ports[p];
    for (const ServicePort& old : before.ports) {
      if (old.name != port.name) continue;
      return keep_number(i, old.node_port, port.protocol, "node port ");
    }
    return 0;
  }

  std::uint16_t keep_number(std::size_t i, std::uint16_t port, Protocol protocol,
                            const char* what) {
    if (port == 0) return 0;
    if (!ports_.is_free(port, protocol)) {
      const auto owner = port_owner_.find(port_id(port, protocol));
      if (owner != port_owner_.end()) report_moved(i, what + std::to_string(port), owner->second);
      return 0;
    }
    ports_.take(port, protocol);
    return port;
  }

  void allocate_rest(std::size_t i) {
    for (const IpFamily family : missing_[i]) {
      AddressPool* pool = pool_of(family);
      const auto address = pool != nullptr ? pool->take_by_hash(stable_hash(key(i).text()))
                                           : std::optional<Address>();
      if (!address) {
        return refuse(i, std::string("spec.clusterIP: no free ") + name_of_family(family) +
                             " address (--service-cluster-ip-range)");
      }
      mine(i).cluster_ips.push_back(*address);
    }
    restore_family_order(i);
    if (wants_node_ports(service(i), *requests_[i].extras)) {
      for (std::size_t p = 0; p < service(i).ports.size(); ++p) {
        if (mine(i).node_ports[p] == 0 && !allocate_port(i, p)) return refuse_for_ports(i);
      }
    }
    if (has_health_check_port(service(i)) && mine(i).health_check_node_port == 0) {
      const auto port =
          ports_.take_by_hash(stable_hash(key(i).text() + "/healthCheckNodePort"), Protocol::kTcp);
      if (!port) return refuse_for_ports(i);
      mine(i).health_check_node_port = *port;
    }
  }

  void refuse_for_ports(std::size_t i) {
    refuse(i, "spec.ports: no free node port (--service-node-port-range)");
  }

  // Puts the address of the Service's primary family first: the first of spec.ipFamilies, or else
  // the family of the first range.
  void restore_family_order(std::size_t i) {
    const std::vector<Address>& named = service(i).cluster_ips;
    std::vector<Address>& given = mine(i).cluster_ips;
    if (given.size() != 2 || !named.empty()) return;
    const std::vector<IpFamily>& families = requests_[i].extras->families;
    const IpFamily first =
        !families.empty() ? families.front() : family_of(ranges_.cluster_ips.front().address);
    if (family_of(given[0]) != first) std::swap(given[0], given[1]);
  }

  bool allocate_port(std::size_t i, std::size_t p) {
    const ServicePort& port = service(i).ports[p];
    std::vector<std::uint16_t>& given = mine(i).node_ports;
    for (std::size_t sibling = 0; sibling < given.size(); ++sibling) {
      if (service(i).ports[sibling].port != port.port) continue;
      if (given[sibling] == 0 || !ports_.is_free(given[sibling], port.protocol)) continue;
      given[p] = given[sibling];
      ports_.take(given[p], port.protocol);
      return true;
    }
    const std::string tail = port.name.empty()
                                 ? std::to_string(port.port) + "/" + name_of_protocol(port.protocol)
                                 : port.name;
    const auto found = ports_.take_by_hash(stable_hash(key(i).text() + "/" + tail), port.protocol);
    if (found) given[p] = *found;
    return found.has_value();
  }

  std::span<const AllocationRequest> requests_;
  const AllocationRanges& ranges_;
  std::vector<AddressPool> pools_;
  PortPool ports_;
  std::vector<std::size_t> by_name_;
  std::vector<std::vector<IpFamily>> missing_;  // per request: families still without an address
  std::unordered_map<Address, std::size_t> address_owner_;  // of explicit numbers
  std::unordered_map<std::uint32_t, std::size_t> port_owner_;
  AllocationResult result_;
};

}  // namespace

AllocationResult allocate(std::span<const AllocationRequest> requests,
                          const AllocationRanges& ranges) {
  return Allocator(requests, ranges).run();
}

bool carries(const Service& service, const Allocation& allocation) {
  if (service.cluster_ips != allocation.cluster_ips ||
      service.health_check_node_port != allocation.health_check_node_port ||
      service.ports.size() != allocation.node_ports.size()) {
    return false;
  }
  return std::equal(
      service.ports.begin(), service.ports.end(), allocation.node_ports.begin(),
      [](const ServicePort& port, std::uint16_t number) { return port.node_port == number; });
}

Service with_allocation(Service service, const Allocation& allocation) {
  service.cluster_ips = allocation.cluster_ips;
  service.health_check_node_port = allocation.health_check_node_port;
  for (std::size_t i = 0; i < service.ports.size() && i < allocation.node_ports.size(); ++i) {
    service.ports[i].node_port = allocation.node_ports[i];
  }
  return service;
}

}  // namespace k8s
