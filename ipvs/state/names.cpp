// SPDX-License-Identifier: Apache-2.0
//
// How the values of ipvs/state/model.hpp and ipvs/state/kernel.hpp are written, ordered and hashed.
#include <boost/container_hash/hash.hpp>
#include <boost/throw_exception.hpp>
#include <cstdio>
#include <stdexcept>
#include <system_error>

#include "ipvs/state/kernel.hpp"
#include "ipvs/state/model.hpp"
#include "ipvs/state/table.hpp"

namespace ipvs {
namespace {

const char* upper_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kSctp:
      return "SCTP";
  }
  return "?";
}

// As nftables writes them.
const char* lower_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kSctp:
      return "sctp";
  }
  return "?";
}

std::string address_and_port(const Address& address, std::uint16_t port) {
  const std::string host = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
  return host + ":" + std::to_string(port);
}

}  // namespace

std::string ServerKey::text() const {
  if (fwmark != 0) {
    char mark[16];
    std::snprintf(mark, sizeof(mark), "0x%x", fwmark);
    return std::string("FWM ") + mark + (address.is_v4() ? " IPv4" : " IPv6");
  }
  return std::string(upper_name(protocol)) + " " + address_and_port(address, port);
}

std::string Endpoint::text() const { return address_and_port(address, port); }

// As in the table: "cluster-ips-4 10.96.0.1 . tcp . 80",
// "short-cuts-4 192.0.2.1 . tcp . 80 : 10.96.0.1 . 80".
std::string Element::text() const {
  const TableSet* set = set_of(*this);
  if (!set) return "element without a set";
  std::string text(set->name);
  const char* separator = " ";
  const auto append = [&](const std::string& component) {
    text += separator + component;
    separator = " . ";
  };
  if (set->has_address) append(address.to_string());
  if (set->has_port) {
    append(lower_name(protocol));
    append(std::to_string(port));
  }
  if (kind == ElementKind::kHairpin) append(address.to_string());
  if (kind == ElementKind::kAllowedSource) {
    append(other_address.to_string() + "/" + std::to_string(other_number));
  }
  if (set->data_length != 0) {
    text += " : " + other_address.to_string() + " . " + std::to_string(other_number);
  }
  return text;
}

bool Element::same_key(const Element& other) const {
  const ElementKeyLess less;
  return !less(*this, other) && !less(other, *this);
}

std::size_t hash_value(const ServerKey& key) {
  std::size_t seed = hash_value(key.address);
  boost::hash_combine(seed, key.port);
  boost::hash_combine(seed, static_cast<unsigned>(key.protocol));
  boost::hash_combine(seed, key.fwmark);
  return seed;
}

std::size_t hash_value(const Endpoint& endpoint) {
  std::size_t seed = hash_value(endpoint.address);
  boost::hash_combine(seed, endpoint.port);
  return seed;
}

const char* name_of(ServerCommand command) {
  switch (command) {
    case ServerCommand::kNewService:
      return "NEW_SERVICE";
    case ServerCommand::kSetService:
      return "SET_SERVICE";
    case ServerCommand::kDelService:
      return "DEL_SERVICE";
    case ServerCommand::kNewDest:
      return "NEW_DEST";
    case ServerCommand::kSetDest:
      return "SET_DEST";
    case ServerCommand::kDelDest:
      return "DEL_DEST";
  }
  return "?";
}

std::string KernelError::text() const {
  if (error_number == 0) return what;
  if (error_number == kUnknownOutcome) return what + ": the kernel's reply was lost";
  return what + ": " + std::generic_category().message(error_number);
}

void throw_exception_from_error(const KernelError& error, const boost::source_location& where) {
  boost::throw_exception(std::runtime_error(error.text()), where);
}

}  // namespace ipvs
