// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/own_record.hpp"

#include <charconv>

namespace ipvs {
namespace {

constexpr std::string_view kMagic = "kube-ipvs-own-servers 1 ";

std::string_view take_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  if (!line.empty()) line.remove_prefix(1);
  return word;
}

// "TCP 10.96.0.1 80"
std::optional<ServerKey> parse_key(std::string_view line) {
  const auto protocol = protocol_named(take_word(line));
  boost::system::error_code error;
  const Address address = boost::asio::ip::make_address(take_word(line), error);
  std::uint16_t port = 0;
  const auto [end, bad] = std::from_chars(line.data(), line.data() + line.size(), port);
  if (!protocol || error || bad != std::errc() || end != line.data() + line.size()) {
    return std::nullopt;
  }
  return ServerKey{address, port, *protocol};
}

bool apply_line(std::string_view line, OwnRecord& record) {
  if (line.empty()) return false;
  const char sign = line.front();
  const auto key = parse_key(line.substr(1));
  if (!key || (sign != '+' && sign != '-')) return false;
  ++record.lines;
  if (sign == '+') {
    record.servers.insert(*key);
  } else {
    record.servers.erase(*key);
  }
  return true;
}

}  // namespace

std::string own_record_heading(std::string_view kernel_and_namespace) {
  return std::string(kMagic).append(kernel_and_namespace).append("\n");
}

void append_own(std::string& text, const ServerKey& key, bool is_ours) {
  text += is_ours ? '+' : '-';
  text += name_of(key.protocol);
  text += ' ';
  text += key.address.to_string();
  text += ' ';
  text += std::to_string(key.port);
  text += '\n';
}

std::optional<OwnRecord> parse_own_record(std::string_view text,
                                          std::string_view kernel_and_namespace) {
  const std::string heading = own_record_heading(kernel_and_namespace);
  if (!text.starts_with(heading)) return std::nullopt;
  text.remove_prefix(heading.size());
  OwnRecord record;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    if (!apply_line(text.substr(0, end), record)) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  return record;
}

}  // namespace ipvs
