// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/endpoint_table.hpp"

#include <algorithm>
#include <utility>

#include "agent/cluster/mark_and_sweep.hpp"
#include "agent/decide/service_options.hpp"
#include "agent/decide/topology.hpp"
#include "k8s/decode/values.hpp"

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
  bool bad_weight = false;
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
  std::uint32_t mark = 0;
};

// Passes the calls of a source to the table, which keeps the objects in `records`.
template <typename T, typename Record>
class EndpointTable::RecordSink : public k8s::Sink<T> {
 public:
  using Records = std::map<k8s::ObjectKey, Record>;
  using Upsert = void (EndpointTable::*)(T&&);
  using Remove = void (EndpointTable::*)(const k8s::ObjectKey&);

  RecordSink(EndpointTable& table, Records& records, Upsert do_upsert, Remove do_remove)
      : table_(table), records_(records), upsert_(do_upsert), remove_(do_remove) {}

  void list_started() override { sweep_.list_started(); }
  void upsert(T&& object) override { (table_.*upsert_)(std::move(object)); }
  void remove(const k8s::ObjectKey& key) override { (table_.*remove_)(key); }
  void keep(const k8s::ObjectKey& key) override { sweep_.keep(records_, key); }
  void list_finished() override {
    sweep_.sweep(records_, [this](const k8s::ObjectKey& key) { remove(key); });
  }
  std::uint32_t mark() const { return sweep_.mark(); }

 private:
  EndpointTable& table_;
  Records& records_;
  const Upsert upsert_;
  const Remove remove_;
  MarkAndSweep sweep_;
};

EndpointTable::EndpointTable(EndpointSource source, std::string node_name, Dirty dirty,
                             ZoneOf zone_of, Clocks clocks, Memory* memory)
    : source_(source),
      node_name_(std::move(node_name)),
      dirty_(std::move(dirty)),
      zone_of_(std::move(zone_of)),
      clocks_(std::move(clocks)),
      memory_(memory),
      pod_sink_(std::make_unique<PodSink>(*this, pods_, &EndpointTable::upsert_pod,
                                          &EndpointTable::remove_pod)),
      slice_sink_(std::make_unique<SliceSink>(*this, slices_, &EndpointTable::upsert_slice,
                                              &EndpointTable::remove_slice)) {}

EndpointTable::~EndpointTable() = default;

k8s::Sink<k8s::Pod>& EndpointTable::pods() { return *pod_sink_; }
k8s::Sink<k8s::EndpointSlice>& EndpointTable::slices() { return *slice_sink_; }

void EndpointTable::add_service(const k8s::ObjectKey& key, const k8s::Labels& selector) {
  auto [place, added] = services_.try_emplace(key);
  if (!added) {
    if (place->second->selector == selector) return;
    index_.remove_service(place->second->member);
  } else {
    place->second = std::make_unique<ServiceRecord>();
  }
  ServiceRecord& record = *place->second;
  record.key = &place->first;
  record.selector = selector;
  record.member.id = &record;
  // In `endpointslice` mode the slice controller does the matching.
  if (source_ == EndpointSource::kSelector) index_.add_service(record.member, key.ns, selector);
}

void EndpointTable::remove_service(const k8s::ObjectKey& key) {
  const auto found = services_.find(key);
  if (found == services_.end()) return;
  index_.remove_service(found->second->member);
  services_.erase(found);
}

namespace {

std::string zone_label(const k8s::Labels& labels) {
  const auto zone = labels.find("topology.kubernetes.io/zone");
  return zone == labels.end() ? std::string() : zone->second;
}

}  // namespace

EndpointTable::PodRecord EndpointTable::record_of(k8s::Pod& pod) {
  PodRecord record;
  record.node = names_.hold(std::move(pod.node_name));
  record.zone = names_.hold(zone_label(pod.meta.labels));
  record.addresses.assign(pod.pod_ips.begin(), pod.pod_ips.end());
  record.ports = port_lists_.hold(std::move(pod.ports));
  record.deleted = pod.meta.deletion_timestamp.has_value();
  record.deletion_grace = pod.meta.deletion_grace_seconds;
  record.deletion_requested = static_cast<std::uint32_t>(pod.meta.deletion_timestamp.value_or(0) -
                                                         pod.meta.deletion_grace_seconds);
  record.readiness_changed = pod.ready_since;
  record.weight = read_weight(pod.meta.annotations, &record.bad_weight).value_or(kDefaultWeight);
  record.mark = pod_sink_->mark();
  record.ready = pod.ready;
  record.host_network = pod.host_network;
  record.finished = pod.phase == k8s::PodPhase::kFailed || pod.phase == k8s::PodPhase::kSucceeded;
  return record;
}

