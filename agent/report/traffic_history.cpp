// SPDX-License-Identifier: Apache-2.0
#include "agent/report/traffic_history.hpp"

#include <algorithm>
#include <boost/functional/hash.hpp>
#include <iterator>
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

void TrafficHistory::carry_on(ScrapeId scrape, PortTraffic& port,
                              const std::vector<const ipvs::ServerReading*>& readings,
                              const Listed& listed) {
  Port& known = ports_[id_of(port)];
  known.scrape = std::max(known.scrape, scrape);
  see(port, readings);
  compare(known);
  known.seen.clear();
  std::copy_if(now_.begin(), now_.end(), std::back_inserter(known.seen),
               [](const Seen& seen) { return seen.counters != ipvs::Counters{}; });
  known.seen.shrink_to_fit();
  if (!known.base.empty() || !known.missing.empty()) add_bases(known, port, listed);
}

// Fills now_ and servers_.
void TrafficHistory::see(const PortTraffic& port,
                         const std::vector<const ipvs::ServerReading*>& readings) {
  now_.clear();
  servers_.clear();
  const auto note = [this](Series series, std::uint64_t server, const ipvs::Counters& counters) {
    now_.push_back({.series = series, .server = server, .counters = counters});
  };
  for (const ipvs::ServerReading* reading : readings) {
    const std::uint64_t server = ipvs::hash_value(reading->settings.key);
    servers_.push_back(server);
    if (covers_ != Covers::kEndpoints) note(kPortItself, server, reading->counters);
    if (covers_ == Covers::kPorts) continue;
    for (const ipvs::DestinationReading& d : reading->destinations) {
      const auto endpoint = find_endpoint(port, d.destination.endpoint);
      note(series_of(*endpoint), server, d.counters);
    }
  }
  std::sort(now_.begin(), now_.end(), [](const Seen& a, const Seen& b) { return a.before(b); });
}

// Finds the counters that were reset since the last scrape.
void TrafficHistory::compare(Port& port) const {
  const auto now = [&](const Seen& last) -> const Seen* {
    const auto found = std::lower_bound(now_.begin(), now_.end(), last,
                                        [](const Seen& a, const Seen& b) { return a.before(b); });
    return found == now_.end() || last.before(*found) ? nullptr : &*found;
  };
  const auto may_come_back = [&](const Seen& last) {
    return std::find(servers_.begin(), servers_.end(), last.server) != servers_.end();
  };
  // False: the destination is missing and may return with its counters.
  const auto add_to_base = [&](const Seen& last) {
    const Seen* current = now(last);
    if (!current && may_come_back(last)) return false;
    if (!current || went_back(last.counters, current->counters)) {
      add_counters(port.base[last.series], last.counters);
    }
    return true;
  };
  std::erase_if(port.missing, add_to_base);
  for (const Seen& last : port.seen) {
    if (!add_to_base(last)) port.missing.push_back(last);
  }
}

void TrafficHistory::add_bases(Port& known, PortTraffic& port, const Listed& listed) {
  std::map<Series, ipvs::Counters> before = known.base;
  for (const Seen& last : known.missing) add_counters(before[last.series], last.counters);
  std::set<Series> used{kPortItself};
  const auto own = before.find(kPortItself);
  if (own != before.end()) add_counters(port.counters, own->second);
  for (EndpointTraffic& endpoint : port.endpoints) {
    const auto found = before.find(series_of(endpoint));
    if (found == before.end()) continue;
    add_counters(endpoint.counters, found->second);
    used.insert(found->first);
  }
  const auto is_unused = [&](const auto& series) { return !used.contains(series.first); };
  if (std::none_of(before.begin(), before.end(), is_unused)) return;
  for (const EndpointTraffic& endpoint : listed()) used.insert(series_of(endpoint));
  std::erase_if(known.base, is_unused);
  std::erase_if(known.missing, [&](const Seen& last) { return !used.contains(last.series); });
}

void TrafficHistory::keep(ScrapeId scrape, const PortTraffic& port) {
  const auto found = ports_.find(id_of(port));
  if (found != ports_.end()) found->second.scrape = std::max(found->second.scrape, scrape);
}

void TrafficHistory::finish_scrape(ScrapeId scrape) {
  std::string place;
  while (finish_part(scrape, place, ports_.size())) {
  }
}

bool TrafficHistory::finish_part(ScrapeId scrape, std::string& place, std::size_t ports) {
  auto at = ports_.upper_bound(place);
  for (; at != ports_.end() && ports > 0; --ports) {
    place = at->first;
    at = at->second.scrape < scrape ? ports_.erase(at) : std::next(at);
  }
  return at != ports_.end();
}

}  // namespace agent
