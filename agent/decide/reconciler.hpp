// SPDX-License-Identifier: Apache-2.0
//
// The decisions of the sync loop, without its waiting: which plans there are, what the kernel
// holds, what to change next, what became of it. Synchronous and free of I/O, so that tests drive
// it step by step.
//
//   adopt(observed)                      once, before anything is changed
//   set_plan / remove ...                whenever Services change
//   changes = next_changes(may_drain)    what to do now
//   entered = enter(changes, outcome)    what became of it
//
// Ownership: what ipvs/state/own_servers.hpp knows for ours is. All other virtual servers are foreign:
// never changed, and a Service that wants the same address and port is told so and goes without.
#pragma once

#include <set>
#include <vector>

#include "agent/decide/claims.hpp"
#include "ipvs/state/apply.hpp"

namespace agent {

class Reconciler {
 public:
  void adopt(const ipvs::Observed& observed);

  struct Conflict {
    ipvs::Owner owner;
    ipvs::ServerKey key;
    ipvs::Owner holder;  // "" : a virtual server that is not ours
  };
  struct Planned {
    std::vector<Conflict> conflicts;
    std::set<ipvs::Owner> others;  // plan these anew
  };
  Planned set_plan(const ipvs::Owner& owner, k8s::UnixSeconds since, ipvs::ServicePlan plan);
  std::set<ipvs::Owner> remove(const ipvs::Owner& owner);
  // Where node ports are served: set elements that belong to no Service.
  void set_node_addresses(const std::vector<ipvs::Address>& addresses);

  ipvs::Changes next_changes(const ipvs::MayDrain& may_drain);
  ipvs::Entered enter(const ipvs::Changes& changes, const ipvs::Outcome& outcome);
  // Keys whose last attempt failed; next_changes() takes them up again after retry_failed().
  std::size_t failed_count() const { return failed_.size(); }
  void retry_failed();

  // The whole table as it has to be now: what is wanted and what is still held, so that nothing
  // that is up loses its protection.
  std::vector<ipvs::Element> table_elements() const;
  void table_installed(const std::vector<ipvs::Element>& elements);
  // What a look at the kernel showed of one virtual server of ours (nullopt: it is not there). True
  // if it was not as entered: drift, to be repaired by the next changes.
  bool compare(const ipvs::ServerKey& key, const std::optional<ipvs::Server>& found);
  bool compare_addresses(const std::vector<ipvs::Address>& found);
  // Destinations at weight 0 that nobody wants and that have finished (no connections, or no right
  // to go on): the changes that delete them.
  ipvs::Changes finish_drains(const std::vector<ipvs::ServerReading>& readings,
                              const ipvs::MayDrain& may_drain) const;
  // Foreign virtual servers that stand where a Service wants one.
  std::vector<ipvs::ServerKey> contested() const;
  // One of them is gone: the Services that waited for its place are to be planned anew.
  std::set<ipvs::Owner> foreign_gone(const ipvs::ServerKey& key);

  const ipvs::Desired& desired() const { return desired_; }
  const ipvs::Ledger& ledger() const { return ledger_; }
  std::size_t foreign_count() const { return foreign_.size(); }

 private:
  // Elements that failed wait for retry_failed(), but not while what they protect is being made.
  void hasten_protection();

  ipvs::Desired desired_;
  ipvs::Ledger ledger_;
  Claims claims_;
  ipvs::DirtyKeys dirty_;
  ipvs::DirtyKeys failed_;
  std::set<ipvs::ServerKey> foreign_;
  // Who goes without because of a foreign virtual server.
  std::map<ipvs::ServerKey, std::set<ipvs::Owner>> waiting_;
};

// Splits what was observed into ours and the rest, by ipvs/state/own_servers.hpp.
std::set<ipvs::ServerKey> foreign_servers(const ipvs::Observed& observed);

}  // namespace agent