void EndpointTable::date_deletion(PodRecord& next, const k8s::ObjectKey& key,
                                  const PodRecord* before) const {
  std::optional<Memory::Deletion> known;
  if (before && before->deleted) {
    known = {.requested = next.deletion_requested,
             .grace = before->deletion_grace,
             .since = before->deleted_since,
             .ends = before->grace_ends};
  } else if (memory_) {
    known = memory_->deletion_of(key, next.deletion_requested);
  }
  next.deleted_since = known ? known->since : clocks_.monotonic();
  // A grace period that is shortened later is a cause of its own.
  const bool same = known && known->grace == next.deletion_grace;
  next.grace_ends = same ? known->ends : clocks_.monotonic() + next.deletion_grace;
}

// Says when this node saw what `next` says, given what was known `before`; nullptr: nothing.
void EndpointTable::date(PodRecord& next, const k8s::ObjectKey& key,
                         const PodRecord* before) const {
  if (next.deleted) date_deletion(next, key, before);
  // Another Pod took its name.
  if (memory_ && before && before->deleted && !next.deleted) memory_->forget_pod(key);
  if (memory_ && next.ready) memory_->is_ready(key);
  if (next.readiness_changed == 0) return;
  if (before && before->readiness_changed == next.readiness_changed &&
      before->ready == next.ready) {
    next.ready_since = before->ready_since;
    return;
  }
  // Of a Pod that is new to us, it may have been long ago: after a restart, slow starts must not
  // begin again. A change that we saw happened now, whatever its timestamp.
  if (memory_ && !before && !next.ready) {
    if (const auto since = memory_->unready_since(key, next.readiness_changed)) {
      next.ready_since = *since;
      return;
    }
  }
  const auto age = before ? 0 : std::max<std::int64_t>(0, clocks_.wall() - next.readiness_changed);
  next.ready_since = clocks_.monotonic() - age;
  if (next.ready_since == 0) next.ready_since = -1;
}

void EndpointTable::upsert_pod(k8s::Pod&& pod) {
  PodRecord next = record_of(pod);
  // Lists are nearly ordered by key, so the end is a good hint for where the next one belongs.
  const std::size_t known = pods_.size();
  const auto place = pods_.try_emplace(pods_.end(), pod.meta.key);
  const bool added = pods_.size() != known;
  PodRecord& record = place->second;
  // Most events change nothing but readiness: then the indices stay as they are.
  const bool keeps_labels =
      !added && index_.carries(record.member, place->first.ns, pod.meta.labels);
  if (keeps_labels && record.same_endpoint_as(next)) {
    record.mark = next.mark;
    return;
  }
  const bool keeps_addresses =
      !added && record.addresses == next.addresses && record.finished == next.finished;
  // With the same labels these are the Services that are marked below.
  if (!keeps_labels) mark_services_of(record);
  if (!keeps_addresses) index_addresses(record, false);
  if (!keeps_labels) index_.remove_pod(record.member);
  date(next, place->first, added ? nullptr : &record);
  next.key = &place->first;
  next.member = std::move(record.member);
  next.member.id = &record;
  record = std::move(next);
  if (!keeps_labels) index_.add_pod(record.member, place->first.ns, pod.meta.labels);
  if (!keeps_addresses) index_addresses(record, true);
  mark_services_of(record);
}

void EndpointTable::remove_pod(const k8s::ObjectKey& key) {
  const auto found = pods_.find(key);
  if (found == pods_.end()) return;
  mark_services_of(found->second);
  if (memory_) memory_->forget_pod(key);
  index_addresses(found->second, false);
  index_.remove_pod(found->second.member);
  pods_.erase(found);
}

void EndpointTable::index_addresses(const PodRecord& record, bool present) {
  // The status of a finished Pod keeps its addresses, which may be given to other Pods.
  if (record.finished) return;
  for (const ipvs::Address& address : record.addresses) {
    if (present) {
      by_address_.emplace(address, &record);
      continue;
    }
    const auto [first, last] = by_address_.equal_range(address);
    const auto found =
        std::find_if(first, last, [&](const auto& e) { return e.second == &record; });
    if (found != last) by_address_.erase(found);
  }
}

void EndpointTable::mark_services_of(const PodRecord& record) {
  index_.services_of(record.member, [&](const LabelIndex::Member& service) {
    dirty_(*static_cast<const ServiceRecord*>(service.id)->key);
  });
}

namespace {

std::optional<k8s::UnixSeconds> trigger_of(const k8s::EndpointSlice& slice) {
  const auto found =
      slice.meta.annotations.find("endpoints.kubernetes.io/last-change-trigger-time");
  if (found == slice.meta.annotations.end()) return std::nullopt;
  const auto time = k8s::parse_time(found->second);
  return time ? std::optional(*time) : std::nullopt;
}

}  // namespace

