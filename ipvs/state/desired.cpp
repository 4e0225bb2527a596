// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/desired.hpp"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace ipvs {
namespace {

void add_owner(std::vector<Owner>& owners, const Owner& owner) {
  if (std::find(owners.begin(), owners.end(), owner) == owners.end()) owners.push_back(owner);
}

// True if it was the last one: then the entry is gone.
template <typename Map, typename Key>
bool remove_owner(Map& shared, const Key& key, const Owner& owner) {
  const auto entry = shared.find(key);
  if (entry == shared.end()) return false;
  std::erase(entry->second.owners, owner);
  if (!entry->second.owners.empty()) return false;
  shared.erase(entry);
  return true;
}

// One walk over two lists that are ordered by key: calls wanted() for what is new in `next` or has
// another value there, and gone() for what is in `previous` only.
template <typename Next, typename T, typename KeyLess, typename Wanted, typename Gone,
          typename ValueOf = std::identity>
void for_each_difference(const Next& next, const std::vector<T>& previous, KeyLess less,
                         Wanted wanted, Gone gone, ValueOf value_of = {}) {
  auto old = previous.begin();
  for (const auto& each : next) {
    const T& item = value_of(each);
    for (; old != previous.end() && less(*old, item); ++old) gone(*old);
    const bool was_there = old != previous.end() && !less(item, *old);
    if (!was_there || !(*old == item)) wanted(item);
    if (was_there) ++old;
  }
  for (; old != previous.end(); ++old) gone(*old);
}

}  // namespace

void Desired::set(const Owner& owner, ServicePlan plan) {
  const auto held = holdings_.try_emplace(owner).first;
  Holding& holding = held->second;
  std::vector<ServerKey> servers;
  servers.reserve(plan.servers.size());
  for (const Server& server : plan.servers) servers.push_back(server.settings.key);

  replace_servers(owner, std::move(plan.servers), holding.servers);
  holding.servers = std::move(servers);
  // Mostly endpoints change, and addresses and elements do not.
  if (plan.addresses != holding.addresses) {
    replace_addresses(owner, plan.addresses, holding.addresses);
    holding.addresses = std::move(plan.addresses);
  }
  if (plan.elements != holding.elements) {
    replace_elements(owner, plan.elements, holding.elements);
    holding.elements = std::move(plan.elements);
  }
  if (holding.servers.empty() && holding.addresses.empty() && holding.elements.empty()) {
    holdings_.erase(held);
  }
}

void Desired::replace_servers(const Owner& owner, std::vector<Server> next,
                              const std::vector<ServerKey>& previous) {
  for (const ServerKey& key : previous) {
    const auto place =
        std::lower_bound(next.begin(), next.end(), key,
                         [](const Server& p, const ServerKey& k) { return p.settings.key < k; });
    const bool stays = place != next.end() && place->settings.key == key;
    const auto entry = servers_.find(key);
    // Another Service may have taken the key over in the meantime: then it is no longer ours to
    // remove.
    if (stays || entry == servers_.end() || entry->second.owner != owner) continue;
    destination_count_ -= entry->second.server.destinations.size();
    servers_.erase(entry);
    leaving_.insert_or_assign(key, owner);
    dirty_.servers.insert(key);
  }
  for (Server& server : next) {
    const ServerKey key = server.settings.key;
    const auto entry = servers_.find(key);
    if (entry == servers_.end()) {
      destination_count_ += server.destinations.size();
      servers_.emplace(key, ServerEntry{std::move(server), owner});
      dirty_.servers.insert(key);
      continue;
    }
    entry->second.owner = owner;
    if (entry->second.server == server) continue;
    destination_count_ += server.destinations.size();
    destination_count_ -= entry->second.server.destinations.size();
    entry->second.server = std::move(server);
    dirty_.servers.insert(key);
  }
}

void Desired::replace_addresses(const Owner& owner, const std::vector<Address>& next,
                                const std::vector<Address>& previous) {
  const auto wanted = [&](const Address& address) {
    auto [entry, added] = addresses_.try_emplace(address, Shared<Address>{address, {}});
    add_owner(entry->second.owners, owner);
    if (added) dirty_.addresses.insert(address);
  };
  const auto gone = [&](const Address& address) {
    if (remove_owner(addresses_, address, owner)) dirty_.addresses.insert(address);
  };
  for_each_difference(next, previous, std::less<>(), wanted, gone);
}

