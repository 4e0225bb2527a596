// SPDX-License-Identifier: Apache-2.0
//
// Operations that were put off in favour of others (ipvs/state/apply.hpp, take_deferred()). Pure.
//
// They stay valid while neither what is wanted of their objects nor what the kernel holds of them
// changes. What changes is taken out with take_related() and compared again; so what is done first
// never overtakes something that it depends on.
#pragma once

#include "ipvs/state/diff.hpp"
#include "ipvs/state/dirty_keys.hpp"

namespace ipvs {

// The keys of all operations.
DirtyKeys keys_of(const Changes& changes);

class Backlog {
 public:
  bool empty() const { return changes_.empty(); }
  std::size_t size() const { return changes_.size(); }
  // After those that are here.
  void add(Changes deferred);
  // All of it, in order.
  Changes take();
  // Removes the operations on these objects, the additions of elements that protect them, and what
  // is to be deleted before these elements can be. Returns their keys. Work is proportional to
  // `keys`, unless it finds some.
  DirtyKeys take_related(const DirtyKeys& keys);
  // The same of what was refused: with it go the deletions of elements that protect it, too.
  DirtyKeys take_refused(const DirtyKeys& keys);

 private:
  using Elements = std::set<Element, ElementKeyLess>;
  DirtyKeys related(const DirtyKeys& keys, const Elements& protection) const;
  static void add_protection(const DirtyKeys& keys, const Elements& protection, DirtyKeys& found);
  void add_protected(const DirtyKeys& keys, DirtyKeys& found) const;
  DirtyKeys remove(DirtyKeys keys);

  Changes changes_;
  DirtyKeys keys_;       // of changes_
  Elements protecting_;  // of changes_.protect
};

}  // namespace ipvs
