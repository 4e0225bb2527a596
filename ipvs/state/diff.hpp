// SPDX-License-Identifier: Apache-2.0
//
// From what is wanted and what is known to the operations in between. Pure.
//
// The phases of Changes are carried out in the order they are declared (ipvs/state/apply.hpp); the order
// keeps a VIP from being reachable before its rules exist and adds everything new before anything
// old goes:
//
//   protect    set elements of new things               (one nftables transaction); before allowed sources
//              that come, those that go and overlap them
//   create     new and changed virtual servers
//   fill       new and changed destinations; not those of a virtual server that could not be
//   created: it may
//              be somebody else's
//   bind       new addresses
//   release    destinations that go, of virtual servers that stay
//   unbind     addresses that go
//   dismantle  virtual servers that go
//   unprotect  set elements of things that are gone     (one nftables transaction)
#pragma once

#include <functional>
#include <vector>

#include "ipvs/state/desired.hpp"
#include "ipvs/state/operations.hpp"

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

// Whether an endpoint that is no longer wanted may finish its connections: where the kernel still
// holds it, it goes to weight 0 instead of being deleted. Asked for TCP only; empty: never.
using MayDrain = std::function<bool(const ServerKey&, const Endpoint&)>;

// The operations that take `ledger` to `desired` as far as `keys` go. Keys whose states agree yield
// nothing, so that diff(d, l, keys) is empty where l already is what d wants.
Changes diff(const Desired& desired, const Ledger& ledger, const DirtyKeys& keys,
             const MayDrain& may_drain = {});

}  // namespace ipvs
