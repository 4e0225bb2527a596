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
// What apply() defers, because others wait, is given back with defer() before record(), and waits in
// the backlog: next_changes() is about what changed since, take_backlog() about what is left.
//
// Ownership: a virtual server is ours if OwnServers::contains() says so
// (ipvs/state/own_servers.hpp). All others are foreign: they are never changed, and a Service that
// wants the same address and port is reported as a conflict and not served there. The exception is
// what kube-proxy has left (agent/decide/takeover.hpp): it becomes ours when a Service wants it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "agent/decide/claims.hpp"
#include "agent/decide/retries.hpp"
#include "agent/decide/takeover.hpp"
#include "ipvs/state/backlog.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/state/ledger.hpp"
#include "ipvs/state/record_outcome.hpp"
#include "ipvs/state/spread.hpp"

namespace agent {

// Why a Service does not get a virtual server.
enum class ConflictReason : std::uint8_t {
  kOtherService,   // its claim counts more (agent/decide/claims.hpp)
  kForeignServer,  // there is one in the kernel that is not ours
  kLeftServer,     // one that --takeover=auto would take over
};

class Reconciler {
 public:
  Reconciler() = default;
  explicit Reconciler(Backoff backoff, ipvs::Spread spread = {})
      : failed_(backoff), spread_(spread) {}

  void adopt(const ipvs::Observed& observed, Takeover takeover = Takeover::kAuto);

  struct Conflict {
    ipvs::Owner owner;
    ipvs::ServerKey key;
    ConflictReason reason = ConflictReason::kOtherService;
    ipvs::Owner holder;  // the other Service
  };
  struct Planned {
    std::vector<Conflict> conflicts;
    std::set<ipvs::Owner> others;  // plan these again
    std::vector<ipvs::ServerKey> taken_over;
  };
  Planned set_plan(const ipvs::Owner& owner, const Standing& standing, ipvs::ServicePlan plan);
  std::set<ipvs::Owner> remove(const ipvs::Owner& owner);
  // Where node ports are served: set elements that belong to no Service.
  void set_node_addresses(const std::vector<ipvs::Address>& addresses);

  ipvs::Changes next_changes(const ipvs::MayDrain& may_drain);
  ipvs::Recorded record(const ipvs::Changes& changes, const ipvs::Outcome& outcome,
                        const Retries::Moment& moment = {});
  // To be done after what changes now.
  void defer(ipvs::Changes changes);
  ipvs::Changes take_backlog();
  std::size_t backlog_size() const { return backlog_.size(); }
  // What was refused and, since the last call, is not any more: the kernel accepted it, or nobody
  // wants it.
  std::vector<ipvs::Failure> take_ended() { return std::exchange(ended_, {}); }
  // Keys whose last attempt failed; next_changes() leaves them out until one of the next two is
  // called, or what is wanted of them changes.
  std::size_t failed_count() const { return failed_.size(); }
  void retry_failed() { dirty_.merge(failed_.all()); }
  void retry_due(Retries::Time now) { dirty_.merge(failed_.due(now)); }
  // Nothing is left to be changed but what was refused, and what is planned after this.
  bool is_settled() const { return dirty_.empty() && backlog_.empty(); }
  // Services that want something of the kernel.
  std::size_t service_count() const;
  const Retries& failed() const { return failed_; }
  // Since when the kernel has refused something that is not one object's fault (ipvs::Blame), with
  // the refusal; where every virtual server or every address that two or more Services want is
  // refused, that is the node's fault, whatever the errno.
  std::optional<Retries::Refusal> fault_of_node() const;

  // All elements that the table must have now: those wanted, and those still held, so that no
  // virtual server in the kernel loses its protection.
  std::vector<ipvs::Element> table_elements() const;
  // The next changes compare every element with what is wanted.
  void table_installed(const std::vector<ipvs::Element>& elements);
  // The same for the first table, before any changes: here the elements that are not as wanted are
  // found at once, and the next changes are about these only.
  void first_table_installed(const std::vector<ipvs::Element>& elements);
  // Compares the ledger with one virtual server of ours as read from the kernel (nullopt: it does
  // not exist) and corrects the ledger. True if they differed: drift, which the next changes
  // repair.
  bool compare(const ipvs::ServerKey& key, const std::optional<ipvs::Server>& found);
  // The same for all addresses; the result is those that differed.
  std::set<ipvs::Address> compare_addresses(const std::vector<ipvs::Address>& found);
  // Whether this address is bound is not known: the next changes bind or unbind it, as is wanted.
  void doubt_address(const ipvs::Address& address);
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
  const std::set<ipvs::ServerKey>& foreign() const { return foreign_; }

 private:
  void adopt_addresses(const ipvs::Observed& observed);
  void note_leftovers(const ipvs::Observed& observed);
  bool was_left(const ipvs::Server& wanted, const ipvs::ServicePlan& plan) const;
  void take_over(const ipvs::ServerKey& key);
  void take_over_loopback(const ipvs::ServicePlan& plan, Planned& planned);
  // Failed elements wait for their time, but not when something they protect is to be created.
  void retry_needed_elements(ipvs::DirtyKeys& keys) const;
  void add_unwanted_addresses(ipvs::DirtyKeys& keys) const;
  void note_ended(std::vector<ipvs::Failure> ended);
  void drop_refused(ipvs::Recorded& recorded);
  ipvs::Changes changes_of(ipvs::DirtyKeys keys, const ipvs::MayDrain& may_drain);

  ipvs::Desired desired_;
  ipvs::Ledger ledger_;
  Claims claims_;
  ipvs::DirtyKeys dirty_;
  ipvs::Backlog backlog_;
  std::vector<ipvs::Failure> ended_;
  Retries failed_;
  ipvs::Spread spread_;
  Takeover takeover_ = Takeover::kAuto;
  std::set<ipvs::ServerKey> foreign_;
  // On kube-ipvs0, and not ours to delete; only without Takeover::kAuto.
  std::set<ipvs::Address> foreign_addresses_;
  // Those of them that may be kube-proxy's, as they were at the start.
  struct Leftover {
    ipvs::Server server;
    LeftoverEvidence evidence;
  };
  std::map<ipvs::ServerKey, Leftover> leftovers_;
  // The Services that are not served because of a foreign virtual server.
  std::map<ipvs::ServerKey, std::set<ipvs::Owner>> waiting_;
};

// The observed virtual servers that are not ours (ipvs/state/own_servers.hpp).
std::set<ipvs::ServerKey> foreign_servers(const ipvs::Observed& observed,
                                          Takeover takeover = Takeover::kAuto);

}  // namespace agent