void Desired::replace_elements(const Owner& owner, const std::vector<Element>& next,
                               const std::vector<Element>& previous) {
  const auto wanted = [&](const Element& element) {
    auto [entry, added] = elements_.try_emplace(element, Shared<Element>{element, {}});
    add_owner(entry->second.owners, owner);
    if (!added && entry->second.value == element) return;
    entry->second.value = element;
    dirty_.elements.insert(element);
  };
  const auto gone = [&](const Element& element) {
    if (remove_owner(elements_, element, owner)) dirty_.elements.insert(element);
  };
  for_each_difference(next, previous, ElementKeyLess(), wanted, gone);
}

void Desired::compare_elements(const std::vector<Element>& held) {
  dirty_.elements.clear();
  const auto mark = [&](const Element& element) {
    dirty_.elements.insert(dirty_.elements.end(), element);
  };
  for_each_difference(elements_, held, ElementKeyLess(), mark, mark,
                      [](const auto& entry) -> const Element& { return entry.second.value; });
}

DirtyKeys Desired::take_dirty() {
  former_owners_ = std::exchange(leaving_, {});
  return std::exchange(dirty_, {});
}

const Owner* Desired::former_owner_of(const ServerKey& key) const {
  const auto found = former_owners_.find(key);
  return found == former_owners_.end() ? nullptr : &found->second;
}

void Desired::keep_former_owner(const ServerKey& key) {
  const auto found = former_owners_.find(key);
  if (found != former_owners_.end() && !servers_.contains(key)) leaving_.insert(*found);
}

DirtyKeys Desired::all_keys() const {
  DirtyKeys keys;
  for (const auto& [key, entry] : servers_) keys.servers.insert(key);
  for (const auto& [address, shared] : addresses_) {
    keys.addresses.insert(keys.addresses.end(), address);
  }
  for (const auto& [element, shared] : elements_) {
    keys.elements.insert(keys.elements.end(), element);
  }
  return keys;
}

const Server* Desired::server(const ServerKey& key) const {
  const auto entry = servers_.find(key);
  return entry == servers_.end() ? nullptr : &entry->second.server;
}

const Owner* Desired::owner_of(const ServerKey& key) const {
  const auto entry = servers_.find(key);
  return entry == servers_.end() ? nullptr : &entry->second.owner;
}

std::vector<ServerKey> Desired::servers_of(const Owner& owner) const {
  const auto held = holdings_.find(owner);
  return held == holdings_.end() ? std::vector<ServerKey>() : held->second.servers;
}

std::vector<Element> Desired::elements_of(const Owner& owner) const {
  const auto held = holdings_.find(owner);
  return held == holdings_.end() ? std::vector<Element>() : held->second.elements;
}

bool Desired::wants(const Address& address) const { return addresses_.contains(address); }

const Element* Desired::element(const Element& key) const {
  const auto entry = elements_.find(key);
  return entry == elements_.end() ? nullptr : &entry->second.value;
}

std::string_view Desired::some_owner_of(const Address& address) const {
  const auto entry = addresses_.find(address);
  return entry == addresses_.end() ? std::string_view{} : entry->second.owners.front();
}

std::string_view Desired::some_owner_of(const Element& key) const {
  const auto entry = elements_.find(key);
  return entry == elements_.end() ? std::string_view{} : entry->second.owners.front();
}

std::vector<Element> Desired::elements() const {
  std::vector<Element> all;
  all.reserve(elements_.size());
  for (const auto& [key, shared] : elements_) all.push_back(shared.value);
  return all;
}

std::vector<Address> Desired::addresses() const {
  std::vector<Address> all;
  all.reserve(addresses_.size());
  for (const auto& [address, shared] : addresses_) all.push_back(address);
  return all;
}

std::vector<Address> Desired::addresses_after(const std::optional<Address>& after,
                                              std::size_t most) const {
  std::vector<Address> some;
  auto next = after ? addresses_.upper_bound(*after) : addresses_.begin();
  for (; next != addresses_.end() && some.size() < most; ++next) some.push_back(next->first);
  return some;
}

}  // namespace ipvs
