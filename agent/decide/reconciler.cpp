// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/reconciler.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "ipvs/state/networks.hpp"
#include "ipvs/state/own_servers.hpp"

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Element;
using ipvs::ElementKind;
using ipvs::ServerKey;

// Owner of what belongs to the node and not to a Service; a Service's name has a "/".
const ipvs::Owner kNodeOwner = "node";

// Addresses are ordered: 127.0.0.0/8 is one range.
const Address kFirstLoopback4{boost::asio::ip::address_v4(0x7F000000)};
const Address kLoopback6{boost::asio::ip::address_v6::loopback()};

// Erases the allowed sources that the kernel would refuse beside this one.
void erase_overlapping(std::set<Element, ipvs::ElementKeyLess>& elements, const Element& source) {
  if (!ipvs::row_of(source.kind).key.network) return;
  Element first = source;
  first.source_network = {};
  auto other = elements.lower_bound(first);
  while (other != elements.end() && ipvs::same_server(*other, source)) {
    other = ipvs::overlap(*other, source) ? elements.erase(other) : std::next(other);
  }
}

// Whether something that is to be created or bound must not exist without this element.
bool protects_any(const Element& element, const ipvs::DirtyKeys& keys) {
  const ipvs::ElementKindRow& row = ipvs::row_of(element.kind);
  if (row.outlives_address && keys.addresses.contains(element.address)) return true;
  if (!row.outlives_servers) return false;
  const bool of_every_address = row.scope == ipvs::ElementScope::kNodePort;
  const auto first = of_every_address ? keys.servers.begin()
                                      : keys.servers.lower_bound({.address = element.address});
  for (auto key = first; key != keys.servers.end(); ++key) {
    if (!of_every_address && key->address != element.address) return false;
    if (ipvs::depends_on(*key, element)) return true;
  }
  return false;
}

}  // namespace

std::set<ServerKey> foreign_servers(const ipvs::Observed& observed, Takeover takeover) {
  const std::optional<std::span<const ServerKey>> record =
      observed.recorded ? std::optional<std::span<const ServerKey>>(*observed.recorded)
                        : std::nullopt;
  // With neither record nor table, what is on kube-ipvs0 is ours or kube-proxy's.
  std::span<const Address> bound = observed.addresses;
  if (takeover != Takeover::kAuto) bound = {};
  const ipvs::OwnServers own(record, observed.elements, bound, observed.excluded);
  std::set<ServerKey> foreign;
  for (const ipvs::Server& server : observed.servers) {
    if (!own.contains(server.settings.key)) foreign.insert(server.settings.key);
  }
  return foreign;
}

void Reconciler::adopt(const ipvs::Observed& observed, Takeover takeover) {
  takeover_ = takeover;
  foreign_ = foreign_servers(observed, takeover);
  for (const ipvs::Server& server : observed.servers) {
    if (!foreign_.contains(server.settings.key)) ledger_.put_server(server);
  }
  note_leftovers(observed);
  adopt_addresses(observed);
  for (const Element& element : observed.elements) ledger_.put_element(element);
  dirty_.merge(ledger_.all_keys());
}

void Reconciler::adopt_addresses(const ipvs::Observed& observed) {
  const std::set<Address> ours = takeover_ == Takeover::kAuto
                                     ? std::set<Address>()
                                     : ipvs::bound_by_us(observed.recorded, observed.elements);
  for (const Address& address : observed.addresses) {
    if (takeover_ == Takeover::kAuto || ours.contains(address)) {
      ledger_.put_address(address);
    } else {
      foreign_addresses_.insert(address);
    }
  }
}

void Reconciler::note_leftovers(const ipvs::Observed& observed) {
  if (foreign_.empty() || takeover_ == Takeover::kOff) return;
  const std::set<Address> bound(observed.addresses.begin(), observed.addresses.end());
  const std::set<Address> ours = ipvs::bound_by_us(observed.recorded, observed.elements);
  for (const ipvs::Server& server : observed.servers) {
    const ServerKey& key = server.settings.key;
    if (ipvs::is_in_any(key.address, observed.excluded)) continue;
    if (!foreign_.contains(key) || !looks_like_kube_proxys(server, observed)) continue;
    leftovers_[key] = {
        .server = server,
        .evidence = {.on_our_device = bound.contains(key.address) && !ours.contains(key.address),
                     .has_kube_proxy_chains = observed.has_kube_proxy_chains}};
  }
}

