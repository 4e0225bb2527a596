// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/backlog.hpp"

#include <iterator>
#include <utility>
#include <vector>

namespace ipvs {
namespace {

template <typename T>
void append(std::vector<T>& all, std::vector<T>& more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

using Port = std::pair<Protocol, std::uint16_t>;
using Elements = std::set<Element, ElementKeyLess>;

bool is_of_node_port(const Element& element) {
  return row_of(element.kind).scope == ElementScope::kNodePort;
}

// The elements of one kind and address; those of node ports have none.
template <typename Visit>
void for_each_at(const Elements& elements, ElementKind kind, const Address& address, Visit visit) {
  auto element = elements.lower_bound({.kind = kind, .address = address});
  for (; element != elements.end() && element->kind == kind && element->address == address;
       ++element) {
    visit(*element);
  }
}

const Address kNoAddresses[] = {boost::asio::ip::address_v4::any(),
                                boost::asio::ip::address_v6::any()};

}  // namespace

DirtyKeys keys_of(const Changes& changes) {
  DirtyKeys keys;
  for (const auto* ops : {&changes.protect, &changes.unprotect}) {
    for (const ElementOp& op : *ops) keys.elements.insert(op.element);
  }
  for (const auto* ops : {&changes.create, &changes.fill, &changes.release, &changes.dismantle}) {
    for (const ServerOp& op : *ops) keys.servers.insert(op.server.key);
  }
  for (const auto* ops : {&changes.bind, &changes.unbind}) {
    for (const AddressOp& op : *ops) keys.addresses.insert(op.address);
  }
  return keys;
}

void Backlog::add(Changes deferred) {
  keys_.merge(keys_of(deferred));
  for (const ElementOp& op : deferred.protect) protecting_.insert(op.element);
  append(changes_.protect, deferred.protect);
  append(changes_.create, deferred.create);
  append(changes_.fill, deferred.fill);
  append(changes_.bind, deferred.bind);
  append(changes_.release, deferred.release);
  append(changes_.unbind, deferred.unbind);
  append(changes_.dismantle, deferred.dismantle);
  append(changes_.unprotect, deferred.unprotect);
}

Changes Backlog::take() {
  keys_ = {};
  protecting_ = {};
  return std::exchange(changes_, {});
}

// The elements, among `protection`, without which these virtual servers and addresses must not be there.
void Backlog::add_protection(const DirtyKeys& keys, const Elements& protection, DirtyKeys& found) {
  std::set<Address> addresses = keys.addresses;
  std::set<Port> ports;
  for (const ServerKey& key : keys.servers) {
    addresses.insert(key.address);
    ports.emplace(key.protocol, key.port);
  }
  const auto take = [&](const Element& element) { found.elements.insert(element); };
  for (const ElementKindRow& row : kElementKinds) {
    if (row.scope != ElementScope::kNodePort) {
      for (const Address& each : addresses) for_each_at(protection, row.kind, each, take);
      continue;
    }
    for (const Address& none : kNoAddresses) {
      for (const auto& [protocol, port] : ports) {
        const auto element = protection.find(
            {.kind = row.kind, .address = none, .protocol = protocol, .port = port});
        if (element != protection.end()) take(*element);
      }
    }
  }
}

// What these elements protect, and the other ranges of the same virtual server.
void Backlog::add_protected(const DirtyKeys& keys, DirtyKeys& found) const {
  std::set<Port> node_ports;
  for (const Element& element : keys.elements) {
    if (is_of_node_port(element)) {
      node_ports.emplace(element.protocol, element.port);
      continue;
    }
    for_each_at(keys_.elements, element.kind, element.address, [&](const Element& other) {
      if (same_server(element, other)) found.elements.insert(other);
    });
    auto server = keys_.servers.lower_bound({.address = element.address});
    for (; server != keys_.servers.end() && server->address == element.address; ++server) {
      found.servers.insert(*server);
    }
    if (keys_.addresses.contains(element.address)) found.addresses.insert(element.address);
  }
  if (node_ports.empty()) return;
  for (const ServerKey& key : keys_.servers) {
    if (node_ports.contains({key.protocol, key.port})) found.servers.insert(key);
  }
}

DirtyKeys Backlog::related(const DirtyKeys& keys, const Elements& protection) const {
  DirtyKeys found;
  for (const ServerKey& key : keys.servers) {
    if (keys_.servers.contains(key)) found.servers.insert(key);
  }
  for (const Address& address : keys.addresses) {
    if (keys_.addresses.contains(address)) found.addresses.insert(address);
  }
  for (const Element& element : keys.elements) {
    if (keys_.elements.contains(element)) found.elements.insert(element);
  }
  add_protected(keys, found);
  DirtyKeys all = keys;
  all.merge(found);
  add_protection(all, protection, found);
  return found;
}

DirtyKeys Backlog::take_related(const DirtyKeys& keys) {
  if (empty() || keys.empty()) return {};
  return remove(related(keys, protecting_));
}

DirtyKeys Backlog::take_refused(const DirtyKeys& keys) {
  if (empty() || keys.empty()) return {};
  return remove(related(keys, keys_.elements));
}

DirtyKeys Backlog::remove(DirtyKeys all) {
  if (all.empty()) return all;
  for (const ServerKey& key : all.servers) keys_.servers.erase(key);
  for (const Address& address : all.addresses) keys_.addresses.erase(address);
  for (const Element& element : all.elements) {
    keys_.elements.erase(element);
    protecting_.erase(element);
  }
  for (auto* ops : {&changes_.protect, &changes_.unprotect}) {
    std::erase_if(*ops, [&](const ElementOp& op) { return all.elements.contains(op.element); });
  }
  for (auto* ops : {&changes_.create, &changes_.fill, &changes_.release, &changes_.dismantle}) {
    std::erase_if(*ops, [&](const ServerOp& op) { return all.servers.contains(op.server.key); });
  }
  for (auto* ops : {&changes_.bind, &changes_.unbind}) {
    std::erase_if(*ops, [&](const AddressOp& op) { return all.addresses.contains(op.address); });
  }
  return all;
}

}  // namespace ipvs