void EndpointTable::upsert_slice(k8s::EndpointSlice&& slice) {
  const k8s::ObjectKey key = slice.meta.key;
  const k8s::ObjectKey service{key.ns, slice.service_name};
  const auto found = slices_.find(key);
  if (found != slices_.end()) {
    const k8s::EndpointSlice& old = found->second.slice;
    if (old.service_name == slice.service_name && old.endpoints == slice.endpoints &&
        old.ports == slice.ports) {
      found->second.mark = slice_sink_->mark();
      return;
    }
    const k8s::ObjectKey before = forget_slice(key);
    if (before != service) dirty_(before);
  }
  if (slice.service_name.empty()) return;
  if (const auto trigger = trigger_of(slice)) triggers_[service].push_back(*trigger);
  slice.meta.annotations.clear();
  for (const auto& endpoint : slice.endpoints) slices_by_address_.emplace(endpoint.address, key);
  slices_of_[service].insert(key);
  slices_.insert_or_assign(key, SliceRecord{std::move(slice), slice_sink_->mark()});
  dirty_(service);
}

std::vector<k8s::UnixSeconds> EndpointTable::take_triggers(const k8s::ObjectKey& service) {
  auto taken = triggers_.extract(service);
  return taken ? std::move(taken.mapped()) : std::vector<k8s::UnixSeconds>();
}

void EndpointTable::remove_slice(const k8s::ObjectKey& key) {
  if (slices_.contains(key)) dirty_(forget_slice(key));
}

// Precondition: the slice is known. Returns its Service.
k8s::ObjectKey EndpointTable::forget_slice(const k8s::ObjectKey& key) {
  const auto found = slices_.find(key);
  const k8s::EndpointSlice& slice = found->second.slice;
  for (const auto& endpoint : slice.endpoints) {
    const auto [first, last] = slices_by_address_.equal_range(endpoint.address);
    const auto entry = std::find_if(first, last, [&](const auto& e) { return e.second == key; });
    if (entry != last) slices_by_address_.erase(entry);
  }
  k8s::ObjectKey service{key.ns, slice.service_name};
  const auto list = slices_of_.find(service);
  list->second.erase(key);
  if (list->second.empty()) slices_of_.erase(list);
  slices_.erase(found);
  return service;
}

bool EndpointTable::from_pods(const k8s::Service& service) const {
  return source_ == EndpointSource::kSelector && !service.selector.empty();
}

ServiceEndpoints EndpointTable::endpoints_of(const k8s::Service& service) const {
  ServiceEndpoints all(service.ports.size());
  if (from_pods(service)) {
    collect_pods(service, all);
  } else {
    collect_slices(service, all);
  }
  return all;
}

namespace {

// The port on which a Pod serves a Service port; 0: it does not.
std::uint16_t target_port(const k8s::ServicePort& port,
                          const std::vector<k8s::ContainerPort>& declared) {
  if (const auto* number = std::get_if<std::uint16_t>(&port.target_port)) {
    return *number != 0 ? *number : port.port;
  }
  const std::string& name = std::get<std::string>(port.target_port);
  const auto found = std::find_if(declared.begin(), declared.end(), [&](const auto& candidate) {
    return candidate.name == name && candidate.protocol == port.protocol;
  });
  return found == declared.end() ? std::uint16_t{0} : found->container_port;
}

}  // namespace

void EndpointTable::collect_pods(const k8s::Service& service, ServiceEndpoints& all) const {
  const auto record = services_.find(service.meta.key);
  if (record == services_.end()) return;
  const bool by_node = service.traffic_distribution == "PreferSameNode";
  const std::string_view own_zone =
      service.traffic_distribution.empty() ? std::string_view() : zone_of_(node_name_);
  const bool by_zone = !own_zone.empty();  // without one, no hint for a zone applies
  index_.pods_of(record->second->member, [&](const LabelIndex::Member& member) {
    const PodRecord& pod = *static_cast<const PodRecord*>(member.id);
    if (pod.finished) return;
    ServiceEndpoint endpoint;
    endpoint.serving = pod.ready;
    endpoint.terminating = pod.deleted;
    endpoint.weight = pod.weight;
    endpoint.bad_weight = pod.bad_weight;
    endpoint.ready_since = pod.ready ? pod.ready_since : 0;
    endpoint.ready = service.publish_not_ready_addresses || (pod.ready && !endpoint.terminating);
    // Without a node name, which manifests may omit, a Pod may be on any node: treat it as local.
    endpoint.local = pod.node->empty() || *pod.node == node_name_;
    endpoint.pod = pod.key->name;
    if (by_node) endpoint.node_hint = hint_of(*pod.node, node_name_);
    if (by_zone) {
      const std::string_view zone = pod.zone->empty() ? zone_of_(*pod.node) : *pod.zone;
      endpoint.zone_hint = hint_of(zone, own_zone);
    }
    for (std::size_t i = 0; i < service.ports.size(); ++i) {
      endpoint.endpoint.port = target_port(service.ports[i], *pod.ports);
      if (endpoint.endpoint.port == 0) continue;
      for (const ipvs::Address& address : pod.addresses) {
        endpoint.endpoint.address = address;
        all[i].push_back(endpoint);
      }
    }
  });
}

