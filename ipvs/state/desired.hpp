// SPDX-License-Identifier: Apache-2.0
//
// What we want the kernel to hold, Service by Service, and what it is known to hold.
//
//   ServicePlan   what one Service needs: virtual servers with destinations, addresses, set
//   elements Desired       all plans together: which virtual server belongs to whom, how often an
//   address or element
//                 is needed; remembers what changed since it was last asked (the dirty keys)
//   Ledger        the kernel's state as far as the kernel has confirmed it
//
// All three are values; ipvs::diff() (ipvs/state/diff.hpp) turns Desired and Ledger into operations.
//
// Invariants:
//   1. A virtual server has at most one owner in Desired: the caller settles claims first.
//   2. Addresses and elements may be needed by several owners; they are wanted while the count is
//   above 0.
//   3. Every key whose desired value changed since the last take_dirty() is dirty, and no others.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ipvs/state/element.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

// Names the Service a kernel object is for: "namespace/name". Opaque here.
using Owner = std::string;

struct ServicePlan {
  std::vector<Server> servers;     // ordered by key; destinations ordered by endpoint
  std::vector<Address> addresses;  // to be bound; ordered
  std::vector<Element> elements;   // ordered by ElementKeyLess
  bool operator==(const ServicePlan&) const = default;
};

// Keys of things whose desired or known state may differ.
struct DirtyKeys {
  std::set<ServerKey> servers;
  std::set<Address> addresses;
  std::set<Element, ElementKeyLess> elements;

  bool empty() const { return servers.empty() && addresses.empty() && elements.empty(); }
  std::size_t size() const { return servers.size() + addresses.size() + elements.size(); }
  void merge(DirtyKeys other);
};

class Desired {
 public:
  // Replaces the plan of `owner`; an empty plan removes it. Work is proportional to the plan's
  // size.
  void set(const Owner& owner, ServicePlan plan);

  // The keys that changed since the last call.
  DirtyKeys take_dirty();
  // Every key that is wanted (for a comparison with a freshly read kernel).
  DirtyKeys all_keys() const;

  // nullptr where nothing is wanted under that key.
  const Server* server(const ServerKey& key) const;
  const Owner* owner_of(const ServerKey& key) const;
  // The virtual servers and elements of an owner's plan; empty where it has none.
  std::vector<ServerKey> servers_of(const Owner& owner) const;
  std::vector<Element> elements_of(const Owner& owner) const;
  bool wants(const Address& address) const;
  const Element* element(const Element& key) const;
  // An owner that needs the address or element, for messages; "" where there is none.
  std::string_view some_owner_of(const Address& address) const;
  std::string_view some_owner_of(const Element& key) const;

  std::vector<Element> elements() const;
  std::vector<Address> addresses() const;
  std::size_t server_count() const { return servers_.size(); }
  std::size_t destination_count() const { return destination_count_; }
  std::size_t address_count() const { return addresses_.size(); }

 private:
  struct ServerEntry {
    Server server;
    Owner owner;
  };
  // A shared thing: who needs it, in which form (forms differ only in an element's class).
  template <typename T>
  struct Shared {
    T value;
    std::vector<Owner> owners;
  };

  void replace_servers(const Owner& owner, std::vector<Server> next,
                       const std::vector<ServerKey>& previous);
  void replace_addresses(const Owner& owner, const std::vector<Address>& next,
                         const std::vector<Address>& previous);
  void replace_elements(const Owner& owner, const std::vector<Element>& next,
                        const std::vector<Element>& previous);

  // What an owner's plan consists of; the servers themselves live in servers_.
  struct Holding {
    std::vector<ServerKey> servers;
    std::vector<Address> addresses;
    std::vector<Element> elements;
  };
  std::unordered_map<Owner, Holding> holdings_;
  std::unordered_map<ServerKey, ServerEntry> servers_;
  std::map<Address, Shared<Address>> addresses_;
  std::map<Element, Shared<Element>, ElementKeyLess> elements_;
  std::size_t destination_count_ = 0;
  DirtyKeys dirty_;
};

// What the kernel holds of ours, as far as it told us.
class Ledger {
 public:
  const Server* server(const ServerKey& key) const;
  bool holds(const Address& address) const { return addresses_.contains(address); }
  const Element* element(const Element& key) const;

  void put_server(Server server);  // with its destinations
  void set_settings(const VirtualServer& settings);
  void remove_server(const ServerKey& key);
  void put_destination(const ServerKey& key, const Destination& destination);
  void remove_destination(const ServerKey& key, const Endpoint& endpoint);
  void put_address(const Address& address) { addresses_.insert(address); }
  void remove_address(const Address& address) { addresses_.erase(address); }
  void put_element(const Element& element);
  void remove_element(const Element& key) { elements_.erase(key); }
  void clear_elements() { elements_.clear(); }
  void clear_addresses() { addresses_.clear(); }

  DirtyKeys all_keys() const;
  std::vector<ServerKey> server_keys() const;
  // Virtual servers with at least one destination of weight 0, i.e. being drained or resting.
  const std::set<ServerKey>& servers_with_resting() const { return resting_; }
  const std::set<Element, ElementKeyLess>& elements() const { return elements_; }
  const std::set<Address>& addresses() const { return addresses_; }
  std::size_t server_count() const { return servers_.size(); }
  std::size_t destination_count() const { return destination_count_; }

 private:
  void note_resting(const Server& server);

  std::unordered_map<ServerKey, Server> servers_;
  std::set<Address> addresses_;
  std::set<Element, ElementKeyLess> elements_;
  std::set<ServerKey> resting_;
  std::size_t destination_count_ = 0;
};

}  // namespace ipvs
