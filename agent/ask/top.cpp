// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/top.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "agent/ask/advice.hpp"
#include "agent/ask/fields.hpp"
#include "agent/ask/table.hpp"
#include "config/printable.hpp"

namespace agent {
namespace {

namespace json = boost::json;

struct Line {
  std::string service, endpoint, pod, state;
  double fresh = 0, in = 0, out = 0;  // per second
  double fresh_in_all = 0;            // per second, since the first reading
  std::uint64_t new_ones = 0;         // since then
  std::int64_t active = 0;
  std::uint64_t weight = 1;
  bool is_tcp = false;

  bool moves() const { return fresh > 0 || in > 0 || out > 0 || active != 0; }
};

// Names of others are shown without what moves a cursor.
std::string shown(const std::string& name) {
  constexpr std::size_t kMost = 256;
  return config::printable(name, kMost);
}

// "1.2k", "34M"
std::string short_number(double value) {
  constexpr double kThousand = 1000;
  const char* unit = "";
  for (const char* next : {"k", "M", "G", "T"}) {
    if (value < kThousand) break;
    value /= kThousand;
    unit = next;
  }
  return value < 10 && value > 0 ? fmt::format("{:.1f}{}", value, unit)
                                 : fmt::format("{:.0f}{}", value, unit);
}

// A counter of the kernel begins anew when its destination is made again.
double rate(std::int64_t now, std::int64_t before, double seconds) {
  if (seconds <= 0 || now < before) return 0;
  return static_cast<double>(now - before) / seconds;
}

bool is_silent(const Line& line) { return line.is_tcp && line.in > 0 && line.out <= 0; }

// Endpoints of TCP that get packets and send none back.
std::string silent_ones(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) {
    if (!is_silent(line)) continue;
    const std::string who = line.endpoint + (line.pod.empty() ? "" : " (" + line.pod + ")");
    text += shown(line.service) + ": " + shown(who) + " gets packets and sends none back\n";
  }
  return text;
}

// Of each Service port, by the scheduler of its virtual servers.
std::string advice_for(const std::vector<Line>& lines, std::map<std::string, PortLoad> ports) {
  for (const Line& line : lines) {
    if (line.state != "serving" || is_silent(line)) continue;
    PortLoad& load = ports[line.service];
    load.port = shown(line.service);
    load.endpoints.push_back(
        {.open = static_cast<std::uint64_t>(std::max<std::int64_t>(line.active, 0)),
         .weight = line.weight});
    load.new_per_second += line.fresh_in_all;
    load.new_connections += line.new_ones;
  }
  std::string text;
  for (const auto& [name, load] : ports) {
    const std::string about = advice(load);
    if (!about.empty()) text += about + "\n";
  }
  return text;
}

// What a Service port's virtual servers say.
PortLoad settings_of(const json::value& port) {
  PortLoad load;
  for (const json::value& server : list_of(port, "servers")) {
    if (load.scheduler.empty()) load.scheduler = shown(text_of(server, "scheduler"));
    load.has_affinity = load.has_affinity || count_of(server, "persistenceSeconds") != 0;
  }
  return load;
}

struct Ports {
  std::map<std::string, PortLoad> loads;  // by "namespace/name:port"
  std::set<std::string> of_tcp;
};

void add_ports(const json::value& service, const std::string& name, Ports& ports) {
  for (const json::value& port : list_of(service, "ports")) {
    const std::string given = text_of(port, "name");
    const std::string key =
        name + ":" + (given.empty() ? std::to_string(count_of(port, "port")) : given);
    if (text_of(port, "protocol") == "TCP") ports.of_tcp.insert(key);
    ports.loads[key] = settings_of(port);
  }
}

Line line_of(const json::value& endpoint, std::string port, const Ports& ports) {
  Line line{.service = std::move(port),
            .endpoint = text_of(endpoint, "endpoint"),
            .pod = text_of(endpoint, "pod"),
            .state = text_of(endpoint, "state"),
            .active = count_of(endpoint, "activeConnections")};
  line.weight = static_cast<std::uint64_t>(std::max<std::int64_t>(count_of(endpoint, "weight"), 0));
  line.is_tcp = ports.of_tcp.contains(line.service);
  return line;
}

TopCounts counts_of(const json::value& endpoint, double now) {
  const json::value* counters = field(endpoint, "counters");
  if (!counters) return {.first_seconds = now};
  const std::int64_t connections = count_of(*counters, "connections");
  return {connections, count_of(*counters, "bytesIn"), count_of(*counters, "bytesOut"), connections,
          now};
}

// Since the last reading, `seconds` ago, and since the first.
void set_rates(Line& line, TopCounts& counts, const TopCounts& last, double seconds) {
  line.fresh = rate(counts.connections, last.connections, seconds);
  line.in = rate(counts.bytes_in, last.bytes_in, seconds);
  line.out = rate(counts.bytes_out, last.bytes_out, seconds);
  if (counts.connections < last.connections) return;  // it was made again
  const double in_all = counts.first_seconds - last.first_seconds;
  counts.first_connections = last.first_connections;
  counts.first_seconds = last.first_seconds;
  line.fresh_in_all = rate(counts.connections, counts.first_connections, in_all);
  line.new_ones = static_cast<std::uint64_t>(counts.connections - counts.first_connections);
}

std::vector<Row> rows_of(const std::vector<Line>& lines) {
  std::vector<Row> rows;
  for (const Line& line : lines) {
    if (!line.moves()) continue;
    rows.push_back({line.service, line.endpoint, line.pod, line.state, short_number(line.fresh),
                    std::to_string(line.active), short_number(line.in), short_number(line.out)});
  }
  return rows;
}

}  // namespace

std::string Top::next(const json::value& answer, double seconds, bool colours) {
  std::vector<Line> lines;
  std::map<std::string, TopCounts> now;
  Ports ports;
  seconds_ += seconds;
  for (const json::value& service : list_of(answer, "items")) {
    const std::string name = text_of(service, "namespace") + "/" + text_of(service, "name");
    add_ports(service, name, ports);
    for (const json::value& each : list_of(service, "endpoints")) {
      Line line = line_of(each, name + ":" + text_of(each, "servicePort"), ports);
      TopCounts counts = counts_of(each, seconds_);
      const std::string key = line.service + " " + line.endpoint;
      const auto last = last_.find(key);
      if (last != last_.end()) set_rates(line, counts, last->second, seconds);
      now[key] = counts;
      lines.push_back(std::move(line));
    }
  }
  last_ = std::move(now);
  const std::string hints = silent_ones(lines) + advice_for(lines, std::move(ports.loads));
  std::stable_sort(lines.begin(), lines.end(), [this](const Line& a, const Line& b) {
    if (sort_ == "new") return a.fresh > b.fresh;
    if (sort_ == "active") return a.active > b.active;
    if (sort_ == "bytes") return a.in + a.out > b.in + b.out;
    return std::pair(a.service, a.endpoint) < std::pair(b.service, b.endpoint);
  });
  return table({"SERVICE", "ENDPOINT", "POD", "STATE", "NEW/S", "ACTIVE", "IN B/S", "OUT B/S"},
               rows_of(lines), colours) +
         hints;
}

}  // namespace agent
