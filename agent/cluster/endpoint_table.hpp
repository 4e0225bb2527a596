// SPDX-License-Identifier: Apache-2.0
//
// The endpoints of Services, from Pods and EndpointSlices.
//
// A Service with a selector gets its endpoints from the Pods it selects (source `selector`) or from
// its EndpointSlices (source `endpointslice`), which may change (`auto`); a Service without a
// selector always from EndpointSlices. Every event reports, through the Dirty callback, exactly the Services whose
// endpoints it changed.
//
// Only the fields that endpoints need are kept of a Pod; an event that changes none of them reports
// nothing.
//
// When a Pod is an endpoint is decided as the endpoint slice controller does (k8s.io/endpointslice
// utils.go): it has an IP and is not Failed or Succeeded; serving = condition Ready; terminating =
// being deleted; ready = serving and not terminating, or publishNotReadyAddresses. A named target
// port is searched in the Pod's container ports; a Pod without it is no endpoint of that port.
//
// Hints for nodes and zones (agent/decide/topology.hpp) are computed in endpoints_of(). A Pod is in
// the zone of its label topology.kubernetes.io/zone, which API servers since 1.35 copy from the Node
// (KEP-4742), or else in the zone that its Node has at that moment. The table does not learn of
// changes of zones: its owner must plan the affected Services again.
//
// Threading: the agent's io_context thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/cluster/clocks.hpp"
#include "agent/cluster/label_index.hpp"
#include "agent/cluster/memory.hpp"
#include "agent/cluster/pod_weights.hpp"
#include "agent/cluster/pool.hpp"
#include "agent/decide/endpoint_facts.hpp"
#include "agent/decide/endpoints.hpp"
#include "config/config.hpp"
#include "k8s/sink.hpp"

namespace agent {

using config::EndpointSource;

// The cause of a change of endpoints, and the families of the endpoints concerned.
struct Trigger {
  k8s::UnixSeconds time = 0;
  bool ipv4 = false;
  bool ipv6 = false;
  bool operator==(const Trigger&) const = default;
};

class EndpointTable {
 public:
  using Dirty = std::function<void(const k8s::ObjectKey& service)>;

  // The zone of a Node; "": it has none, or is not known. Asked for the own Node, and for another
  // one only if a Service goes by zones and a Pod there has no label that says its zone.
  using ZoneOf = std::function<std::string_view(const std::string& node)>;

  EndpointTable(
      EndpointSource source, std::string node_name, Dirty dirty,
      ZoneOf zone_of = [](const std::string&) { return std::string_view(); }, Clocks clocks = {},
      Memory* memory = nullptr);
  ~EndpointTable();

  k8s::Sink<k8s::Pod>& pods();
  k8s::Sink<k8s::EndpointSlice>& slices();
  // Pods with a label for their weight, with source `endpointslice`.
  k8s::Sink<k8s::Pod>& weighted_pods() { return weights_; }

  // Where endpoints of Services with a selector come from: kSelector (also for kAuto) or
  // kEndpointSlice.
  EndpointSource source() const { return source_; }
  // Changes that. Precondition: all objects of that source have been delivered. Every Service with a
  // selector is dirty then. Pods that are not the source do not count, but stay until they are listed
  // again: a list may be under way.
  void take_from(EndpointSource source);

  // A Service was added, or its selector may have changed.
  void add_service(const k8s::ObjectKey& key, const k8s::Labels& selector);
  void remove_service(const k8s::ObjectKey& key);

  ServiceEndpoints endpoints_of(const k8s::Service& service) const;
  // The same, and Pods that have finished, with what says why each is an endpoint or none.
  // In steps, because there may be thousands: adds what up to `most` more Pods say, or the next
  // EndpointSlice; false: there are no more. Precondition: changes() is what it was at the first step.
  struct FactsPlace {
    std::size_t pods_seen = 0;
    k8s::ObjectKey slice{};  // the last one
  };
  bool add_facts(const k8s::Service& service, FactsPlace& place, std::size_t most,
                 ServiceFacts& all) const;
  // Counts the changes of Pods, EndpointSlices, weights, selectors and the source; not those of zones.
  std::uint64_t changes() const { return changes_; }

  // Before the first object comes: what DNS needs of Pods and EndpointSlices is kept, too.
  void keep_hostnames() { keeps_hostnames_ = true; }
  // By their addresses, which are those of endpoints_of() where there is a port. A hostname is
  // given as the endpoint slice controller does: to a Pod whose spec.subdomain names the Service.
  std::vector<NamedEndpoint> named_endpoints_of(const k8s::Service& service) const;

  // Whether connections to this address may continue: a Pod with it still exists and its grace
  // period has not passed, or a slice still lists it. `timeout` (seconds) replaces the grace period.
  // Both count from when this node first saw that the Pod is being deleted, the timeout also from
  // when it saw the Pod become unready. EndpointSlices carry neither: with them, only a timeout of 0
  // ends a drain. Pods on the host's network share its
  // address: of those, only the ones that `service`, if known, selects count.
  bool may_drain(const ipvs::Address& address, MonotonicSeconds now,
                 std::optional<std::uint32_t> timeout = {},
                 const k8s::ObjectKey& service = {}) const;
  // Name of the Pod with this address, for labels of metrics; "": none is known. If several have
  // it, an endpoint of `service` comes first.
  std::string_view pod_at(const ipvs::Address& address, const k8s::ObjectKey& service = {}) const;