bool Reconciler::was_left(const ipvs::Server& wanted, const ipvs::ServicePlan& plan) const {
  const auto found = leftovers_.find(wanted.settings.key);
  if (found == leftovers_.end()) return false;
  return is_leftover(found->second.server, wanted, plan, found->second.evidence);
}

void Reconciler::take_over(const ServerKey& key) {
  const auto found = leftovers_.find(key);
  ipvs::Server entry = std::move(found->second.server);
  // As if it had none: so it is set in any case, and enters our record.
  entry.settings.scheduler.clear();
  ledger_.put_server(std::move(entry));
  dirty_.servers.insert(key);
  foreign_.erase(key);
  leftovers_.erase(found);
}

// Nobody wants them, so the next changes delete them. A takeover plans thousands of Services beside
// as many leftovers: only those on loopback addresses are looked at.
void Reconciler::take_over_loopback(const ipvs::ServicePlan& plan, Planned& planned) {
  if (takeover_ != Takeover::kAuto) return;
  std::vector<ServerKey> left;
  for (const Address& first : {kFirstLoopback4, kLoopback6}) {
    const auto is_in_range = [&](const Address& address) {
      return address.is_loopback() && address.is_v4() == first.is_v4();
    };
    for (auto at = leftovers_.lower_bound({.address = first});
         at != leftovers_.end() && is_in_range(at->first.address); ++at) {
      if (is_loopback_leftover(at->first, plan, at->second.evidence)) left.push_back(at->first);
    }
  }
  for (const ServerKey& key : left) {
    take_over(key);
    planned.taken_over.push_back(key);
  }
}

Reconciler::Planned Reconciler::set_plan(const ipvs::Owner& owner, const Standing& standing,
                                         ipvs::ServicePlan plan) {
  Planned planned;
  take_over_loopback(plan, planned);
  std::set<ServerKey> taken;
  for (const ipvs::Server& server : plan.servers) {
    const ServerKey& key = server.settings.key;
    // A destination in it may have lost its right to drain: that a Pod was deleted changes nothing
    // in the plan.
    if (ledger_.draining_servers().contains(key)) dirty_.servers.insert(key);
    if (!foreign_.contains(key)) continue;
    const bool left = was_left(server, plan);
    if (left && takeover_ == Takeover::kAuto) {
      take_over(key);
      planned.taken_over.push_back(key);
      continue;
    }
    taken.insert(key);
    waiting_[key].insert(owner);
    planned.conflicts.push_back(
        {owner, key, left ? ConflictReason::kLeftServer : ConflictReason::kForeignServer, {}});
  }
  Claims::Granted granted =
      claims_.replace(owner, standing, without_servers(std::move(plan), taken));
  for (const Claims::Lost& lost : granted.lost) {
    planned.conflicts.push_back({owner, lost.key, ConflictReason::kOtherService, lost.holder});
  }
  planned.others = std::move(granted.others);
  desired_.set(owner, std::move(granted.plan));
  return planned;
}

std::set<ipvs::Owner> Reconciler::remove(const ipvs::Owner& owner) {
  desired_.set(owner, {});
  return claims_.release(owner);
}

void Reconciler::set_node_addresses(const std::vector<Address>& addresses) {
  ipvs::ServicePlan plan;
  for (const Address& address : addresses) {
    plan.elements.push_back({.kind = ElementKind::kNodeAddress, .address = address});
  }
  std::sort(plan.elements.begin(), plan.elements.end(), ipvs::ElementKeyLess{});
  desired_.set(kNodeOwner, std::move(plan));
}

ipvs::Changes Reconciler::next_changes(const ipvs::MayDrain& may_drain) {
  dirty_.merge(desired_.take_dirty());
  return changes_of(std::exchange(dirty_, {}), may_drain);
}

ipvs::Changes Reconciler::changes_of(ipvs::DirtyKeys keys, const ipvs::MayDrain& may_drain) {
  retry_needed_elements(keys);
  keys.merge(backlog_.take_related(keys));
  add_unwanted_addresses(keys);
  failed_.attempt(keys);
  ipvs::Changes changes = ipvs::diff(desired_, ledger_, keys, may_drain, spread_);
  if (!foreign_addresses_.empty()) {
    std::erase_if(changes.unbind, [this](const ipvs::AddressOp& op) {
      return foreign_addresses_.contains(op.address);
    });
  }
  ipvs::Recorded nothing;
  if (changes.empty()) note_ended(failed_.conclude(nothing, {}));  // all of them are as wanted
  return changes;
}

