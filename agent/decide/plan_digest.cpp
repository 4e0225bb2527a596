// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/plan_digest.hpp"

#include <algorithm>
#include <string>

#include "agent/decide/planner.hpp"
#include "ipvs/state/stable_hash.hpp"

namespace agent {
namespace {

using ipvs::StableHash;

void add(StableHash& hash, std::string_view text) {
  hash.add(static_cast<std::uint32_t>(text.size()));
  hash.add(text);
}

void add(StableHash& hash, const k8s::Address& address) { add(hash, address.to_string()); }

// Of a collection in any order: the sum of its items.
template <typename Items, typename Of>
void add_all(StableHash& hash, const Items& items, Of of) {
  std::uint64_t sum = 0;
  for (const auto& item : items) {
    StableHash each;
    of(each, item);
    sum += each.finish();
  }
  hash.add(static_cast<std::uint64_t>(items.size()));
  hash.add(sum);
}

template <typename Number>
void add_number(StableHash& hash, Number number) {
  hash.add(static_cast<std::uint64_t>(number));
}

void add_endpoints(StableHash& hash, const std::vector<ServiceEndpoint>& candidates) {
  for (const ipvs::Family family : {ipvs::Family::kIpv4, ipvs::Family::kIpv6}) {
    add_all(hash, choose_endpoints(candidates, family, false),
            [](StableHash& each, const ServiceEndpoint& endpoint) {
              each.add(endpoint.endpoint.address);
              each.add(endpoint.endpoint.port);
              each.add(endpoint.weight);
            });
  }
}

PlanDigest::WallClock::time_point full_minutes(PlanDigest::WallClock::time_point wall) {
  return PlanDigest::WallClock::time_point(wall.time_since_epoch() -
                                           wall.time_since_epoch() % PlanDigest::kEvery);
}

}  // namespace

std::uint64_t service_digest(const k8s::Service& service, const ServiceEndpoints& endpoints,
                             const ServiceOptions& options) {
  StableHash hash;
  add(hash, service.meta.key.ns);
  add(hash, service.meta.key.name);
  add_number(hash, service.type);
  const auto add_address = [](StableHash& each, const k8s::Address& address) {
    add(each, address);
  };
  add_all(hash, service.cluster_ips, add_address);
  add_all(hash, service.external_ips, add_address);
  add_all(hash, service.load_balancer_ingress,
          [](StableHash& each, const k8s::LoadBalancerIngress& ingress) {
            add(each, ingress.ip);
            add_number(each, ingress.proxy_mode);
          });
  add_all(hash, service.load_balancer_source_ranges, [](StableHash& each, const k8s::Cidr& range) {
    add(each, range.address);
    add_number(each, range.prefix_length);
  });
  add_number(hash, service.client_ip_affinity_seconds.value_or(0));
  add_number(hash, service.internal_traffic_policy);
  add_number(hash, service.external_traffic_policy);
  add_number(hash, service.health_check_node_port);
  add(hash, options.scheduler);
  add_number(hash, options.scheduler_flags);
  for (std::size_t i = 0; i < service.ports.size() && i < endpoints.size(); ++i) {
    const k8s::ServicePort& port = service.ports[i];
    add_number(hash, port.protocol);
    add_number(hash, port.port);
    add_number(hash, port.node_port);
    add_endpoints(hash, endpoints[i]);
  }
  return hash.finish();
}

void PlanDigest::set(std::string_view service, std::optional<std::uint64_t> digest, Moment now) {
  StableHash name;
  name.add(service);
  const auto at = of_services_.find(name.finish());
  const std::uint64_t before = at == of_services_.end() ? 0 : at->second;
  const std::uint64_t after = digest.value_or(0);
  if (before == after) return;
  take_common(now);  // what was true until now
  sum_ += after - before;
  changed_ = now.steady;
  if (!digest) {
    of_services_.erase(at);
  } else {
    of_services_.insert_or_assign(name.finish(), after);
  }
}

void PlanDigest::complete(Moment now) {
  if (!taken_) taken_ = full_minutes(now.wall);
}

std::uint64_t PlanDigest::common(Moment now) {
  take_common(now);
  return common_;
}

// If the common moment that comes next has passed.
void PlanDigest::take_common(Moment now) {
  if (!taken_) return;
  const WallClock::time_point full = full_minutes(now.wall);
  if (full <= *taken_) return;
  const Clock::time_point at = now.steady - (now.wall - full);
  if (std::max(at, changed_ + kQuiet) > now.steady) return;
  taken_ = full;
  common_ = current();
}

std::uint64_t PlanDigest::reduced(std::uint64_t sum) {
  constexpr int kBits = 52;
  StableHash mixed;
  mixed.add(sum);
  return (mixed.finish() >> (64 - kBits)) + 1;
}

}  // namespace agent
