// SPDX-License-Identifier: Apache-2.0
#include "agent/report/traffic_metrics.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "agent/report/label_text.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kPiece = std::size_t{64} * 1024;
constexpr std::size_t kDigits = 20;  // of the largest 64-bit number

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

// Collects lines in one buffer, which is written when the next line does not fit. A scrape has some
// 100,000 lines; a line costs two copies and a number, no allocation and no coroutine.
class Text {
 public:
  explicit Text(const TextWriter& write) : write_(write), buffer_(kPiece, '\0') {}

  void append(std::string_view text) { at_ = copy(reserve(text.size()), text); }
  // Both parts of the labels, and the value.
  void sample(std::string_view first, std::string_view second, std::uint64_t value) {
    char* at = reserve(first.size() + second.size() + kDigits + 1);
    at = copy(copy(at, first), second);
    at = std::to_chars(at, at + kDigits, value).ptr;
    *at++ = '\n';
    at_ = at;
  }
  // Whether a sample with `size` bytes of labels would exceed the piece.
  bool is_full(std::size_t size) const { return used() + size + kDigits + 1 > kPiece; }
  asio::awaitable<void> flush() {
    if (used() == 0) co_return;
    const std::string_view piece(buffer_.data(), used());
    at_ = nullptr;
    co_await write_(piece);
  }

 private:
  std::size_t used() const {
    return at_ ? static_cast<std::size_t>(at_ - buffer_.data()) : std::size_t{0};
  }
  // Where to write the next `size` bytes. The buffer grows only for a line longer than a piece.
  char* reserve(std::size_t size) {
    const std::size_t before = used();
    if (before + size > buffer_.size()) buffer_.resize(before + size);
    return buffer_.data() + before;
  }
  static char* copy(char* at, std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    return at + text.size();
  }

  const TextWriter& write_;
  std::string buffer_;
  char* at_ = nullptr;  // in buffer_; nullptr: its start
};

std::string family_head(const std::string& name, const char* help, const char* scope,
                        const char* type) {
  return "# HELP " + name + " " + help + ", " + scope + ".\n# TYPE " + name + " " + type + "\n";
}

void append_number(std::string& to, unsigned value) {
  std::array<char, 10> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  to.append(digits.data(), end);
}

// Endpoint::text() without inet_ntop() and its sprintf() for IPv4: it runs for every endpoint at
// each scrape.
void append_endpoint(std::string& to, const ipvs::Endpoint& endpoint) {
  if (!endpoint.address.is_v4()) {
    to += endpoint.text();
    return;
  }
  char separator = '.';
  const auto bytes = endpoint.address.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    append_number(to, bytes[i]);
    if (i + 1 == bytes.size()) separator = ':';
    to += separator;
  }
  append_number(to, endpoint.port);
}

void append_port_labels(std::string& to, const PortTraffic& port) {
  append_label(to, "namespace", port.ns);
  append_label(to, ",service", port.service);
  append_label(to, ",port", port.port);
  append_label(to, ",protocol", name_of(port.protocol));
}

}  // namespace

void add_counters(ipvs::Counters& sum, const ipvs::Counters& counters) {
  for (const CounterFamily& family : kCounters) sum.*family.value += counters.*family.value;
}

std::vector<EndpointTraffic>::const_iterator find_endpoint(const PortTraffic& port,
                                                           const ipvs::Endpoint& endpoint) {
  return std::lower_bound(
      port.endpoints.begin(), port.endpoints.end(), endpoint,
      [](const EndpointTraffic& t, const ipvs::Endpoint& e) { return t.endpoint < e; });
}

void add_reading(PortTraffic& port, const ipvs::ServerReading& reading, const PodName& pod_name) {
  add_counters(port.counters, reading.counters);
  if (port.endpoints.empty()) port.endpoints.reserve(reading.destinations.size());
  for (const ipvs::DestinationReading& d : reading.destinations) {
    const ipvs::Endpoint& endpoint = d.destination.endpoint;
    const auto found = find_endpoint(port, endpoint);
    auto place = port.endpoints.begin() + (found - port.endpoints.cbegin());
    if (place == port.endpoints.end() || place->endpoint != endpoint) {
      place =
          port.endpoints.insert(place, {.endpoint = endpoint, .pod = pod_name(endpoint.address)});
    }
    add_counters(place->counters, d.counters);
    place->active_connections += d.active_connections;
    place->inactive_connections += d.inactive_connections;
    place->weight = d.destination.weight;
  }
}

