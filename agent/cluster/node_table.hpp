// SPDX-License-Identifier: Apache-2.0
//
// The Nodes of the cluster, as far as this agent needs them: its own Node in full (addresses, Pod
// networks, whether load balancers should send traffic to it), and of every Node the zone (label
// topology.kubernetes.io/zone). An event of another Node that does not change it causes no further
// work. The addresses of other Nodes are passed on and not kept here.
//
// It is filled by two sinks, because an API server is asked for the own Node always, and for the
// others by a request of their own once they are needed. The full list of one sink removes only what
// that sink has delivered.
//
// Threading: the agent's io_context thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/cluster/mark_and_sweep.hpp"
#include "k8s/sink.hpp"

namespace agent {

class NodeTable {
 public:
  struct Events {
    // Something this agent reads of its own Node changed.
    std::function<void()> own_changed;
    // The zone of some Node changed; `own`: that of this Node did. Called at most once per full
    // list, at its end, because a list may add thousands of Nodes.
    std::function<void(bool own)> zones_changed;
    // Another Node was added or changed, with its InternalIPs in their order; none: it was deleted.
    std::function<void(const std::string& node, std::vector<k8s::Address> internal_ips)>
        internal_ips = [](const std::string&, const std::vector<k8s::Address>&) {};
  };
  // `expects_own`: the source has this Node if there is one, as an API server has; a manifest
  // directory may have none.
  NodeTable(std::string own_name, Events events, bool expects_own = false)
      : own_name_(std::move(own_name)), events_(std::move(events)), expects_own_(expects_own) {}
  NodeTable(const NodeTable&) = delete;
  NodeTable& operator=(const NodeTable&) = delete;

  k8s::Sink<k8s::Node>& nodes() { return nodes_sink_; }
  k8s::Sink<k8s::Node>& other_nodes() { return others_sink_; }

  // nullptr: not known.
  const k8s::Node* own() const { return own_ ? &*own_ : nullptr; }
  // "": the Node is not known or has no zone.
  std::string_view zone_of(const std::string& name) const;
  // Whether load balancers should send traffic to this Node (KEP-3836): it exists, is not being
  // deleted and does not have the taint ToBeDeletedByClusterAutoscaler. True if no Node is known at
  // all and none is expected.
  bool eligible() const;

 private:
  class Part : public k8s::Sink<k8s::Node> {
   public:
    explicit Part(NodeTable& table) : table_(table) {}
    void list_started() override;
    void upsert(k8s::Node&& node) override { table_.upsert(std::move(node), *this); }
    using Sink::upsert;
    void remove(const k8s::ObjectKey& key) override { table_.remove(key, *this); }
    void keep(const k8s::ObjectKey& key) override;
    void list_finished() override;
    std::uint32_t mark() const { return sweep_.mark(); }
    bool in_list() const { return in_list_; }

   private:
    bool has(const k8s::ObjectKey& key) const;

    NodeTable& table_;
    MarkAndSweep sweep_;
    bool in_list_ = false;  // it has begun and is not complete
  };
  struct Record {
    const std::string* zone = nullptr;  // in zones_; nullptr: none
    const Part* part = nullptr;         // that delivered it last
    std::uint32_t mark = 0;
  };
  void upsert(k8s::Node&& node, const Part& part);
  void remove(const k8s::ObjectKey& key, const Part& part);
  const std::string* shared_zone(const k8s::Node& node);
  void note_zone_change(bool own, const Part& part);
  void tell_changes();

  const std::string own_name_;
  const Events events_;
  const bool expects_own_;
  std::optional<k8s::Node> own_;
  std::map<k8s::ObjectKey, Record> nodes_;
  std::set<std::string> zones_;  // shared by many Nodes
  Part nodes_sink_{*this};
  Part others_sink_{*this};
  bool zones_changed_ = false;
  bool own_zone_changed_ = false;
};

}  // namespace agent
