// SPDX-License-Identifier: Apache-2.0
//
// What we want the kernel to hold.
//
//   ServicePlan  what one Service needs: virtual servers with destinations, addresses, set elements
//   Desired      all plans together: the owner of each virtual server, and for each address and
//                element the owners that need it; remembers which keys changed (the dirty keys)
//
// Both are values. ipvs::diff() (ipvs/state/diff.hpp) turns Desired and the Ledger into operations.
//
// Invariants:
//   1. A virtual server has at most one owner: the caller decides between Services that claim the
//      same one before it calls set() (agent/decide/claims.hpp).
//   2. Several owners may need an address or element; it is wanted as long as there is one.
//   3. Every key whose desired value changed since the last take_dirty() is dirty, and no others.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ipvs/state/dirty_keys.hpp"
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

class Desired {
 public:
  // Replaces the plan of `owner`; an empty plan removes it. Work is proportional to the plan's
  // size.
  void set(const Owner& owner, ServicePlan plan);

  // The keys that changed since the last call.
  DirtyKeys take_dirty();
  // `held`, ordered: all elements in the kernel. From now on the dirty elements are those in which it
  // differs from what is wanted.
  void compare_elements(const std::vector<Element>& held);
  // Every key that is wanted (for a comparison with a freshly read kernel).
  DirtyKeys all_keys() const;

  // nullptr where nothing is wanted under that key.
  const Server* server(const ServerKey& key) const;
  const Owner* owner_of(const ServerKey& key) const;
  // Of one that nobody wants since the last take_dirty() but one: who did; nullptr where nobody did.
  const Owner* former_owner_of(const ServerKey& key) const;
  // It was not deleted yet: former_owner_of() is about it after the next take_dirty(), too.
  void keep_former_owner(const ServerKey& key);
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
  // Up to `most` of them after that one, ordered; nullopt: from the first.
  std::vector<Address> addresses_after(const std::optional<Address>& after, std::size_t most) const;
  std::size_t owner_count() const { return holdings_.size(); }
  std::size_t server_count() const { return servers_.size(); }
  std::size_t destination_count() const { return destination_count_; }
  std::size_t address_count() const { return addresses_.size(); }

 private:
  struct ServerEntry {
    Server server;
    Owner owner;
  };
  // An address or element with the owners that need it. Owners may want an element with different
  // classes or targets: the last one set counts.
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
  // Of what was dropped before the last take_dirty(), and since.
  std::map<ServerKey, Owner> former_owners_, leaving_;
};

}  // namespace ipvs
