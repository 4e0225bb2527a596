// SPDX-License-Identifier: Apache-2.0
//
// The Nodes of the cluster, as far as this agent cares: its own addresses, whether traffic should
// still be sent to it, and in which zone each Node is (label topology.kubernetes.io/zone). Of other
// Nodes zone and addresses are all that is kept, and an event that leaves them as they were costs
// nothing more.
//
// Threading: the agent's io_context thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster/mark_and_sweep.hpp"
#include "k8s/sink.hpp"

namespace agent {

class NodeTable : public k8s::Sink<k8s::Node> {
 public:
  struct Events {
    // Something this agent reads of its own Node changed.
    std::function<void()> own_changed;
    // Some Node is in another zone than it was; `own`: this one is. Once per full list, at its end:
    // thousands of Nodes may come to be known by it.
    std::function<void(bool own)> zones_changed;
    // Some Node has other addresses than it had; batched in the same way.
    std::function<void()> addresses_changed = [] {};
  };
  NodeTable(std::string own_name, Events events)
      : own_name_(std::move(own_name)), events_(std::move(events)) {}

  void list_started() override;
  void upsert(k8s::Node&& node) override;
  using Sink::upsert;
  void remove(const k8s::ObjectKey& key) override;
  void keep(const k8s::ObjectKey& key) override;
  void list_finished() override;

  // nullptr until it is known.
  const k8s::Node* own() const { return own_ ? &*own_ : nullptr; }
  // "" where the Node is not known or says no zone.
  std::string_view zone_of(const std::string& name) const;
  // The Node, not this one, that has the address; "": none has.
  std::string_view other_with(const k8s::Address& address) const;
  // As the cluster's autoscaler and load balancers understand it (KEP-3836): the Node exists, is
  // not being deleted and does not carry the taint ToBeDeletedByClusterAutoscaler. True while no
  // Node is known at all, as with a manifest directory that has none.
  bool eligible() const;

 private:
  struct Record {
    const std::string* zone = nullptr;  // in zones_; nullptr: none
    std::vector<k8s::Address> addresses{};
    std::uint32_t mark = 0;
  };
  const std::string* shared_zone(const k8s::Node& node);
  void note_zone_change(bool own);
  void tell_changes();
  bool index_addresses(const k8s::ObjectKey& key, Record& record, const k8s::Node* node);

  const std::string own_name_;
  const Events events_;
  std::optional<k8s::Node> own_;
  std::map<k8s::ObjectKey, Record> nodes_;
  std::set<std::string> zones_;  // shared by many Nodes
  MarkAndSweep sweep_;
  bool in_list_ = false;
  bool zones_changed_ = false;
  bool own_zone_changed_ = false;
  bool addresses_changed_ = false;
  std::map<k8s::Address, std::string> by_address_;  // of other Nodes
};

}  // namespace agent
