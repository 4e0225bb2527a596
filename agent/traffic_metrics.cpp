// SPDX-License-Identifier: Apache-2.0
#include "agent/traffic_metrics.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace agent {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kPiece = 32 * 1024;

const char* name_of(ipvs::Protocol protocol) {
  switch (protocol) {
    case ipvs::Protocol::kTcp:
      return "TCP";
    case ipvs::Protocol::kUdp:
      return "UDP";
    case ipvs::Protocol::kSctp:
      return "SCTP";
  }
  return "";
}

struct CounterFamily {
  const char* name;
  const char* help;
  std::uint64_t ipvs::Counters::*value;
};

constexpr std::array<CounterFamily, 5> kCounters{{
    {"connections_total", "Connections scheduled", &ipvs::Counters::connections},
    {"packets_in_total", "Packets from clients", &ipvs::Counters::packets_in},
    {"packets_out_total", "Packets to clients", &ipvs::Counters::packets_out},
    {"bytes_in_total", "Bytes from clients", &ipvs::Counters::bytes_in},
    {"bytes_out_total", "Bytes to clients", &ipvs::Counters::bytes_out},
}};

struct GaugeFamily {
  const char* name;
  const char* help;
  std::uint32_t EndpointTraffic::*value;
};

constexpr std::array<GaugeFamily, 3> kGauges{{
    {"active_connections", "Connections established", &EndpointTraffic::active_connections},
    {"inactive_connections", "Connections being opened or closed",
     &EndpointTraffic::inactive_connections},
    {"weight", "Weight in scheduling; 0: no new connections", &EndpointTraffic::weight},
}};

// Collects lines, and hands them on when there is a piece's worth.
class Text {
 public:
  explicit Text(const TextWriter& write) : write_(write) { buffer_.reserve(kPiece + 1024); }

  void head(const std::string& name, const char* help, const char* scope, const char* type) {
    buffer_ +=
        "# HELP " + name + " " + help + ", " + scope + ".\n# TYPE " + name + " " + type + "\n";
  }
  void sample(const std::string& name, std::string_view labels, std::uint64_t value) {
    buffer_ += name;
    buffer_ += '{';
    buffer_ += labels;
    buffer_ += "} ";
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    buffer_.append(digits.data(), end);
    buffer_ += '\n';
  }
  asio::awaitable<void> flush_if_full() {
    if (buffer_.size() >= kPiece) co_await flush();
  }
  asio::awaitable<void> flush() {
    if (buffer_.empty()) co_return;
    co_await write_(buffer_);
    buffer_.clear();
  }

 private:
  const TextWriter& write_;
  std::string buffer_;
};

std::string port_labels(const PortTraffic& port) {
  return "namespace=\"" + escape_label(port.ns) + "\",service=\"" + escape_label(port.service) +
         "\",port=\"" + escape_label(port.port) + "\",protocol=\"" + name_of(port.protocol) + "\"";
}

// Builds the labels of an endpoint behind those of its port, in the same string.
void set_endpoint(std::string& labels, std::size_t port_length, const EndpointTraffic& endpoint,
                  const PodName& pod_name) {
  labels.resize(port_length);
  labels += ",endpoint=\"";
  labels += endpoint.endpoint.text();
  labels += "\",pod=\"";
  labels += escape_label(pod_name(endpoint.endpoint.address));
  labels += '"';
}

// One family over all endpoints of all ports.
template <typename Value>
asio::awaitable<void> write_endpoints(const std::vector<PortTraffic>& ports,
                                      const PodName& pod_name, const std::string& name, Value value,
                                      Text& text) {
  for (const PortTraffic& port : ports) {
    std::string labels = port_labels(port);
    const std::size_t length = labels.size();
    for (const EndpointTraffic& endpoint : port.endpoints) {
      set_endpoint(labels, length, endpoint, pod_name);
      text.sample(name, labels, value(endpoint));
      co_await text.flush_if_full();
    }
  }
}

}  // namespace

std::string escape_label(std::string_view value) {
  std::string escaped;
  escaped.reserve(value.size());
  for (const char c : value) {
    if (c == '\n') {
      escaped += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

void add_reading(PortTraffic& port, const ipvs::ServerReading& reading) {
  const auto add = [](ipvs::Counters& sum, const ipvs::Counters& counters) {
    for (const CounterFamily& family : kCounters) sum.*family.value += counters.*family.value;
  };
  add(port.counters, reading.counters);
  for (const ipvs::DestinationReading& d : reading.destinations) {
    const ipvs::Endpoint& endpoint = d.destination.endpoint;
    auto place = std::lower_bound(
        port.endpoints.begin(), port.endpoints.end(), endpoint,
        [](const EndpointTraffic& t, const ipvs::Endpoint& e) { return t.endpoint < e; });
    if (place == port.endpoints.end() || place->endpoint != endpoint) {
      place = port.endpoints.insert(place, {.endpoint = endpoint});
    }
    add(place->counters, d.counters);
    place->active_connections += d.active_connections;
    place->inactive_connections += d.inactive_connections;
    place->weight = d.destination.weight;
  }
}

asio::awaitable<void> write_traffic(const std::vector<PortTraffic>& ports, const PodName& pod_name,
                                    const TextWriter& write) {
  Text text(write);
  for (const CounterFamily& family : kCounters) {
    const std::string name = std::string("kube_ipvs_service_") + family.name;
    text.head(name, family.help, "per Service port", "counter");
    for (const PortTraffic& port : ports) {
      text.sample(name, port_labels(port), port.counters.*family.value);
      co_await text.flush_if_full();
    }
  }
  for (const CounterFamily& family : kCounters) {
    const std::string name = std::string("kube_ipvs_endpoint_") + family.name;
    text.head(name, family.help, "per endpoint", "counter");
    const auto value = [&](const EndpointTraffic& e) { return e.counters.*family.value; };
    co_await write_endpoints(ports, pod_name, name, value, text);
  }
  for (const GaugeFamily& family : kGauges) {
    const std::string name = std::string("kube_ipvs_endpoint_") + family.name;
    text.head(name, family.help, "per endpoint", "gauge");
    const auto value = [&](const EndpointTraffic& e) -> std::uint64_t { return e.*family.value; };
    co_await write_endpoints(ports, pod_name, name, value, text);
  }
  co_await text.flush();
}

}  // namespace agent