void Reconciler::defer(ipvs::Changes changes) {
  if (changes.empty()) return;
  failed_.withdraw(keys_of(changes));
  for (const ipvs::ServerOp& op : changes.dismantle) desired_.keep_former_owner(op.server.key);
  backlog_.add(std::move(changes));
}

ipvs::Changes Reconciler::take_backlog() {
  ipvs::Changes changes = backlog_.take();
  if (failed_.size() > 0) failed_.attempt(keys_of(changes));
  return changes;
}

// What was refused waits for its time, and with it the deletion of what protects it. What else has to
// do with it is compared again.
void Reconciler::drop_refused(ipvs::Recorded& recorded) {
  ipvs::DirtyKeys refused = recorded.retry;
  refused.servers.insert(recorded.foreign.begin(), recorded.foreign.end());
  ipvs::DirtyKeys found = backlog_.take_refused(refused);
  for (const ServerKey& key : refused.servers) found.servers.erase(key);
  for (const Address& address : refused.addresses) found.addresses.erase(address);
  for (const Element& element : refused.elements) found.elements.erase(element);
  std::erase_if(found.elements, [&](const Element& element) {
    if (desired_.element(element)) return false;
    recorded.retry.elements.insert(element);
    return true;
  });
  dirty_.merge(std::move(found));
}

ipvs::Recorded Reconciler::record(const ipvs::Changes& changes, const ipvs::Outcome& outcome,
                                  const Retries::Moment& moment) {
  ipvs::Recorded recorded = ipvs::record_outcome(ledger_, desired_, changes, outcome);
  for (const ServerKey& key : recorded.foreign) foreign_.insert(key);
  drop_refused(recorded);
  for (const auto& [key, found] : outcome.read_back) {
    if (!found) dirty_.servers.insert(key);  // nobody refused it: it is created in the next pass
  }
  note_ended(failed_.conclude(recorded, moment));
  return recorded;
}

void Reconciler::note_ended(std::vector<ipvs::Failure> ended) {
  ended_.insert(ended_.end(), std::make_move_iterator(ended.begin()),
                std::make_move_iterator(ended.end()));
}

void Reconciler::retry_needed_elements(ipvs::DirtyKeys& keys) const {
  if (keys.empty() || failed_.size() == 0) return;
  for (const Element& element : failed_.elements()) {
    if (protects_any(element, keys)) keys.elements.insert(element);
  }
}

// An element that is to be deleted may be looked at before the address that it protects, of which
// the last attempt to delete it was refused: then that is tried again with it, and if it is refused
// again the element stays (ipvs/state/apply.hpp).
void Reconciler::add_unwanted_addresses(ipvs::DirtyKeys& keys) const {
  for (const Element& element : keys.elements) {
    if (!ipvs::row_of(element.kind).outlives_address || desired_.element(element)) continue;
    const Address& address = element.address;
    if (ledger_.holds(address) && !desired_.wants(address)) keys.addresses.insert(address);
  }
}

std::optional<Retries::Refusal> Reconciler::fault_of_node() const {
  if (failed_.size() == 0) return std::nullopt;
  const std::vector<Retries::Refusal> refusals = failed_.refusals();
  std::optional<Retries::Refusal> oldest;
  for (const Retries::Refusal& refusal : refusals) {
    if (refusal.failure.blame == ipvs::Blame::kObject) continue;
    if (!oldest || refusal.since < oldest->since) oldest = refusal;
  }
  const auto is_all = [](std::size_t refused, std::size_t wanted) {
    return refused > 0 && refused >= wanted;
  };
  const bool nothing_works = is_all(failed_.refused_servers(), desired_.server_count()) ||
                             is_all(failed_.refused_addresses(), desired_.address_count()) ||
                             (failed_.refused_elements() > 0 &&
                              is_all(failed_.refused_elements(), desired_.elements().size()));
  if (oldest || !nothing_works || refusals.empty()) return oldest;
  // One Service alone may be refused because of itself.
  const auto is_another = [&](const Retries::Refusal& refusal) {
    return refusal.failure.owner != refusals.front().failure.owner;
  };
  if (std::none_of(refusals.begin(), refusals.end(), is_another)) return std::nullopt;
  return *std::max_element(refusals.begin(), refusals.end(),
                           [](const auto& a, const auto& b) { return a.since < b.since; });
}

