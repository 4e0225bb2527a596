// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/diff.hpp"

#include <algorithm>
#include <span>
#include <tuple>

namespace ipvs {
namespace {

void diff_element(const Element* wanted, const Element* held, Changes& changes) {
  if (wanted && held) {
    if (*wanted == *held) return;
    // The value of a map element cannot be changed in place; both operations are in one transaction.
    changes.protect.push_back({.add = false, .element = *held});
    changes.protect.push_back({.add = true, .element = *wanted});
  } else if (wanted) {
    changes.protect.push_back({.add = true, .element = *wanted});
  } else if (held) {
    changes.unprotect.push_back({.add = false, .element = *held});
  }
}

// Operations on elements of one kind, address, protocol and port: of all allowed sources of one
// virtual server.
bool before(const ElementOp& a, const ElementOp& b) {
  const auto subject = [](const Element& e) {
    return std::tie(e.kind, e.address, e.protocol, e.port);
  };
  return subject(a.element) < subject(b.element);
}

// Moves the deletion of an allowed source that overlaps a new one into `protect`: they are
// exchanged in one transaction, so that at no moment a client is let in or shut out by mistake.
// `protect` is ordered by element and stays so.
void exchange_overlapping(Changes& changes) {
  std::vector<ElementOp>& added = changes.protect;
  const auto stays = [&](const ElementOp& old) {
    if (!row_of(old.element.kind).key.network) return true;
    const auto [first, last] = std::equal_range(added.begin(), added.end(), old, before);
    return std::none_of(first, last, [&](const ElementOp& op) {
      return op.add && overlap(op.element, old.element);
    });
  };
  auto& deleted = changes.unprotect;
  const auto moved = std::stable_partition(deleted.begin(), deleted.end(), stays);
  for (auto old = moved; old != deleted.end(); ++old) {
    added.insert(std::lower_bound(added.begin(), added.end(), *old, before), *old);
  }
  deleted.erase(moved, deleted.end());
}

void diff_address(const Address& address, bool wanted, bool held, Changes& changes) {
  if (wanted && !held) changes.bind.push_back({.add = true, .address = address});
  if (!wanted && held) changes.unbind.push_back({.add = false, .address = address});
}

ServerOp destination_op(ServerCommand command, const VirtualServer& server,
                        const Destination& destination) {
  return {.command = command, .server = {.key = server.key}, .destination = destination};
}

// A scheduler that chooses by a hash alone, without a fallback, refuses the clients whose hash
// leads to a destination of weight 0 (ip_vs_dh.c; ip_vs_sh.c and ip_vs_mh.c without their fallback
// flag).
bool refuses_while_draining(const VirtualServer& server) {
  if (server.scheduler == "dh") return true;
  const bool hashes = server.scheduler == "sh" || server.scheduler == "mh";
  return hashes && (server.flags & kFlagSched1) == 0;
}

// A destination that the kernel holds and no Service wants: it drains if it may, or is deleted.
void drain_or_delete(const VirtualServer& server, const Destination& held,
                     const MayDrain& may_drain, Changes& changes) {
  const bool drains = can_drain(server) && may_drain && may_drain(server.key, held.endpoint);
  if (!drains) {
    changes.release.push_back(destination_op(ServerCommand::kDelDest, server, held));
  } else if (held.weight != 0) {
    changes.fill.push_back(
        destination_op(ServerCommand::kSetDest, server, {.endpoint = held.endpoint, .weight = 0}));
  }
}

// Both lists are ordered by endpoint: one walk over the two.
void diff_destinations(const Server& planned, const std::vector<Destination>& held,
                       const Spread& spread, const MayDrain& may_drain, Changes& changes) {
  const VirtualServer& server = planned.settings;
  const std::size_t first = changes.fill.size();
  auto old = held.begin();
  for (const Destination& wanted : planned.destinations) {
    for (; old != held.end() && old->endpoint < wanted.endpoint; ++old) {
      drain_or_delete(server, *old, may_drain, changes);
    }
    if (old == held.end() || old->endpoint != wanted.endpoint) {
      changes.fill.push_back(destination_op(ServerCommand::kNewDest, server, wanted));
      continue;
    }
    if (old->weight != wanted.weight) {
      changes.fill.push_back(destination_op(ServerCommand::kSetDest, server, wanted));
    }
    ++old;
  }
  for (; old != held.end(); ++old) drain_or_delete(server, *old, may_drain, changes);
  spread.arrange(server, std::span(changes.fill).subspan(first));
}

void diff_server(const ServerKey& key, const Server* wanted, const Ledger& ledger,
                 const Spread& spread, const MayDrain& may_drain, Changes& changes) {
  if (!wanted) {
    if (ledger.owns(key)) {
      changes.dismantle.push_back(
          {.command = ServerCommand::kDelService, .server = {.key = key}, .destination = {}});
    }
    return;
  }
  const VirtualServer& settings = wanted->settings;
  const Server* held = ledger.server(key);
  if (!held) {
    changes.create.push_back(
        {.command = ServerCommand::kNewService, .server = settings, .destination = {}});
    diff_destinations(*wanted, {}, spread, may_drain, changes);
    return;
  }
  if (held->settings != settings) {
    changes.create.push_back(
        {.command = ServerCommand::kSetService, .server = settings, .destination = {}});
  }
  diff_destinations(*wanted, held->destinations, spread, may_drain, changes);
}

}  // namespace

bool can_drain(const VirtualServer& server) {
  return server.key.protocol == Protocol::kTcp && !refuses_while_draining(server);
}

Changes diff(const Desired& desired, const Ledger& ledger, const DirtyKeys& keys,
             const MayDrain& may_drain, const Spread& spread) {
  Changes changes;
  if (ledger.server_count() == 0) {  // all of it is new
    changes.create.reserve(keys.servers.size());
    changes.fill.reserve(desired.destination_count());
    changes.bind.reserve(keys.addresses.size());
  }
  for (const Element& key : keys.elements) {
    diff_element(desired.element(key), ledger.element(key), changes);
  }
  exchange_overlapping(changes);
  for (const ServerKey& key : keys.servers) {
    diff_server(key, desired.server(key), ledger, spread, may_drain, changes);
  }
  for (const Address& address : keys.addresses) {
    diff_address(address, desired.wants(address), ledger.holds(address), changes);
  }
  return changes;
}

}  // namespace ipvs