  // A Pod as endpoints know it: by Pods, or else as EndpointSlices name it.
  struct PodPlace {
    k8s::ObjectKey key{};
    std::vector<ipvs::Address> addresses{};  // ordered, each once
    bool is_here = false;                    // on this node
    bool is_on_host_network = false;         // its address is its Node's; only Pods say it
  };
  // nullopt: none is known of that name, or at that address. Searches all Pods' slices where no Pod
  // is known: for questions of people.
  std::optional<PodPlace> find_pod(const k8s::ObjectKey& pod) const;
  std::optional<PodPlace> find_pod_at(const ipvs::Address& address) const;

  // When what changed this Service's endpoints had happened, by the clock of whoever says it; each is
  // returned once. Of an EndpointSlice, and of a Pod from a manifest, its annotation
  // endpoints.kubernetes.io/last-change-trigger-time; of another Pod the change of its condition
  // Ready; of any Pod that is being deleted, the request.
  std::vector<Trigger> take_triggers(const k8s::ObjectKey& service);

  // Reports the Services that have an endpoint at this address.
  void touch(const ipvs::Address& address);

  // Services with an EndpointSlice that has hints for zones: they depend on the zone of this node.
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

  PodRecord record_of(k8s::Pod& pod);  // moves out of `pod`
  void date(PodRecord& next, const k8s::ObjectKey& key, const PodRecord* before) const;
  void date_deletion(PodRecord& next, const k8s::ObjectKey& key, const PodRecord* before) const;
  void note_drain(const PodRecord& pod, bool by_readiness) const;
  bool note_hostname(const PodRecord& record, k8s::Pod& pod);
  void upsert_pod(k8s::Pod&& pod);
  void remove_pod(const k8s::ObjectKey& key);
  void index_addresses(const PodRecord& record, bool present);
  void mark_services_at(const ipvs::Address& address);
  void mark_services_of(const PodRecord& record);
  // What may be the cause of a Pod's change.
  struct Cause {
    k8s::UnixSeconds readiness_changed = 0;
    bool ready = false;
    bool deleted = false;
  };
  static Cause cause_of(const PodRecord& record);
  void note_trigger(const PodRecord& record, const std::optional<Cause>& before,
                    k8s::UnixSeconds annotated);
  void note_trigger(const k8s::ObjectKey& service, const Trigger& trigger);
  // Calls visit(const PodRecord&) for the Pods at an address that count for `service`, until it
  // returns true; see may_drain().
  template <typename Visit>
  bool any_pod_at(const ipvs::Address& address, const k8s::ObjectKey& service, Visit visit) const;
  void upsert_slice(k8s::EndpointSlice&& slice);
  void remove_slice(const k8s::ObjectKey& key);
  k8s::ObjectKey forget_slice(const k8s::ObjectKey& key);

  bool from_pods(const k8s::Service& service) const;
  bool has_pods(const k8s::ObjectKey& service) const;
  // They call visit() for each candidate, with the index of the Service's port and what it is from.
  // The first does so in steps, see LabelIndex::pods_of().
  template <typename Visit>
  std::size_t collect_pods(const k8s::Service& service, bool with_finished, std::size_t seen,
                           std::size_t most, Visit visit) const;
  template <typename Visit>
  void collect_slice(const k8s::Service& service, const k8s::ObjectKey& slice, Visit visit) const;
  template <typename Visit>
  void collect_slices(const k8s::Service& service, Visit visit) const;
  std::vector<NamedEndpoint> named_pods_of(const k8s::Service& service) const;
  std::vector<NamedEndpoint> named_slices_of(const k8s::Service& service) const;
  // The port on which a Pod serves a Service port; 0: it does not.
  static std::uint16_t target_port(const k8s::ServicePort& port,
                                   const std::vector<k8s::ContainerPort>& declared);

  EndpointSource source_;
  std::uint64_t changes_ = 0;
  const std::string node_name_;
  const Dirty dirty_;
  const ZoneOf zone_of_;
  const Clocks clocks_;
  Memory* const memory_;  // nullptr: durations begin anew with each start

  LabelIndex index_;
  // Declared before the Pods that hold handles of them.
  Pool<std::string> names_;  // of Nodes and zones
  Pool<std::vector<k8s::ContainerPort>> port_lists_;
  std::map<k8s::ObjectKey, PodRecord> pods_;
  std::unordered_multimap<ipvs::Address, const PodRecord*> by_address_;
  struct Hostname {
    std::string hostname, subdomain;
    bool operator==(const Hostname&) const = default;
  };
  bool keeps_hostnames_ = false;
  std::unordered_map<const PodRecord*, Hostname> hostnames_;  // of Pods with both
  std::map<k8s::ObjectKey, std::unique_ptr<ServiceRecord>> services_;
  std::map<k8s::ObjectKey, SliceRecord> slices_;
  // Slices of each Service, by the Service's key.
  std::map<k8s::ObjectKey, std::set<k8s::ObjectKey>> slices_of_;
  std::unordered_multimap<ipvs::Address, k8s::ObjectKey> slices_by_address_;
  std::map<k8s::ObjectKey, std::vector<Trigger>> triggers_;  // by Service, not taken yet

  std::unique_ptr<PodSink> pod_sink_;
  std::unique_ptr<SliceSink> slice_sink_;
  PodWeights weights_;
};

}  // namespace agent
