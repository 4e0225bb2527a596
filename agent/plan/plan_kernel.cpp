// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/plan_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace agent {
namespace {

using ipvs::Destination;
using ipvs::Result;
using ipvs::Server;
using ipvs::ServerCommand;
using ipvs::ServerKey;
using ipvs::ServerOp;
using ipvs::ServerReading;

ServerReading reading_of(const Server& server) {
  ServerReading reading{.settings = server.settings};
  for (const Destination& each : server.destinations) reading.destinations.push_back({each});
  std::sort(
      reading.destinations.begin(), reading.destinations.end(),
      [](const auto& a, const auto& b) { return a.destination.endpoint < b.destination.endpoint; });
  return reading;
}

auto find(Server& server, const ipvs::Endpoint& endpoint) {
  return std::find_if(server.destinations.begin(), server.destinations.end(),
                      [&](const Destination& each) { return each.endpoint == endpoint; });
}

// As ip_vs_ctl.c: EEXIST, ESRCH, ENOENT.
int change_destination(Server& server, const ServerOp& op) {
  const auto place = find(server, op.destination.endpoint);
  const bool exists = place != server.destinations.end();
  if (op.command == ServerCommand::kNewDest) {
    if (exists) return EEXIST;
    server.destinations.push_back(op.destination);
    return 0;
  }
  if (!exists) return ENOENT;
  if (op.command == ServerCommand::kSetDest) {
    *place = op.destination;
  } else {
    server.destinations.erase(place);
  }
  return 0;
}

}  // namespace

PlanKernel::PlanKernel(ipvs::Kernel& real, const std::vector<ipvs::Address>& addresses)
    : real_(real), is_empty_(true), observed_(ipvs::Observed{}) {
  for (const ipvs::Address& each : addresses) {
    constexpr std::uint8_t kWholeV4 = 32, kWholeV6 = 128;
    addresses_.push_back({.address = each,
                          .interface_name = "eth0",
                          .interface_index = 2,
                          .prefix_length = each.is_v4() ? kWholeV4 : kWholeV6});
  }
}

Result<std::vector<ipvs::LocalAddress>> PlanKernel::read_local_addresses() {
  if (addresses_.empty()) return real_.read_local_addresses();
  return addresses_;
}

Result<std::vector<ipvs::Address>> PlanKernel::read_gateways() {
  if (addresses_.empty()) return real_.read_gateways();
  return std::vector<ipvs::Address>();
}

Result<ipvs::Observed> PlanKernel::observe() {
  if (!observed_) {
    auto sight = real_.look();
    if (!sight) return sight.error();
    ipvs::Observed* observed = &sight->observed;
    unread_ = std::move(sight->unread);
    before_.kube_proxy = std::move(sight->kube_proxy);
    for (const Server& each : observed->servers) before_.servers[each.settings.key] = each;
    before_.addresses.insert(observed->addresses.begin(), observed->addresses.end());
    before_.elements = observed->elements;
    before_.has_table = observed->table_present;
    before_.has_kube_proxy_chains = observed->has_kube_proxy_chains;
    after_ = before_;
    observed_ = std::move(*observed);
  }
  ipvs::Observed now = *observed_;
  now.servers.clear();
  for (const auto& [key, server] : after_.servers) now.servers.push_back(server);
  now.addresses.assign(after_.addresses.begin(), after_.addresses.end());
  now.elements = after_.elements;
  now.table_present = after_.has_table;
  return now;
}

std::vector<int> PlanKernel::change_servers(std::span<const ServerOp> ops) {
  std::vector<int> outcomes;
  outcomes.reserve(ops.size());
  for (const ServerOp& op : ops) outcomes.push_back(change(op));
  return outcomes;
}

int PlanKernel::change(const ServerOp& op) {
  const auto place = after_.servers.find(op.server.key);
  const bool exists = place != after_.servers.end();
  if (op.command == ServerCommand::kNewService) {
    if (exists) return EEXIST;
    after_.servers[op.server.key] = {op.server, {}};
    return 0;
  }
  if (!exists) return ESRCH;
  switch (op.command) {
    case ServerCommand::kSetService:
      place->second.settings = op.server;
      return 0;
    case ServerCommand::kDelService:
      after_.servers.erase(place);
      return 0;
    default:
      return change_destination(place->second, op);
  }
}

std::vector<int> PlanKernel::change_addresses(std::span<const ipvs::AddressOp> ops) {
  for (const ipvs::AddressOp& op : ops) {
    if (op.add) {
      after_.addresses.insert(op.address);
    } else {
      after_.addresses.erase(op.address);
    }
  }
  return std::vector<int>(ops.size(), 0);
}

int PlanKernel::change_elements(std::span<const ipvs::ElementOp> ops) {
  for (const ipvs::ElementOp& op : ops) {
    std::erase_if(after_.elements,
                  [&](const ipvs::Element& each) { return each.same_key(op.element); });
    if (op.add) after_.elements.push_back(op.element);
  }
  return 0;
}

int PlanKernel::install_table(const ipvs::TableRules& rules,
                              std::span<const ipvs::Element> elements) {
  after_.rules = rules;
  after_.elements.assign(elements.begin(), elements.end());
  after_.has_table = true;
  return 0;
}

int PlanKernel::replace_rules(const ipvs::TableRules& rules) {
  after_.rules = rules;
  return 0;
}

// The kernel tells without rights as well, but for the module ip_vs.
Result<std::string> PlanKernel::why_no_ipv6() {
  if (is_empty_) return std::string();
  auto why = real_.why_no_ipv6();
  if (!why && why.error().error_number == EPERM) return std::string();
  return why;
}

Result<std::size_t> PlanKernel::count_ipv4_servers() {
  const auto count = std::count_if(after_.servers.begin(), after_.servers.end(),
                                   [](const auto& each) { return each.first.address.is_v4(); });
  return {boost::system::in_place_value, static_cast<std::size_t>(count)};
}

Result<std::optional<ServerReading>> PlanKernel::read_server(const ServerKey& key) {
  const auto found = after_.servers.find(key);
  std::optional<ServerReading> reading;
  if (found != after_.servers.end()) reading = reading_of(found->second);
  return reading;
}

Result<std::vector<ServerReading>> PlanKernel::read_servers(std::span<const ServerKey> keys) {
  std::vector<ServerReading> readings;
  for (const ServerKey& key : keys) {
    const auto found = after_.servers.find(key);
    if (found != after_.servers.end()) readings.push_back(reading_of(found->second));
  }
  return readings;
}

Result<std::vector<ipvs::Address>> PlanKernel::read_addresses() {
  return std::vector<ipvs::Address>(after_.addresses.begin(), after_.addresses.end());
}

Result<std::size_t> PlanKernel::delete_flows(std::span<const StaleFlow>) {
  return {boost::system::in_place_value, 0};
}

Result<std::vector<std::unique_ptr<ipvs::KernelMonitor>>> PlanKernel::open_monitors() {
  return std::vector<std::unique_ptr<ipvs::KernelMonitor>>();
}

}  // namespace agent
