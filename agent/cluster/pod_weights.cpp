// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/pod_weights.hpp"

namespace agent {

void PodWeights::upsert(k8s::Pod&& pod) {
  Record next{.weight = read_pod_weight(pod.meta),
              .addresses = {pod.pod_ips.begin(), pod.pod_ips.end()},
              .mark = sweep_.mark()};
  if (next.weight == WeightReading{}) return remove(pod.meta.key);
  Record& record = records_[pod.meta.key];
  std::swap(record, next);
  if (record.weight == next.weight && record.addresses == next.addresses) return;
  for (const ipvs::Address& address : record.addresses) changed_(address);
}

void PodWeights::remove(const k8s::ObjectKey& key) {
  const auto last = records_.extract(key);
  if (!last) return;
  for (const ipvs::Address& address : last.mapped().addresses) changed_(address);
}

}  // namespace agent
