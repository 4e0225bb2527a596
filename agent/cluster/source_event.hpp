// SPDX-License-Identifier: Apache-2.0
//
// The event of a source that is being taken in: what it was about, for the history.
#pragma once

#include <string>

#include "k8s/types.hpp"

namespace agent {

struct SourceEvent {
  const char* kind = "";  // "Pod"; "": none is being taken in
  const char* verb = "";  // "changed", "deleted", "listed"
  k8s::ObjectKey key{};
  std::string resource_version{};  // "" of one that is deleted
};

}  // namespace agent
