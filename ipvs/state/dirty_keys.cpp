// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/dirty_keys.hpp"

namespace ipvs {

void DirtyKeys::merge(DirtyKeys other) {
  servers.merge(other.servers);
  addresses.merge(other.addresses);
  elements.merge(other.elements);
}

}  // namespace ipvs
