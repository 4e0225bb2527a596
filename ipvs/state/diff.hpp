// SPDX-License-Identifier: Apache-2.0
//
// The operations that take the kernel from what it is known to hold to what is desired. Pure.
//
// The phases of Changes are carried out in the order they are declared (ipvs/state/apply.hpp). The
// order keeps a VIP from being reachable before its rules exist, and adds everything new before
// anything old is deleted:
//
//   protect    adds set elements of new things           (one nftables transaction); first deletes
//              unwanted allowed sources that overlap a new one
//   create     adds and changes virtual servers
//   fill       adds and changes destinations; not those of a virtual server that could not be
//              created: it may be somebody else's
//   bind       adds addresses
//   release    deletes destinations of virtual servers that stay
//   unbind     deletes addresses
//   dismantle  deletes virtual servers
//   unprotect  deletes set elements of what was deleted  (one nftables transaction)
#pragma once

#include <functional>
#include <vector>

#include "ipvs/state/desired.hpp"
#include "ipvs/state/dirty_keys.hpp"
#include "ipvs/state/ledger.hpp"
#include "ipvs/state/operations.hpp"
#include "ipvs/state/spread.hpp"

namespace ipvs {

struct Changes {
  std::vector<ElementOp> protect;
  std::vector<ServerOp> create;
  std::vector<ServerOp> fill;
  std::vector<AddressOp> bind;
  std::vector<ServerOp> release;
  std::vector<AddressOp> unbind;
  std::vector<ServerOp> dismantle;
  std::vector<ElementOp> unprotect;

  bool empty() const { return size() == 0; }
  std::size_t size() const {
    return protect.size() + create.size() + fill.size() + bind.size() + release.size() +
           unbind.size() + dismantle.size() + unprotect.size();
  }
  bool operator==(const Changes&) const = default;
};

// Whether an endpoint that is no longer wanted may drain: where the kernel still holds it, its
// weight is set to 0 instead of deleting it. Called for TCP only; empty: never.
using MayDrain = std::function<bool(const ServerKey&, const Endpoint&)>;

// Whether its destinations can drain: not with another protocol than TCP, nor with a scheduler that
// refuses clients meanwhile.
bool can_drain(const VirtualServer& server);

// The operations that take `ledger` to `desired`, for the given keys. Keys whose states agree yield
// nothing, so that diff(d, l, keys) is empty where l already is what d wants. `spread`: in which
// order new destinations are added.
Changes diff(const Desired& desired, const Ledger& ledger, const DirtyKeys& keys,
             const MayDrain& may_drain = {}, const Spread& spread = {});

}  // namespace ipvs
