// SPDX-License-Identifier: Apache-2.0
//
// What the kernel can be asked to change: virtual servers with their destinations, elements of our
// sets, and addresses. Values.
#pragma once

#include <cstdint>

#include "ipvs/state/element.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

enum class ServerCommand : std::uint8_t {
  kNewService,
  kSetService,
  kDelService,
  kNewDest,
  kSetDest,
  kDelDest,
};
// "NEW_SERVICE", as in enum ip_vs_genl_cmd without the prefix.
const char* name_of(ServerCommand command);

// One IPVS command. `server` is complete for NEW/SET_SERVICE, else only its key is used;
// `destination` is complete for NEW/SET_DEST, only its endpoint counts for DEL_DEST.
struct ServerOp {
  ServerCommand command = ServerCommand::kNewService;
  VirtualServer server;
  Destination destination;
  bool operator==(const ServerOp&) const = default;
};

struct ElementOp {
  bool add = true;  // false: delete
  Element element{};
  bool operator==(const ElementOp&) const = default;
};

struct AddressOp {
  bool add = true;  // false: delete
  Address address;
  bool operator==(const AddressOp&) const = default;
};

}  // namespace ipvs
