// SPDX-License-Identifier: Apache-2.0
//
// The endpoint table: what Pods and EndpointSlices say about the endpoints of Services.
//
// A Service with a selector takes its endpoints from the Pods it selects (source `selector`) or
// from the EndpointSlices made for it (source `endpointslice`); a Service without a selector always
// from EndpointSlices. Every event names the Services whose endpoints it changed, and no others,
// through the Dirty callback.
//
// Only what endpoints need is kept of a Pod; a Pod event that changes none of it is free.
//
// Rules for a Pod as an endpoint are those of the endpoint slice controller (k8s.io/endpointslice
// utils.go): it has an IP and is not Failed or Succeeded; serving = condition Ready; terminating =
// being deleted; ready = serving and not terminating, or publishNotReadyAddresses. A named target
// port is looked up in the Pod's own container ports, and a Pod that lacks it is no endpoint of
// that port.
//
// Hints for nodes and zones (agent/decide/topology.hpp) are worked out with the endpoints, from the zones
// of Nodes as they are then: whoever knows that a zone changed plans those Services anew.
//
// Threading: the agent's io_context thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/cluster/label_index.hpp"
#include "agent/cluster/pool.hpp"
#include "agent/decide/endpoints.hpp"
#include "config/config.hpp"
#include "k8s/sink.hpp"

namespace agent {

using config::EndpointSource;

class EndpointTable {
 public:
  using Dirty = std::function<void(const k8s::ObjectKey& service)>;

  // The zone of a Node, "" where it has none or is not known.
  using ZoneOf = std::function<std::string_view(const std::string& node)>;

  EndpointTable(
      EndpointSource source, std::string node_name, Dirty dirty,
      ZoneOf zone_of = [](const std::string&) { return std::string_view(); });
  ~EndpointTable();

  k8s::Sink<k8s::Pod>& pods();
  k8s::Sink<k8s::EndpointSlice>& slices();

  // A Service appears, or its selector may have changed; and goes.
  void add_service(const k8s::ObjectKey& key, const k8s::Labels& selector);
  void remove_service(const k8s::ObjectKey& key);

  ServiceEndpoints endpoints_of(const k8s::Service& service) const;

  // Whether connections to this address may be left to finish: a Pod that has it still exists, or a
  // slice still lists it, and its deletion time has not passed. With a `timeout` in seconds, so
  // long from the moment its deletion was asked for, or it ceased to be ready, in place of that; a
  // slice says neither. Pods on the host's network share its address: of those only the ones count
  // that `service`, if it is known, selects.
  bool may_drain(const ipvs::Address& address, k8s::UnixSeconds now,
                 std::optional<std::uint32_t> timeout = {},
                 const k8s::ObjectKey& service = {}) const;
  // The Pod that has this address, for labels of metrics; "" where none is known. Of several the
  // one that is an endpoint of `service`.
  std::string_view pod_at(const ipvs::Address& address, const k8s::ObjectKey& service = {}) const;

  // When what made this Service's EndpointSlices change happened, as their controller says
  // (annotation endpoints.kubernetes.io/last-change-trigger-time): each change is given once.
  std::vector<k8s::UnixSeconds> take_triggers(const k8s::ObjectKey& service);

  // Services with an EndpointSlice that has hints for zones: what this node's own zone decides.
  std::set<k8s::ObjectKey> services_with_zone_hints() const;

  std::size_t pod_count() const { return pods_.size(); }
  std::size_t slice_count() const { return slices_.size(); }

 private:
  struct PodRecord;
  struct SliceRecord;
  struct ServiceRecord;
  template <typename T, typename Record>
  class RecordSink;
  using PodSink = RecordSink<k8s::Pod, PodRecord>;
  using SliceSink = RecordSink<k8s::EndpointSlice, SliceRecord>;

  PodRecord record_of(k8s::Pod& pod);  // takes what it can
  void upsert_pod(k8s::Pod&& pod);
  void remove_pod(const k8s::ObjectKey& key);
  void index_addresses(const PodRecord& record, bool present);
  void mark_services_of(const PodRecord& record);
  // The Pods at an address that count for a Service: visit(const PodRecord&) until it returns true.
  template <typename Visit>
  bool any_pod_at(const ipvs::Address& address, const k8s::ObjectKey& service, Visit visit) const;
  void upsert_slice(k8s::EndpointSlice&& slice);
  void remove_slice(const k8s::ObjectKey& key);
  k8s::ObjectKey forget_slice(const k8s::ObjectKey& key);

  bool from_pods(const k8s::Service& service) const;
  void collect_pods(const k8s::Service& service, ServiceEndpoints& all) const;
  void collect_slices(const k8s::Service& service, ServiceEndpoints& all) const;

  const EndpointSource source_;
  const std::string node_name_;
  const Dirty dirty_;
  const ZoneOf zone_of_;

  LabelIndex index_;
  // Before the Pods that hold them.
  Pool<std::string> node_names_;
  Pool<std::vector<k8s::ContainerPort>> port_lists_;
  std::map<k8s::ObjectKey, PodRecord> pods_;
  std::unordered_multimap<ipvs::Address, const PodRecord*> by_address_;
  std::map<k8s::ObjectKey, std::unique_ptr<ServiceRecord>> services_;
  std::map<k8s::ObjectKey, SliceRecord> slices_;
  // Slices of each Service, by the Service's key.
  std::map<k8s::ObjectKey, std::set<k8s::ObjectKey>> slices_of_;
  std::unordered_multimap<ipvs::Address, k8s::ObjectKey> slices_by_address_;
  std::map<k8s::ObjectKey, std::vector<k8s::UnixSeconds>> triggers_;  // not taken yet

  std::unique_ptr<PodSink> pod_sink_;
  std::unique_ptr<SliceSink> slice_sink_;
};

}  // namespace agent