void TrafficPage::add(const PortTraffic& port) {
  constexpr std::size_t kPorts = 128, kRows = 512;
  if (blocks_.empty() || blocks_.back().ports.size() >= kPorts ||
      blocks_.back().rows.size() >= kRows) {
    if (!blocks_.empty()) {
      Block& full = blocks_.back();
      full.labels.shrink_to_fit();
      full.ports.shrink_to_fit();
      full.rows.shrink_to_fit();
    }
    blocks_.emplace_back();
  }
  Block& block = blocks_.back();
  std::string& labels = block.labels;
  const auto end = [&labels] { return static_cast<std::uint32_t>(labels.size()); };
  Port added{.counters = port.counters, .labels_begin = end()};
  append_port_labels(labels, port);
  added.labels_end = end();
  for (const EndpointTraffic& e : port.endpoints) {
    labels += ",endpoint=\"";
    append_endpoint(labels, e.endpoint);
    labels += '"';
    append_label(labels, ",pod", e.pod);
    labels += "} ";
    block.rows.push_back({.counters = e.counters,
                          .active_connections = e.active_connections,
                          .inactive_connections = e.inactive_connections,
                          .weight = e.weight,
                          .labels_end = end()});
  }
  endpoints_ += port.endpoints.size();
  added.rows_end = static_cast<std::uint32_t>(block.rows.size());
  block.ports.push_back(added);
}

// One metric family each, over all ports.
struct TrafficPage::Families {
  const std::vector<Block>& blocks;
  Text& text;

  asio::awaitable<void> of_ports(const CounterFamily& family) {
    const std::string name = std::string("kube_ipvs_service_") + family.name;
    const std::string begin = name + "{";
    co_await head(name, family.help, "per Service port", "counter");
    std::string line;
    for (const Block& block : blocks) {
      for (const Port& port : block.ports) {
        start(line, begin, block, port);
        if (text.is_full(line.size() + 2)) co_await text.flush();
        text.sample(line, "} ", port.counters.*family.value);
      }
    }
  }

  template <typename Value>
  asio::awaitable<void> of_endpoints(const char* family, const char* help, const char* type,
                                     Value value) {
    const std::string name = std::string("kube_ipvs_endpoint_") + family;
    const std::string begin = name + "{";
    co_await head(name, help, "per endpoint", type);
    std::string line;
    for (const Block& block : blocks) {
      std::size_t row = 0;
      for (const Port& port : block.ports) {
        if (row == port.rows_end) continue;
        start(line, begin, block, port);
        std::size_t labels_begin = port.labels_end;
        for (; row < port.rows_end; ++row) {
          const Row& of = block.rows[row];
          const std::string_view own(block.labels.data() + labels_begin,
                                     of.labels_end - labels_begin);
          labels_begin = of.labels_end;
          if (text.is_full(line.size() + own.size())) co_await text.flush();
          text.sample(line, own, value(of));
        }
      }
    }
  }

  static void start(std::string& line, const std::string& begin, const Block& block,
                    const Port& port) {
    line.assign(begin).append(block.labels, port.labels_begin, port.labels_end - port.labels_begin);
  }

  asio::awaitable<void> head(const std::string& name, const char* help, const char* scope,
                             const char* type) {
    const std::string lines = family_head(name, help, scope, type);
    if (text.is_full(lines.size())) co_await text.flush();
    text.append(lines);
  }
};

asio::awaitable<void> TrafficPage::write(const TextWriter& write) const {
  Text text(write);
  Families families{blocks_, text};
  if (has_ == Has::kPortsAndEndpoints) {
    for (const CounterFamily& family : kCounters) co_await families.of_ports(family);
  }
  if (endpoints_ > 0) co_await write_endpoints(families);
  co_await text.flush();
}

asio::awaitable<void> TrafficPage::write_endpoints(Families& families) const {
  for (const CounterFamily& family : kCounters) {
    const auto value = [&](const Row& row) { return row.counters.*family.value; };
    co_await families.of_endpoints(family.name, family.help, "counter", value);
  }
  const auto active = [](const Row& row) { return row.active_connections; };
  const auto inactive = [](const Row& row) { return row.inactive_connections; };
  const auto weight = [](const Row& row) { return row.weight; };
  co_await families.of_endpoints("active_connections", "Connections established", "gauge", active);
  co_await families.of_endpoints("inactive_connections", "Connections being opened or closed",
                                 "gauge", inactive);
  co_await families.of_endpoints("weight", "Weight in scheduling; 0: no new connections", "gauge",
                                 weight);
}

}  // namespace agent
