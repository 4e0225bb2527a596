// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/diff.hpp"

#include <algorithm>
#include <tuple>

namespace ipvs {
namespace {

void diff_element(const Element* wanted, const Element* held, Changes& changes) {
  if (wanted && held) {
    if (*wanted == *held) return;
    // The value of a map element cannot be changed in place; both halves go in one transaction.
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

// Moves allowed sources that go and overlap some that come to these: they are exchanged in one
// transaction, so that nobody is let in or shut out meanwhile. `protect` is in the order of its
// elements, and stays so.
void exchange_overlapping(Changes& changes) {
  std::vector<ElementOp>& coming = changes.protect;
  const auto stays = [&](const ElementOp& gone) {
    if (!row_of(gone.element.kind).key.network) return true;
    const auto [first, last] = std::equal_range(coming.begin(), coming.end(), gone, before);
    return std::none_of(first, last, [&](const ElementOp& op) {
      return op.add && overlap(op.element, gone.element);
    });
  };
  auto& going = changes.unprotect;
  const auto moved = std::stable_partition(going.begin(), going.end(), stays);
  for (auto gone = moved; gone != going.end(); ++gone) {
    coming.insert(std::lower_bound(coming.begin(), coming.end(), *gone, before), *gone);
  }
  going.erase(moved, going.end());
}

void diff_address(const Address& address, bool wanted, bool held, Changes& changes) {
  if (wanted && !held) changes.bind.push_back({.add = true, .address = address});
  if (!wanted && held) changes.unbind.push_back({.add = false, .address = address});
}

ServerOp destination_op(ServerCommand command, const VirtualServer& server,
                        const Destination& destination) {
  return {.command = command, .server = {.key = server.key}, .destination = destination};
}

// A scheduler that chooses by a hash alone and has nowhere to fall back to refuses what falls on a
// resting destination: its clients would wait for nothing (ip_vs_dh.c; ip_vs_sh.c and ip_vs_mh.c
// without their fallback flag).
bool rests_refuse(const VirtualServer& server) {
  if (server.scheduler == "dh") return true;
  const bool hashes = server.scheduler == "sh" || server.scheduler == "mh";
  return hashes && (server.flags & kFlagSched1) == 0;
}

// A destination the kernel holds and nobody wants: rest it while it may finish its work, or delete
// it.
void retire(const VirtualServer& server, const Destination& held, const MayDrain& may_drain,
            Changes& changes) {
  const bool drains = server.key.protocol == Protocol::kTcp && !rests_refuse(server) && may_drain &&
                      may_drain(server.key, held.endpoint);
  if (!drains) {
    changes.release.push_back(destination_op(ServerCommand::kDelDest, server, held));
  } else if (held.weight != 0) {
    changes.fill.push_back(
        destination_op(ServerCommand::kSetDest, server, {.endpoint = held.endpoint, .weight = 0}));
  }
}

// Both lists are ordered by endpoint: one walk over the two.
void diff_destinations(const Server& planned, const std::vector<Destination>& held,
                       const MayDrain& may_drain, Changes& changes) {
  const VirtualServer& server = planned.settings;
  auto old = held.begin();
  for (const Destination& wanted : planned.destinations) {
    for (; old != held.end() && old->endpoint < wanted.endpoint; ++old) {
      retire(server, *old, may_drain, changes);
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
  for (; old != held.end(); ++old) retire(server, *old, may_drain, changes);
}

void diff_server(const ServerKey& key, const Server* wanted, const Server* held,
                 const MayDrain& may_drain, Changes& changes) {
  if (!wanted) {
    if (held) {
      changes.dismantle.push_back(
          {.command = ServerCommand::kDelService, .server = {.key = key}, .destination = {}});
    }
    return;
  }
  const VirtualServer& settings = wanted->settings;
  if (!held) {
    changes.create.push_back(
        {.command = ServerCommand::kNewService, .server = settings, .destination = {}});
    diff_destinations(*wanted, {}, may_drain, changes);
    return;
  }
  if (held->settings != settings) {
    changes.create.push_back(
        {.command = ServerCommand::kSetService, .server = settings, .destination = {}});
  }
  diff_destinations(*wanted, held->destinations, may_drain, changes);
}

}  // namespace

Changes diff(const Desired& desired, const Ledger& ledger, const DirtyKeys& keys,
             const MayDrain& may_drain) {
  Changes changes;
  for (const Element& key : keys.elements) {
    diff_element(desired.element(key), ledger.element(key), changes);
  }
  exchange_overlapping(changes);
  for (const ServerKey& key : keys.servers) {
    diff_server(key, desired.server(key), ledger.server(key), may_drain, changes);
  }
  for (const Address& address : keys.addresses) {
    diff_address(address, desired.wants(address), ledger.holds(address), changes);
  }
  return changes;
}

}  // namespace ipvs
