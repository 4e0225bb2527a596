// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/local_ports.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

namespace ipvs {
namespace {

std::optional<std::uint16_t> take_port(std::string_view& text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return port;
}

std::optional<PortRange> read_range(std::string_view text) {
  const auto first = take_port(text);
  const auto digits = std::min(text.find_first_not_of("\t "), text.size());
  text.remove_prefix(digits);
  const auto last = take_port(text);
  if (!first || !last || *last < *first) return std::nullopt;
  return PortRange{*first, *last};
}

// "8080,9148-9150"; what cannot be read ends the list.
std::vector<PortRange> read_list(std::string_view text) {
  std::vector<PortRange> ranges;
  while (const auto first = take_port(text)) {
    PortRange range{*first, *first};
    if (text.starts_with('-')) {
      text.remove_prefix(1);
      const auto last = take_port(text);
      if (!last) break;
      range.last = *last;
    }
    ranges.push_back(range);
    if (!text.starts_with(',')) break;
    text.remove_prefix(1);
  }
  return ranges;
}

// The first port of `wanted` that no range has; nullopt: there is none.
std::optional<std::uint16_t> first_outside(PortRange wanted, std::vector<PortRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const PortRange& a, const PortRange& b) { return a.first < b.first; });
  std::uint32_t next = wanted.first;
  for (const PortRange& range : ranges) {
    if (range.first <= next && range.last >= next) next = std::uint32_t{range.last} + 1;
  }
  if (next > wanted.last) return std::nullopt;
  return static_cast<std::uint16_t>(next);
}

std::string text_of(PortRange range) {
  return std::to_string(range.first) + "-" + std::to_string(range.last);
}

// Of one port as the kernel writes it.
std::string item_of(PortRange range) {
  return range.first == range.last ? std::to_string(range.first) : text_of(range);
}

}  // namespace

std::string overlap_warning(const std::string& local_ports, const std::string& reserved_ports,
                            PortRange node_ports) {
  const auto local = read_range(local_ports);
  if (!local) return "";
  const PortRange both{std::max(local->first, node_ports.first),
                       std::min(local->last, node_ports.last)};
  if (both.last < both.first || !first_outside(both, read_list(reserved_ports))) return "";
  return "net.ipv4.ip_local_port_range is " + text_of(*local) + " and has node ports (" +
         text_of(node_ports) +
         "): connections of this node that get the port of a Service as their own will time out; "
         "set net.ipv4.ip_local_reserved_ports=" +
         text_of(node_ports);
}

std::string with_reserved(const std::string& reserved_ports, PortRange added) {
  std::vector<PortRange> ranges = read_list(reserved_ports);
  if (!first_outside(added, ranges)) return reserved_ports;
  ranges.push_back(added);
  std::sort(ranges.begin(), ranges.end(),
            [](const PortRange& a, const PortRange& b) { return a.first < b.first; });
  std::vector<PortRange> merged;
  for (const PortRange& range : ranges) {
    if (!merged.empty() && range.first <= std::uint32_t{merged.back().last} + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  std::string text;
  for (const PortRange& range : merged) text += (text.empty() ? "" : ",") + item_of(range);
  return text;
}

}  // namespace ipvs
