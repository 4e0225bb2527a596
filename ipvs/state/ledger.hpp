// SPDX-License-Identifier: Apache-2.0
//
// What the kernel is known to hold of ours.
//
// Invariant: it changes only by what was read from the kernel and by what the kernel accepted
// (ipvs/state/record_outcome.hpp). What failed stays as it was.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "ipvs/state/dirty_keys.hpp"
#include "ipvs/state/element.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

class Ledger {
 public:
  // nullptr where nothing is held under that key.
  const Server* server(const ServerKey& key) const;
  bool holds(const Address& address) const { return addresses_.contains(address); }
  const Element* element(const Element& key) const;

  void put_server(Server server);  // with its destinations
  void set_settings(const VirtualServer& settings);
  void remove_server(const ServerKey& key);
  // It may be there or not: somebody else deleted it, or the reply to its creation was lost.
  void lose_server(const ServerKey& key);
  // Whether we made it and have not deleted it: what is found at this key is ours.
  bool owns(const ServerKey& key) const { return servers_.contains(key) || lost_.contains(key); }
  void put_destination(const ServerKey& key, const Destination& destination);
  void remove_destination(const ServerKey& key, const Endpoint& endpoint);
  void put_address(const Address& address) { addresses_.insert(address); }
  void remove_address(const Address& address) { addresses_.erase(address); }
  void put_element(const Element& element);
  void remove_element(const Element& key) { elements_.erase(key); }
  void replace_elements(std::span<const Element> all) { elements_ = {all.begin(), all.end()}; }
  void clear_addresses() { addresses_.clear(); }

  DirtyKeys all_keys() const;
  std::vector<ServerKey> server_keys() const;  // ordered
  // Virtual servers with at least one destination of weight 0.
  const std::set<ServerKey>& draining_servers() const { return draining_; }
  const std::set<Element, ElementKeyLess>& elements() const { return elements_; }
  const std::set<Address>& addresses() const { return addresses_; }
  std::size_t server_count() const { return servers_.size(); }
  std::size_t ipv4_server_count() const { return servers_.size() - ipv6_.size(); }
  // The IPv6 virtual server after that one, or the first; nullopt: there is none.
  std::optional<ServerKey> next_ipv6_server(const ServerKey& key) const;
  std::size_t destination_count() const { return destination_count_; }

 private:
  void note_draining(const Server& server);

  std::unordered_map<ServerKey, Server> servers_;
  std::set<Address> addresses_;
  std::set<Element, ElementKeyLess> elements_;
  std::set<ServerKey> draining_;
  std::set<ServerKey> lost_;
  std::set<ServerKey> ipv6_;  // of servers_
  std::size_t destination_count_ = 0;
};

}  // namespace ipvs
