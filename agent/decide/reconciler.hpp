// SPDX-License-Identifier: Apache-2.0
//
// The decisions of the sync loop, without its waiting: which plans there are, what the kernel
// holds, what to change next, and what became of it. Synchronous and free of I/O, so that tests
// drive it step by step.
//
//   adopt(observed)                      once, before anything is changed
//   set_plan / remove ...                whenever Services change
//   changes = next_changes(may_drain)    what to do now
//   recorded = record(changes, outcome)  what became of it
//
// Ownership: a virtual server is ours if OwnServers::contains() says so
// (ipvs/state/own_servers.hpp). All others are foreign: they are never changed, and a Service that
// wants the same address and port is reported as a conflict and not served there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "agent/decide/claims.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/state/ledger.hpp"
#include "ipvs/state/record_outcome.hpp"

namespace agent {

// Why a Service does not get a virtual server.
enum class ConflictReason : std::uint8_t {
  kOlderService,   // another Service has claimed it (agent/decide/claims.hpp)
  kForeignServer,  // there is one in the kernel that is not ours
};

class Reconciler {
 public:
  void adopt(const ipvs::Observed& observed);

  struct Conflict {
    ipvs::Owner owner;
    ipvs::ServerKey key;
    ConflictReason reason = ConflictReason::kOlderService;
    ipvs::Owner holder;  // the older Service
  };
  struct Planned {
    std::vector<Conflict> conflicts;
    std::set<ipvs::Owner> others;  // plan these again
  };
  Planned set_plan(const ipvs::Owner& owner, k8s::UnixSeconds since, ipvs::ServicePlan plan);
  std::set<ipvs::Owner> remove(const ipvs::Owner& owner);
  // Where node ports are served: set elements that belong to no Service.
  void set_node_addresses(const std::vector<ipvs::Address>& addresses);

  ipvs::Changes next_changes(const ipvs::MayDrain& may_drain);
  ipvs::Recorded record(const ipvs::Changes& changes, const ipvs::Outcome& outcome);
  // Keys whose last attempt failed; next_changes() leaves them out until retry_failed() is called.
  std::size_t failed_count() const { return failed_.size(); }
  void retry_failed();

  // All elements that the table must have now: those wanted, and those still held, so that no
  // virtual server in the kernel loses its protection.
  std::vector<ipvs::Element> table_elements() const;
  void table_installed(const std::vector<ipvs::Element>& elements);
  // Compares the ledger with one virtual server of ours as read from the kernel (nullopt: it does
  // not exist) and corrects the ledger. True if they differed: drift, which the next changes
  // repair.
  bool compare(const ipvs::ServerKey& key, const std::optional<ipvs::Server>& found);
  // The same for all addresses; the result is those that differed.
  std::set<ipvs::Address> compare_addresses(const std::vector<ipvs::Address>& found);
  // The changes that delete destinations of weight 0 which no Service wants and which have drained
  // (no connections left) or may no longer drain.
  ipvs::Changes finish_drains(const std::vector<ipvs::ServerReading>& readings,
                              const ipvs::MayDrain& may_drain) const;
  // Foreign virtual servers at an address and port where a Service wants one.
  std::vector<ipvs::ServerKey> contested() const;
  // One of them was deleted; the result is the Services to be planned again because of it.
  std::set<ipvs::Owner> foreign_gone(const ipvs::ServerKey& key);

  const ipvs::Desired& desired() const { return desired_; }
  const ipvs::Ledger& ledger() const { return ledger_; }
  std::size_t foreign_count() const { return foreign_.size(); }

 private:
  // Failed elements wait for retry_failed(), but not when something they protect is to be created.
  void retry_needed_elements();

  ipvs::Desired desired_;
  ipvs::Ledger ledger_;
  Claims claims_;
  ipvs::DirtyKeys dirty_;
  ipvs::DirtyKeys failed_;
  std::set<ipvs::ServerKey> foreign_;
  // The Services that are not served because of a foreign virtual server.
  std::map<ipvs::ServerKey, std::set<ipvs::Owner>> waiting_;
};

// The observed virtual servers that are not ours (ipvs/state/own_servers.hpp).
std::set<ipvs::ServerKey> foreign_servers(const ipvs::Observed& observed);

}  // namespace agent
