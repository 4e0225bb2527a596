// SPDX-License-Identifier: Apache-2.0
#include "agent/traffic_history.hpp"

#include <algorithm>
#include <boost/functional/hash.hpp>
#include <set>
#include <string_view>

namespace agent {
namespace {

std::string id_of(const PortTraffic& port) {
  return port.ns + "/" + port.service + "/" + port.port + "/" +
         std::to_string(static_cast<int>(port.protocol));
}

bool went_back(const ipvs::Counters& before, const ipvs::Counters& now) {
  return now.connections < before.connections || now.packets_in < before.packets_in ||
         now.packets_out < before.packets_out || now.bytes_in < before.bytes_in ||
         now.bytes_out < before.bytes_out;
}

}  // namespace

TrafficHistory::Series TrafficHistory::series_of(const EndpointTraffic& endpoint) {
  std::size_t seed = ipvs::hash_value(endpoint.endpoint);
  boost::hash_combine(seed, std::hash<std::string_view>()(endpoint.pod));
  return seed == kPortItself ? 1 : seed;
}

void TrafficHistory::carry_on(Look look, PortTraffic& port,
                              const std::vector<const ipvs::ServerReading*>& readings,
                              const Listed& listed) {
  Port& known = ports_[id_of(port)];
  known.look = std::max(known.look, look);
  see(port, readings);
  compare(known, now_);
  known.seen.assign(now_.begin(), now_.end());
  if (!known.base.empty()) add_bases(known, port, listed);
}

// Fills now_.
void TrafficHistory::see(const PortTraffic& port,
                         const std::vector<const ipvs::ServerReading*>& readings) {
  now_.clear();
  const auto note = [this](Series series, std::uint64_t server, const ipvs::Counters& counters) {
    if (counters == ipvs::Counters{}) return;
    now_.push_back({.series = series, .server = server, .counters = counters});
  };
  for (const ipvs::ServerReading* reading : readings) {
    const std::uint64_t server = ipvs::hash_value(reading->settings.key);
    note(kPortItself, server, reading->counters);
    for (const ipvs::DestinationReading& d : reading->destinations) {
      const auto endpoint = find_endpoint(port, d.destination.endpoint);
      note(series_of(*endpoint), server, d.counters);
    }
  }
  std::sort(now_.begin(), now_.end(), [](const Seen& a, const Seen& b) { return a.before(b); });
}

// Both lists are ordered: one walk finds what ended since.
void TrafficHistory::compare(Port& port, const std::vector<Seen>& now) {
  auto current = now.begin();
  for (const Seen& last : port.seen) {
    while (current != now.end() && current->before(last)) ++current;
    const bool there = current != now.end() && !last.before(*current);
    if (!there || went_back(last.counters, current->counters)) {
      add_counters(port.base[last.series], last.counters);
    }
  }
}

void TrafficHistory::add_bases(Port& known, PortTraffic& port, const Listed& listed) {
  std::set<Series> used{kPortItself};
  const auto own = known.base.find(kPortItself);
  if (own != known.base.end()) add_counters(port.counters, own->second);
  for (EndpointTraffic& endpoint : port.endpoints) {
    const auto base = known.base.find(series_of(endpoint));
    if (base == known.base.end()) continue;
    add_counters(endpoint.counters, base->second);
    used.insert(base->first);
  }
  const auto is_unused = [&](const auto& base) { return !used.contains(base.first); };
  if (std::none_of(known.base.begin(), known.base.end(), is_unused)) return;
  for (const EndpointTraffic& endpoint : listed()) used.insert(series_of(endpoint));
  std::erase_if(known.base, is_unused);
}

void TrafficHistory::keep(Look look, const PortTraffic& port) {
  const auto found = ports_.find(id_of(port));
  if (found != ports_.end()) found->second.look = std::max(found->second.look, look);
}

void TrafficHistory::finish_look(Look look) {
  std::erase_if(ports_, [&](const auto& port) { return port.second.look < look; });
}

}  // namespace agent
