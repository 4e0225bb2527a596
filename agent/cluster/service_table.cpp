// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/service_table.hpp"

#include <utility>

namespace agent {

void ServiceTable::upsert(k8s::Service&& service) {
  // A status write changes the version; it is no change of the Service.
  service.meta.resource_version.clear();
  auto [place, added] = services_.try_emplace(service.meta.key);
  place->second.mark = sweep_.mark();
  if (!added && place->second.service == service) return;
  place->second.service = std::move(service);
  events_.changed(place->second.service);
}

void ServiceTable::remove(const k8s::ObjectKey& key) {
  const auto found = services_.find(key);
  if (found == services_.end()) return;
  const k8s::Service last = std::move(found->second.service);  // `key` may point into the record
  services_.erase(found);
  events_.removed(last);
}

void ServiceTable::list_finished() {
  sweep_.sweep(services_, [this](const k8s::ObjectKey& key) { remove(key); });
}

const k8s::Service* ServiceTable::find(const k8s::ObjectKey& key) const {
  const auto found = services_.find(key);
  return found == services_.end() ? nullptr : &found->second.service;
}

}  // namespace agent
