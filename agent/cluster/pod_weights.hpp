// SPDX-License-Identifier: Apache-2.0
//
// The weights that Pods ask for by the label kube-ipvs.io/weight, where endpoints come from
// EndpointSlices, which have none. Pods that ask for none, which manifests deliver, are not kept.
//
// Threading: the agent's io_context thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/mark_and_sweep.hpp"
#include "agent/decide/service_options.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/sink.hpp"

namespace agent {

class PodWeights final : public k8s::Sink<k8s::Pod> {
 public:
  // An endpoint with this address may have another weight now.
  using Changed = std::function<void(const ipvs::Address& address)>;

  explicit PodWeights(Changed changed) : changed_(std::move(changed)) {}

  // nullptr: it asks for none.
  const WeightReading* find(const std::string& ns, const std::string& pod) const {
    if (records_.empty() || pod.empty()) return nullptr;
    const auto found = records_.find({.ns = ns, .name = pod});
    return found == records_.end() ? nullptr : &found->second.weight;
  }

  void list_started() override { sweep_.list_started(); }
  void upsert(k8s::Pod&& pod) override;
  void remove(const k8s::ObjectKey& key) override;
  void keep(const k8s::ObjectKey& key) override { sweep_.keep(records_, key); }
  void list_finished() override {
    sweep_.sweep(records_, [this](const k8s::ObjectKey& key) { remove(key); });
  }

 private:
  struct Record {
    WeightReading weight{};
    std::vector<ipvs::Address> addresses{};
    std::uint32_t mark = 0;
  };

  const Changed changed_;
  std::map<k8s::ObjectKey, Record> records_;
  MarkAndSweep sweep_;
};

}  // namespace agent