std::size_t Reconciler::service_count() const {
  const bool has_node = !desired_.elements_of(kNodeOwner).empty();
  return desired_.owner_count() - (has_node ? 1 : 0);
}

std::vector<Element> Reconciler::table_elements() const {
  if (ledger_.elements().empty()) return desired_.elements();  // a first start
  std::set<Element, ipvs::ElementKeyLess> all = ledger_.elements();
  for (const Element& element : desired_.elements()) {
    all.erase(element);
    erase_overlapping(all, element);
    all.insert(element);
  }
  return {all.begin(), all.end()};
}

void Reconciler::table_installed(const std::vector<Element>& elements) {
  ledger_.replace_elements(elements);
  dirty_.elements.insert(elements.begin(), elements.end());
}

void Reconciler::first_table_installed(const std::vector<Element>& elements) {
  ledger_.replace_elements(elements);
  dirty_.elements.clear();
  desired_.compare_elements(elements);
}

bool Reconciler::compare(const ServerKey& key, const std::optional<ipvs::Server>& found) {
  const ipvs::Server* known = ledger_.server(key);
  if (!known && !found) return false;
  if (known && found && *known == *found) return false;
  if (found) {
    ledger_.put_server(*found);
  } else {
    ledger_.lose_server(key);
  }
  dirty_.servers.insert(key);
  return true;
}

std::set<Address> Reconciler::compare_addresses(const std::vector<Address>& found) {
  std::set<Address> present(found.begin(), found.end());
  if (takeover_ != Takeover::kAuto) {
    // What we have not bound is somebody else's, also if it came later.
    std::erase_if(present, [this](const Address& address) {
      if (ledger_.addresses().contains(address)) return false;
      if (!desired_.wants(address)) foreign_addresses_.insert(address);
      return true;
    });
  }
  std::set<Address> different;
  std::set_symmetric_difference(present.begin(), present.end(), ledger_.addresses().begin(),
                                ledger_.addresses().end(),
                                std::inserter(different, different.end()));
  if (different.empty()) return different;
  dirty_.addresses.insert(different.begin(), different.end());
  ledger_.clear_addresses();
  for (const Address& address : present) ledger_.put_address(address);
  return different;
}

void Reconciler::doubt_address(const Address& address) {
  dirty_.addresses.insert(address);
  if (desired_.wants(address)) {
    ledger_.remove_address(address);
  } else {
    ledger_.put_address(address);
  }
}

ipvs::Changes Reconciler::finish_drains(const std::vector<ipvs::ServerReading>& readings,
                                        const ipvs::MayDrain& may_drain) const {
  ipvs::Changes changes;
  for (const ipvs::ServerReading& reading : readings) {
    const ipvs::Server* wanted = desired_.server(reading.settings.key);
    if (!wanted) continue;  // to be deleted as a whole
    for (const ipvs::DestinationReading& d : reading.destinations) {
      if (d.destination.weight != 0) continue;
      const ipvs::Endpoint& endpoint = d.destination.endpoint;
      if (wanted->find(endpoint)) continue;
      const bool idle = d.active_connections == 0 && d.inactive_connections == 0;
      if (!idle && may_drain(reading.settings.key, endpoint)) continue;
      changes.release.push_back({.command = ipvs::ServerCommand::kDelDest,
                                 .server = {.key = reading.settings.key},
                                 .destination = d.destination});
    }
  }
  return changes;
}

std::vector<ServerKey> Reconciler::contested() const {
  std::vector<ServerKey> keys;
  for (const auto& [key, owners] : waiting_) keys.push_back(key);
  return keys;
}

std::set<ipvs::Owner> Reconciler::foreign_gone(const ServerKey& key) {
  foreign_.erase(key);
  leftovers_.erase(key);
  const auto found = waiting_.find(key);
  if (found == waiting_.end()) return {};
  std::set<ipvs::Owner> owners = std::move(found->second);
  waiting_.erase(found);
  return owners;
}

}  // namespace agent