void EndpointTable::collect_slices(const k8s::Service& service, ServiceEndpoints& all) const {
  const auto list = slices_of_.find(service.meta.key);
  if (list == slices_of_.end()) return;
  const std::string_view own_zone = zone_of_(node_name_);
  for (const k8s::ObjectKey& key : list->second) {
    const k8s::EndpointSlice& slice = slices_.at(key).slice;
    for (const k8s::SlicePort& slice_port : slice.ports) {
      const auto port =
          std::find_if(service.ports.begin(), service.ports.end(), [&](const auto& p) {
            return p.name == slice_port.name && p.protocol == slice_port.protocol;
          });
      if (port == service.ports.end() || slice_port.port == 0) continue;
      auto& endpoints = all[static_cast<std::size_t>(port - service.ports.begin())];
      for (const k8s::SliceEndpoint& e : slice.endpoints) {
        endpoints.push_back({.endpoint = {e.address, slice_port.port},
                             .ready = e.ready,
                             .serving = e.serving,
                             .terminating = e.terminating,
                             .local = e.node_name.empty() ? false : e.node_name == node_name_,
                             .node_hint = hint_of(e.node_hints, node_name_),
                             .zone_hint = hint_of(e.zone_hints, own_zone),
                             .pod = e.pod_name});
      }
    }
  }
}

template <typename Visit>
bool EndpointTable::any_pod_at(const ipvs::Address& address, const k8s::ObjectKey& service,
                               Visit visit) const {
  const auto is_of_others = [&](const PodRecord& pod) {
    if (!pod.host_network) return false;
    const auto known = services_.find(service);
    return known != services_.end() && !known->second->selector.empty() &&
           !selects(known->second->member.labels, pod.member.labels);
  };
  const auto [first, last] = by_address_.equal_range(address);
  return std::any_of(first, last, [&](const auto& entry) {
    return !is_of_others(*entry.second) && visit(*entry.second);
  });
}

// The next start must know since when.
void EndpointTable::note_drain(const PodRecord& pod, bool by_readiness) const {
  if (!memory_) return;
  if (pod.deleted) {
    memory_->drains(*pod.key, {.requested = pod.deletion_requested,
                               .grace = pod.deletion_grace,
                               .since = pod.deleted_since,
                               .ends = pod.grace_ends});
  } else if (by_readiness) {
    memory_->drains_unready(*pod.key, pod.readiness_changed, pod.ready_since);
  }
}

bool EndpointTable::may_drain(const ipvs::Address& address, MonotonicSeconds now,
                              std::optional<std::uint32_t> timeout,
                              const k8s::ObjectKey& service) const {
  const auto may = [&](const PodRecord& pod) {
    note_drain(pod, timeout && !pod.ready && pod.ready_since != 0);
    if (pod.deleted) return now < (timeout ? pod.deleted_since + *timeout : pod.grace_ends);
    // The Pod exists but is not wanted, usually because it is unready, since `ready_since`.
    return !timeout || pod.ready || pod.ready_since == 0 || pod.ready_since + *timeout > now;
  };
  if (any_pod_at(address, service, may)) return true;
  return timeout != 0u && slices_by_address_.contains(address);
}

std::set<k8s::ObjectKey> EndpointTable::services_with_zone_hints() const {
  std::set<k8s::ObjectKey> services;
  for (const auto& [key, record] : slices_) {
    const auto& endpoints = record.slice.endpoints;
    if (std::any_of(endpoints.begin(), endpoints.end(),
                    [](const auto& e) { return !e.zone_hints.empty(); })) {
      services.insert({.ns = key.ns, .name = record.slice.service_name});
    }
  }
  return services;
}

std::string_view EndpointTable::pod_at(const ipvs::Address& address,
                                       const k8s::ObjectKey& service) const {
  std::string_view name;
  const auto take_name = [&](const PodRecord& pod) {
    name = pod.key->name;
    return true;
  };
  if (any_pod_at(address, service, take_name)) return name;
  const auto [first, last] = slices_by_address_.equal_range(address);
  if (first == last) return {};
  const auto own = std::find_if(first, last, [&](const auto& entry) {
    return entry.second.ns == service.ns &&
           slices_.at(entry.second).slice.service_name == service.name;
  });
  for (const auto& endpoint : slices_.at((own == last ? first : own)->second).slice.endpoints) {
    if (endpoint.address == address) return endpoint.pod_name;
  }
  return {};
}

}  // namespace agent
