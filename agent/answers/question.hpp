// SPDX-License-Identifier: Apache-2.0
//
// What `explain` and `next` are asked: from the words of a command line or of a URL. Pure.
//
//   to        SERVICE[:PORT]   ns/name, or name with the namespace given apart; the port's name or
//                              number; without one: all of its ports
//             IP:PORT          10.96.0.1:80, [fd00::1]:80
//             PORT[/PROTOCOL]  a node port, at each address that serves node ports
//   from      IP | POD         ns/name, or name; "": any client
//   protocol  tcp | udp | sctp; "": those that are served there
//
// A port may be followed by its protocol: "dns:53/udp".
//
// Errors: BadQuestion names the argument and what is allowed.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

struct QuestionText {
  std::string_view to{};
  std::string_view from{};
  std::string_view protocol{};
  std::string_view ns{};  // of names without one; "": default
};

struct ToService {
  k8s::ObjectKey service{};
  std::uint16_t port = 0;   // 0: none was given
  std::string port_name{};  // "": none was given
  bool operator==(const ToService&) const = default;
};
struct ToNodePort {
  std::uint16_t port = 0;
  bool operator==(const ToNodePort&) const = default;
};
using To = std::variant<ToService, ipvs::Endpoint, ToNodePort>;
using From = std::variant<std::monostate, ipvs::Address, k8s::ObjectKey>;

struct Question {
  To to{};
  From from{};
  std::optional<ipvs::Protocol> protocol{};
  bool operator==(const Question&) const = default;
};

// One line, without control characters.
struct BadQuestion {
  std::string what{};
  bool is_missing = false;  // what it names does not exist; else it is wrong in itself
};

[[nodiscard]] boost::system::result<Question, BadQuestion> parse_question(const QuestionText& text);

}  // namespace agent
