// SPDX-License-Identifier: Apache-2.0
//
// What the endpoint table keeps of Pods, Services and EndpointSlices. Private to its files.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/cluster/endpoint_table.hpp"
#include "agent/decide/service_options.hpp"

namespace agent {

// What is kept of a Pod. `key` points to the key in the map.
struct EndpointTable::PodRecord {
  const k8s::ObjectKey* key = nullptr;
  LabelIndex::Member member{};
  Pool<std::string>::Handle node{};
  Pool<std::string>::Handle zone{};  // of its label; "": it has none
  std::vector<ipvs::Address> addresses{};
  Pool<std::vector<k8s::ContainerPort>>::Handle ports{};
  k8s::UnixSeconds readiness_changed = 0;  // as the Pod says; 0: it does not
  // As this node saw it: when readiness changed (0: unknown), when the deletion came, and when its
  // grace period ends. Not compared.
  MonotonicSeconds ready_since = 0;
  MonotonicSeconds deleted_since = 0;
  MonotonicSeconds grace_ends = 0;
  std::uint32_t deletion_grace = 0;
  std::uint32_t deletion_requested = 0;  // Unix time, as the Pod says; a shorter grace keeps it
  std::uint32_t weight = kDefaultWeight;
  std::uint32_t mark = 0;
  bool ready = false;
  bool deleted = false;
  BadWeight bad_weight = BadWeight::kNone;
  bool host_network = false;
  bool finished = false;  // Failed or Succeeded: never an endpoint again

  // Compares everything that the Pod says, except labels.
  bool same_endpoint_as(const PodRecord& o) const {
    return node == o.node && addresses == o.addresses && ports == o.ports && deleted == o.deleted &&
           deletion_grace == o.deletion_grace && weight == o.weight && bad_weight == o.bad_weight &&
           readiness_changed == o.readiness_changed && ready == o.ready &&
           host_network == o.host_network && finished == o.finished;
  }
};

struct EndpointTable::ServiceRecord {
  const k8s::ObjectKey* key = nullptr;
  LabelIndex::Member member{};
  k8s::Labels selector{};
};

struct EndpointTable::SliceRecord {
  k8s::EndpointSlice slice;
  WeightReading weight;  // of all its endpoints
  std::uint32_t mark = 0;
};

}  // namespace agent
