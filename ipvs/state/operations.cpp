// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/operations.hpp"

namespace ipvs {

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

}  // namespace ipvs
