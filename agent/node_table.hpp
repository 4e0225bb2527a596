// SPDX-License-Identifier: Apache-2.0
//
// The Nodes of the cluster, as far as this agent cares: its own addresses, and whether traffic
// should still be sent to it.
//
// Threading: the agent's io_context thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/mark_and_sweep.hpp"
#include "k8s/sink.hpp"

namespace agent {

class NodeTable : public k8s::Sink<k8s::Node> {
 public:
  // `own_changed` is called when something this agent reads of its own Node changed.
  NodeTable(std::string own_name, std::function<void()> own_changed)
      : own_name_(std::move(own_name)), own_changed_(std::move(own_changed)) {}

  void list_started() override { sweep_.list_started(); }
  void upsert(k8s::Node node) override;
  void remove(const k8s::ObjectKey& key) override;
  void keep(const k8s::ObjectKey& key) override;
  void list_finished() override;

  // nullptr until it is known.
  const k8s::Node* own() const;
  // As the cluster's autoscaler and load balancers understand it (KEP-3836): the Node exists, is
  // not being deleted and does not carry the taint ToBeDeletedByClusterAutoscaler. True while no
  // Node is known at all, as with a manifest directory that has none.
  bool eligible() const;

 private:
  struct Record {
    k8s::Node node;
    std::uint32_t mark = 0;
  };
  const std::string own_name_;
  const std::function<void()> own_changed_;
  std::map<k8s::ObjectKey, Record> nodes_;
  MarkAndSweep sweep_;
};

}  // namespace agent
