// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/question.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "config/address.hpp"
#include "config/printable.hpp"
#include "config/values.hpp"

namespace agent {
namespace {

constexpr std::string_view kToForms = "SERVICE[:PORT], IP:PORT, [IPv6]:PORT or NODEPORT[/PROTOCOL]";
constexpr std::string_view kFromForms = "an IP address or a Pod (name or namespace/name)";
constexpr std::string_view kProtocols = "tcp, udp or sctp";
constexpr std::size_t kLongestName = 253;  // of an object (DNS subdomain)
constexpr std::size_t kLongestPortName = 63;

template <typename T>
using Parsed = boost::system::result<T, BadQuestion>;

BadQuestion fault(std::string_view argument, std::string_view text, std::string_view why) {
  return {.what = std::string(argument) + " " + config::printable_quoted(text) + " " +
                  std::string(why)};
}

BadQuestion neither(std::string_view argument, std::string_view text, std::string_view forms) {
  return fault(argument, text, "is none of: " + std::string(forms));
}

bool is_name(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && text.front() != '-' && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return (std::isalnum(c) != 0 && std::isupper(c) == 0 && c < 0x80) || c == '-' ||
                  c == '.';
         });
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  const auto number = config::parse_number(text, 1, 65535);
  if (!number) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

std::optional<ipvs::Protocol> protocol_of(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return ipvs::protocol_named(upper);
}

std::string_view namespace_of(const QuestionText& text) {
  return text.ns.empty() ? std::string_view("default") : text.ns;
}

std::optional<k8s::ObjectKey> object_of(std::string_view text, std::string_view ns) {
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    ns = text.substr(0, slash);
    text.remove_prefix(slash + 1);
  }
  if (!is_name(ns, kLongestName) || !is_name(text, kLongestName)) return std::nullopt;
  return k8s::ObjectKey{.ns = std::string(ns), .name = std::string(text)};
}

// Takes "/udp" off the end: of a port, or of a number alone.
std::optional<ipvs::Protocol> take_protocol(std::string_view& text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view before = text.substr(0, slash);
  if (!is_number(before) && before.find(':') == std::string_view::npos) return std::nullopt;
  const auto protocol = protocol_of(text.substr(slash + 1));
  if (protocol) text = before;
  return protocol;
}

Parsed<To> parse_address_and_port(std::string_view whole, std::string_view address,
                                  std::string_view port) {
  const auto read = config::read_address(address);
  const auto number = port_of(port);
  if (!read) return neither("to", whole, kToForms);
  if (!number) return fault("to", whole, "has no port from 1 to 65535 after the address");
  return To(ipvs::Endpoint{*read, *number});
}

Parsed<To> parse_to(std::string_view text, const QuestionText& all) {
  if (text.empty()) return BadQuestion{.what = "to is missing: " + std::string(kToForms)};
  if (is_number(text)) {
    const auto port = port_of(text);
    if (!port) return fault("to", text, "is no port: 1 to 65535");
    return To(ToNodePort{*port});
  }
  if (text.front() == '[') {
    const std::size_t end = text.find("]:");
    if (end == std::string_view::npos) return neither("to", text, kToForms);
    return parse_address_and_port(text, text.substr(1, end - 1), text.substr(end + 2));
  }
  if (const auto alone = config::read_address(text)) {
    return fault("to", text,
                 alone->is_v6() ? "has no port: write [IPv6]:PORT" : "has no port: write IP:PORT");
  }
  const std::size_t colon = text.rfind(':');
  const std::string_view name = text.substr(0, colon);
  const std::string_view port =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (colon != std::string_view::npos && config::read_address(name)) {
    if (name.find(':') != std::string_view::npos)
      return fault("to", text, "has an IPv6 address without brackets: write [IPv6]:PORT");
    return parse_address_and_port(text, name, port);
  }
  const auto service = object_of(name, namespace_of(all));
  if (!service) return neither("to", text, kToForms);
  ToService to{.service = *service};
  if (colon == std::string_view::npos) return To(to);
  if (is_number(port)) {
    const auto number = port_of(port);
    if (!number) return fault("to", text, "has no port from 1 to 65535");
    to.port = *number;
  } else if (is_name(port, kLongestPortName)) {
    to.port_name = port;
  } else {
    return fault("to", text, "has neither the number nor the name of a port after the colon");
  }
  return To(to);
}

Parsed<From> parse_from(std::string_view text, const QuestionText& all) {
  if (text.empty()) return From();
  if (const auto address = config::read_address(text)) return From(ipvs::Address(*address));
  const auto pod = object_of(text, namespace_of(all));
  if (!pod) return neither("from", text, kFromForms);
  return From(*pod);
}

}  // namespace

boost::system::result<Question, BadQuestion> parse_question(const QuestionText& text) {
  if (!text.ns.empty() && !is_name(text.ns, kLongestName))
    return fault("namespace", text.ns, "is no name of a namespace");
  Question question;
  std::string_view words = text.to;
  question.protocol = take_protocol(words);
  const auto to = parse_to(words, text);
  if (!to) return to.error();
  question.to = *to;
  const auto from = parse_from(text.from, text);
  if (!from) return from.error();
  question.from = *from;
  if (text.protocol.empty()) return question;
  const auto protocol = protocol_of(text.protocol);
  if (!protocol) return neither("protocol", text.protocol, kProtocols);
  if (question.protocol && *question.protocol != *protocol)
    return fault("protocol", text.protocol, "is another than that of \"to\"");
  question.protocol = protocol;
  return question;
}

}  // namespace agent
