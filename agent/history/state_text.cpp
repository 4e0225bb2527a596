// SPDX-License-Identifier: Apache-2.0
#include "agent/history/state_text.hpp"

namespace agent {

std::string state_text(const ipvs::VirtualServer& server) {
  std::string text = server.scheduler;
  if ((server.flags & ipvs::kFlagPersistent) != 0) {
    text += " persistent " + std::to_string(server.timeout_seconds);
  }
  if ((server.flags & ipvs::kFlagOnePacket) != 0) text += " ops";
  if ((server.flags & ipvs::kFlagSched1) != 0) text += " flag-1";
  if ((server.flags & ipvs::kFlagSched2) != 0) text += " flag-2";
  return text;
}

std::string state_text(const ipvs::Destination& destination) {
  return "weight " + std::to_string(destination.weight);
}

}  // namespace agent
