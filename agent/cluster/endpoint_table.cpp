// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/endpoint_table.hpp"

#include <algorithm>
#include <utility>

#include "agent/cluster/endpoint_records.hpp"
#include "agent/cluster/mark_and_sweep.hpp"
#include "agent/decide/service_options.hpp"
#include "k8s/decode/values.hpp"

namespace agent {

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
    : source_(source == EndpointSource::kAuto ? EndpointSource::kSelector : source),
      node_name_(std::move(node_name)),
      dirty_(std::move(dirty)),
      zone_of_(std::move(zone_of)),
      clocks_(std::move(clocks)),
      memory_(memory),
      pod_sink_(std::make_unique<PodSink>(*this, pods_, &EndpointTable::upsert_pod,
                                          &EndpointTable::remove_pod)),
      slice_sink_(std::make_unique<SliceSink>(*this, slices_, &EndpointTable::upsert_slice,
                                              &EndpointTable::remove_slice)),
      weights_([this](const ipvs::Address& address) {
        ++changes_;
        mark_services_at(address);
      }) {}

EndpointTable::~EndpointTable() = default;

k8s::Sink<k8s::Pod>& EndpointTable::pods() { return *pod_sink_; }
k8s::Sink<k8s::EndpointSlice>& EndpointTable::slices() { return *slice_sink_; }

// Of those that have their endpoints from EndpointSlices.
void EndpointTable::mark_services_at(const ipvs::Address& address) {
  const auto [first, last] = slices_by_address_.equal_range(address);
  std::for_each(first, last, [this](const auto& entry) {
    const k8s::EndpointSlice& slice = slices_.at(entry.second).slice;
    dirty_({.ns = entry.second.ns, .name = slice.service_name});
  });
}

void EndpointTable::touch(const ipvs::Address& address) {
  mark_services_at(address);
  const auto [first, last] = by_address_.equal_range(address);
  std::for_each(first, last, [this](const auto& entry) { mark_services_of(*entry.second); });
}

void EndpointTable::add_service(const k8s::ObjectKey& key, const k8s::Labels& selector) {
  auto [place, added] = services_.try_emplace(key);
  if (!added) {
    if (place->second->selector == selector) return;
    index_.remove_service(place->second->member);
  } else {
    place->second = std::make_unique<ServiceRecord>();
  }
  ++changes_;
  ServiceRecord& record = *place->second;
  record.key = &place->first;
  record.selector = selector;
  record.member.id = &record;
  // In `endpointslice` mode the slice controller does the matching.
  if (source_ == EndpointSource::kSelector) index_.add_service(record.member, key.ns, selector);
}

void EndpointTable::take_from(EndpointSource source) {
  if (source == source_) return;
  source_ = source;
  ++changes_;
  const bool by_pods = source == EndpointSource::kSelector;
  for (auto& [key, record] : services_) {
    if (record->selector.empty()) continue;  // these have EndpointSlices anyway
    if (by_pods) {
      index_.add_service(record->member, key.ns, record->selector);
    } else {
      index_.remove_service(record->member);
    }
    dirty_(key);
  }
}

void EndpointTable::remove_service(const k8s::ObjectKey& key) {
  const auto found = services_.find(key);
  if (found == services_.end()) return;
  ++changes_;
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
  const WeightReading weight = read_pod_weight(pod.meta);
  record.weight = weight.weight.value_or(kDefaultWeight);
  record.bad_weight = weight.bad;
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

namespace {

// 0: it says none.
k8s::UnixSeconds trigger_time_of(const k8s::Meta& meta) {
  const auto found = meta.annotations.find("endpoints.kubernetes.io/last-change-trigger-time");
  if (found == meta.annotations.end()) return 0;
  const auto time = k8s::parse_time(found->second);
  return time ? *time : 0;
}

}  // namespace

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
  const bool renamed = keeps_hostnames_ && note_hostname(record, pod);
  if (keeps_labels && !renamed && record.same_endpoint_as(next)) {
    record.mark = next.mark;
    return;
  }
  ++changes_;
  const bool keeps_addresses =
      !added && record.addresses == next.addresses && record.finished == next.finished;
  // With the same labels these are the Services that are marked below.
  if (!keeps_labels) mark_services_of(record);
  if (!keeps_addresses) index_addresses(record, false);
  if (!keeps_labels) index_.remove_pod(record.member);
  date(next, place->first, added ? nullptr : &record);
  const auto before = added ? std::nullopt : std::optional(cause_of(record));
  next.key = &place->first;
  next.member = std::move(record.member);
  next.member.id = &record;
  record = std::move(next);
  if (!keeps_labels) index_.add_pod(record.member, place->first.ns, pod.meta.labels);
  if (!keeps_addresses) index_addresses(record, true);
  mark_services_of(record);
  note_trigger(record, before, trigger_time_of(pod.meta));
}

void EndpointTable::remove_pod(const k8s::ObjectKey& key) {
  const auto found = pods_.find(key);
  if (found == pods_.end()) return;
  ++changes_;
  mark_services_of(found->second);
  if (memory_) memory_->forget_pod(key);
  index_addresses(found->second, false);
  index_.remove_pod(found->second.member);
  hostnames_.erase(&found->second);
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

EndpointTable::Cause EndpointTable::cause_of(const PodRecord& record) {
  return {.readiness_changed = record.readiness_changed,
          .ready = record.ready,
          .deleted = record.deleted};
}

// A Pod that has changed in another way, or is selected by another Service, has no time for that.
void EndpointTable::note_trigger(const PodRecord& record, const std::optional<Cause>& before,
                                 k8s::UnixSeconds annotated) {
  if (source_ != EndpointSource::kSelector) return;
  Trigger trigger{.time = annotated};
  const bool deleted = record.deleted && !(before && before->deleted);
  const bool was_ready = before && before->ready;
  const bool readiness =
      (record.ready || was_ready) &&
      (record.ready != was_ready || before->readiness_changed != record.readiness_changed);
  if (deleted) {
    trigger.time = record.deletion_requested;
  } else if (trigger.time == 0 && readiness) {
    trigger.time = record.readiness_changed;
  }
  for (const ipvs::Address& address : record.addresses) {
    (address.is_v4() ? trigger.ipv4 : trigger.ipv6) = true;
  }
  if (trigger.time == 0 || record.addresses.empty()) return;
  index_.services_of(record.member, [&](const LabelIndex::Member& service) {
    note_trigger(*static_cast<const ServiceRecord*>(service.id)->key, trigger);
  });
}

void EndpointTable::note_trigger(const k8s::ObjectKey& service, const Trigger& trigger) {
  constexpr std::size_t kMost = 1000;  // of a Service, between two passes
  std::vector<Trigger>& waiting = triggers_[service];
  if (waiting.size() < kMost) waiting.push_back(trigger);
}

namespace {

// A slice has addresses of one family. One without endpoints does not say which.
void add_family(Trigger& trigger, const k8s::EndpointSlice& slice) {
  if (slice.endpoints.empty()) return;
  (slice.endpoints.front().address.is_v4() ? trigger.ipv4 : trigger.ipv6) = true;
}

}  // namespace

void EndpointTable::upsert_slice(k8s::EndpointSlice&& slice) {
  const k8s::ObjectKey key = slice.meta.key;
  const k8s::ObjectKey service{key.ns, slice.service_name};
  const WeightReading weight = read_slice_weight(slice.meta);
  Trigger trigger{.time = trigger_time_of(slice.meta)};
  add_family(trigger, slice);
  if (!keeps_hostnames_) slice.hostnames = {};
  const auto found = slices_.find(key);
  if (found != slices_.end()) {
    const k8s::EndpointSlice& old = found->second.slice;
    if (old.service_name == slice.service_name && old.endpoints == slice.endpoints &&
        old.ports == slice.ports && old.hostnames == slice.hostnames &&
        found->second.weight == weight) {
      found->second.mark = slice_sink_->mark();
      return;
    }
    if (slice.endpoints.empty()) add_family(trigger, old);
    const k8s::ObjectKey before = forget_slice(key);
    if (before != service) dirty_(before);
  }
  ++changes_;
  if (slice.service_name.empty()) return;
  if (trigger.time != 0 && !has_pods(service)) note_trigger(service, trigger);
  slice.meta.annotations.clear();
  for (const auto& endpoint : slice.endpoints) slices_by_address_.emplace(endpoint.address, key);
  slices_of_[service].insert(key);
  slices_.insert_or_assign(key, SliceRecord{std::move(slice), weight, slice_sink_->mark()});
  dirty_(service);
}

std::vector<Trigger> EndpointTable::take_triggers(const k8s::ObjectKey& service) {
  auto taken = triggers_.extract(service);
  return taken ? std::move(taken.mapped()) : std::vector<Trigger>();
}

// Whether the endpoints of that Service are Pods.
bool EndpointTable::has_pods(const k8s::ObjectKey& service) const {
  const auto found = services_.find(service);
  return source_ == EndpointSource::kSelector && found != services_.end() &&
         !found->second->selector.empty();
}

void EndpointTable::remove_slice(const k8s::ObjectKey& key) {
  if (!slices_.contains(key)) return;
  ++changes_;
  dirty_(forget_slice(key));
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

template <typename Visit>
bool EndpointTable::any_pod_at(const ipvs::Address& address, const k8s::ObjectKey& service,
                               Visit visit) const {
  if (source_ != EndpointSource::kSelector) return false;  // a list of Pods may be under way
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
