// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/proc_table.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ipvs {
namespace {

// Removes the next word from the front of `line` and returns it.
std::string_view take_word(std::string_view& line) {
  const std::size_t start = std::min(line.find_first_not_of(' '), line.size());
  line.remove_prefix(start);
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

template <typename T>
std::optional<T> number(std::string_view text, int base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "0A60000A:0050" or "[fd00:...:0001]:0050".
std::optional<Endpoint> endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = number<std::uint16_t>(text.substr(colon + 1), 16);
  std::string_view host = text.substr(0, colon);
  if (!port || host.empty()) return std::nullopt;
  if (host.front() != '[') {
    const auto value = number<std::uint32_t>(host, 16);
    if (!value || host.size() != 8) return std::nullopt;
    return Endpoint{boost::asio::ip::address_v4(*value), *port};
  }
  if (host.back() != ']') return std::nullopt;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address_v6(host.substr(1, host.size() - 2), error);
  if (error) return std::nullopt;
  return Endpoint{address, *port};
}

std::optional<DestinationReading> destination(std::string_view line) {
  const auto where = endpoint(take_word(line));
  const std::string_view forwarding = take_word(line);
  const auto weight = number<std::int32_t>(take_word(line), 10);
  if (!where || forwarding.empty() || !weight) return std::nullopt;
  DestinationReading reading;
  reading.destination = {*where, static_cast<std::uint32_t>(*weight)};
  reading.is_masqueraded = forwarding == "Masq";
  return reading;
}

bool is_heading(std::string_view line) {
  return line.starts_with("IP Virtual Server version") || line.starts_with("Prot LocalAddress") ||
         line.starts_with("  -> RemoteAddress");
}

}  // namespace

void ProcTableParser::feed(std::string_view piece) {
  while (true) {
    const std::size_t end = piece.find('\n');
    if (end == std::string_view::npos) break;
    if (rest_.empty()) {
      take_line(piece.substr(0, end));
    } else {
      rest_.append(piece.substr(0, end));
      take_line(rest_);
      rest_.clear();
    }
    piece.remove_prefix(end + 1);
  }
  rest_.append(piece);
}

void ProcTableParser::take_line(std::string_view line) {
  if (line.empty() || is_heading(line)) return;
  std::string_view words = line;
  const std::string_view first = take_word(words);
  if (first == "->") {
    const auto found = destination(words);
    if (!found || !in_server_) {
      ++strange_lines_;
    } else if (current_ != nullptr) {
      current_->push_back(found->destination);
      if (!found->is_masqueraded) not_masqueraded_.insert(current_key_);
    }
    return;
  }
  in_server_ = true;
  current_ = nullptr;
  if (first == "FWM") return;
  const auto protocol = protocol_named(first);
  const auto where = endpoint(take_word(words));
  if (!protocol || !where) {
    in_server_ = false;
    ++strange_lines_;
    return;
  }
  current_key_ = {where->address, where->port, *protocol};
  const auto [place, is_new] = servers_.try_emplace(current_key_);
  current_ = &place->second;
  if (!is_new) {
    ++repeated_;
    current_->clear();
  } else if (keep_settings_) {
    keep_settings(words);
  }
}

// "rr ops persistent 2700000 FFFFFFFF"
void ProcTableParser::keep_settings(std::string_view words) {
  VirtualServer server{.key = current_key_, .scheduler = std::string(take_word(words))};
  for (auto word = take_word(words); !word.empty(); word = take_word(words)) {
    if (word == "ops") server.flags |= kFlagOnePacket;
    if (word != "persistent") continue;
    server.flags |= kFlagPersistent;
    server.timeout_seconds = number<std::uint32_t>(take_word(words), 10).value_or(0);
  }
  settings_.push_back(std::move(server));
}

std::unordered_map<ServerKey, std::vector<Destination>> ProcTableParser::finish() {
  if (!rest_.empty()) ++strange_lines_;  // a complete file ends with a line break
  for (auto& [key, destinations] : servers_) {
    std::sort(destinations.begin(), destinations.end(),
              [](const Destination& a, const Destination& b) { return a.endpoint < b.endpoint; });
  }
  current_ = nullptr;
  in_server_ = false;
  rest_.clear();
  return std::exchange(servers_, {});
}

}  // namespace ipvs
