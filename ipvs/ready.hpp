// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "ipvs/state/kernel_error.hpp"

namespace ipvs {

// The client in `slot`; opens it if it is not open yet.
template <typename Client>
Result<Client*> ready(std::optional<Client>& slot) {
  if (!slot) {
    auto opened = Client::open();
    if (!opened) return opened.error();
    slot.emplace(std::move(*opened));
  }
  return &*slot;
}

}  // namespace ipvs
