// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/apply.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>
#include <span>
#include <utility>

namespace ipvs {
namespace {

using FailedElements = std::vector<Element>;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kTimed = 128;  // operations

// Cuts the phases into steps.
class Steps {
 public:
  Steps(const MustPause& must_pause, const StepSizes& sizes_in)
      : sizes(sizes_in), must_pause_(must_pause) {}
  const StepSizes sizes;

  bool paced() const { return static_cast<bool>(must_pause_); }
  // Nothing more is to be begun.
  bool ended() const { return ended_; }
  void end() { ended_ = paced(); }
  bool next() {
    if (!ended_ && paced() && steps_++ >= sizes.least_steps) ended_ = must_pause_();
    return !ended_;
  }

  // Calls run() with `length` operations at a time; those that it does not get are deferred.
  template <typename Op, typename Run>
  std::vector<int> run(std::span<const Op> ops, std::size_t length, Run run) {
    std::vector<int> results;
    results.reserve(ops.size());
    while (results.size() < ops.size() && next()) {
      const std::size_t left = ops.size() - results.size();
      const auto part = ops.subspan(results.size(), paced() ? std::min(left, length) : left);
      const std::vector<int> got = run(part);
      results.insert(results.end(), got.begin(), got.end());
    }
    results.resize(ops.size(), kDeferred);
    return results;
  }

 private:
  const MustPause& must_pause_;
  bool ended_ = false;
  int steps_ = 0;
};

// Adds the time of its life to one of the outcome's KernelSeconds. Not for a few operations: on some
// machines to read the clock is a system call.
class Timed {
 public:
  Timed(const Changes& changes, double& seconds)
      : seconds_(changes.size() >= kTimed ? &seconds : nullptr) {
    if (seconds_) begin_ = Clock::now();
  }
  ~Timed() {
    if (seconds_) *seconds_ += std::chrono::duration<double>(Clock::now() - begin_).count();
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double* seconds_;
  Clock::time_point begin_{};
};

// How many operations from `first` on belong together: deletions and the additions in their place.
std::size_t unit_length(std::span<const ElementOp> ops, std::size_t first) {
  if (ops[first].add) return 1;
  const Element& element = ops[first].element;
  const auto belongs = [&](std::size_t i, bool add) {
    return i < ops.size() && ops[i].add == add &&
           (ops[i].element.same_key(element) || same_server(ops[i].element, element));
  };
  std::size_t end = first;
  while (belongs(end, false)) ++end;
  if (!belongs(end, true)) return 1;
  while (belongs(end, true)) ++end;
  return end - first;
}

// Units of a transaction that must not be separated: a single operation, the delete-add pair of a
// changed value, or the allowed sources of a virtual server that are exchanged.
std::vector<std::span<const ElementOp>> units_of(std::span<const ElementOp> ops) {
  std::vector<std::span<const ElementOp>> units;
  for (std::size_t i = 0; i < ops.size();) {
    const std::size_t length = unit_length(ops, i);
    units.push_back(ops.subspan(i, length));
    i += length;
  }
  return units;
}

// Finds the units for which a transaction is refused, by halving it; the others are carried out.
void change_by_halves(Kernel& kernel, std::span<const std::span<const ElementOp>> units,
                      const ElementOp* base, std::vector<int>& results) {
  if (units.empty()) return;
  const ElementOp* first = units.front().data();
  const ElementOp* last = units.back().data() + units.back().size();
  const int error = kernel.change_elements({first, last});
  if (error != 0 && units.size() > 1) {
    change_by_halves(kernel, units.first(units.size() / 2), base, results);
    change_by_halves(kernel, units.subspan(units.size() / 2), base, results);
    return;
  }
  for (const ElementOp* op = first; op != last; ++op)
    results[static_cast<std::size_t>(op - base)] = error;
}

bool satisfied(const ElementOp& op, const std::set<Element, ElementKeyLess>& present) {
  const auto found = present.find(op.element);
  return op.add ? found != present.end() && *found == op.element : found == present.end();
}

// After a refused transaction: the table is not as we believed. Read it, leave out what is done
// already, send the rest again, and if that fails too, find the refused units.
void resend_elements(Kernel& kernel, std::span<const ElementOp> ops, Outcome& outcome,
                     std::vector<int>& results) {
  auto read = kernel.read_elements();
  if (!read) {
    std::fill(results.begin(), results.end(), read.error().error_number);
    return;
  }
  const std::set<Element, ElementKeyLess> present(read->begin(), read->end());
  std::vector<ElementOp> open;
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (satisfied(ops[i], present)) {
      results[i] = 0;
    } else {
      open.push_back(ops[i]);
      index.push_back(i);
    }
  }
  std::vector<int> open_results(open.size(), 0);
  change_by_halves(kernel, units_of(open), open.data(), open_results);
  for (std::size_t i = 0; i < open.size(); ++i) results[index[i]] = open_results[i];
  auto truth = kernel.read_elements();
  if (truth) outcome.elements = std::move(*truth);
}

std::vector<int> change_elements(Kernel& kernel, std::span<const ElementOp> ops, Outcome& outcome) {
  std::vector<int> results(ops.size(), 0);
  if (ops.empty() || kernel.change_elements(ops) == 0) return results;
  resend_elements(kernel, ops, outcome, results);
  return results;
}

// Each step is a transaction. One that was refused is the last: what was read then is the truth about
// those before it, and about none after it.
std::vector<int> change_elements(Kernel& kernel, std::span<const ElementOp> ops, Outcome& outcome,
                                 Steps& steps) {
  if (!steps.paced()) return change_elements(kernel, ops, outcome);
  std::vector<int> results;
  results.reserve(ops.size());
  while (results.size() < ops.size() && steps.next()) {
    const std::size_t first = results.size();
    std::size_t end = first;
    while (end < ops.size() && end - first < steps.sizes.elements) end += unit_length(ops, end);
    const auto got = change_elements(kernel, ops.subspan(first, end - first), outcome);
    results.insert(results.end(), got.begin(), got.end());
    if (outcome.elements) steps.end();
  }
  results.resize(ops.size(), kDeferred);
  return results;
}

FailedElements failed_elements(const std::vector<ElementOp>& ops, const std::vector<int>& results) {
  FailedElements failed;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (results[i] != 0) failed.push_back(ops[i].element);
  }
  return failed;
}

// Runs `ops` except those `skip` names; results come back in the order of `ops`.
template <typename Op, typename Skip, typename Run>
std::vector<int> run_unless(const std::vector<Op>& ops, Skip skip, Run run) {
  std::vector<int> results(ops.size(), kSkipped);
  std::vector<Op> chosen;
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (skip(ops[i])) continue;
    chosen.push_back(ops[i]);
    index.push_back(i);
  }
  const std::vector<int> got = run(std::span<const Op>(chosen));
  for (std::size_t i = 0; i < index.size(); ++i) results[index[i]] = got[i];
  return results;
}

std::vector<int> change_servers(Kernel& kernel, std::span<const ServerOp> ops, Steps& steps) {
  return steps.run(ops, steps.sizes.servers,
                   [&](auto part) { return kernel.change_servers(part); });
}

std::vector<int> change_servers(Kernel& kernel, const std::vector<ServerOp>& ops,
                                const FailedElements& failed, Steps& steps) {
  if (steps.ended()) return std::vector<int>(ops.size(), kDeferred);
  if (failed.empty()) return change_servers(kernel, std::span(ops), steps);
  const auto skip = [&](const ServerOp& op) {
    return std::any_of(failed.begin(), failed.end(),
                       [&](const Element& e) { return depends_on(op.server.key, e); });
  };
  return run_unless(ops, skip, [&](auto chosen) { return change_servers(kernel, chosen, steps); });
}

// Many destinations are added in the order that is cheap for the kernel.
std::vector<int> add_destinations(Kernel& kernel, std::span<const ServerOp> ops, Steps& steps) {
  if (steps.ended()) return std::vector<int>(ops.size(), kDeferred);
  const std::vector<std::size_t> order = kernel.order_of_fill(ops);
  if (order.empty()) return change_servers(kernel, ops, steps);
  std::vector<ServerOp> ordered;
  ordered.reserve(ops.size());
  for (const std::size_t place : order) ordered.push_back(ops[place]);
  const std::vector<int> got = change_servers(kernel, std::span<const ServerOp>(ordered), steps);
  std::vector<int> results(ops.size());
  for (std::size_t i = 0; i < order.size(); ++i) results[order[i]] = got[i];
  return results;
}

// Destinations only of virtual servers that were created: one that existed before may be somebody
// else's and must not get ours.
std::vector<int> fill_servers(Kernel& kernel, const Changes& changes,
                              const std::vector<int>& created, const FailedElements& failed,
                              Steps& steps) {
  if (steps.ended()) return std::vector<int>(changes.fill.size(), kDeferred);
  std::set<ServerKey> not_made;
  for (std::size_t i = 0; i < created.size(); ++i) {
    if (created[i] != 0) not_made.insert(changes.create[i].server.key);
  }
  if (not_made.empty() && failed.empty()) return add_destinations(kernel, changes.fill, steps);
  const auto skip = [&](const ServerOp& op) {
    return not_made.contains(op.server.key) ||
           std::any_of(failed.begin(), failed.end(),
                       [&](const Element& e) { return depends_on(op.server.key, e); });
  };
  return run_unless(changes.fill, skip,
                    [&](auto chosen) { return add_destinations(kernel, chosen, steps); });
}

std::vector<int> change_addresses(Kernel& kernel, const std::vector<AddressOp>& ops,
                                  const FailedElements& failed, Steps& steps) {
  const auto change = [&](std::span<const AddressOp> chosen) {
    return steps.run(chosen, steps.sizes.addresses,
                     [&](auto part) { return kernel.change_addresses(part); });
  };
  if (steps.ended()) return std::vector<int>(ops.size(), kDeferred);
  if (failed.empty()) return change(ops);
  const auto skip = [&](const AddressOp& op) {
    return std::any_of(failed.begin(), failed.end(), [&](const Element& e) {
      return row_of(e.kind).outlives_address && e.address == op.address;
    });
  };
  return run_unless(ops, skip, change);
}

// Reads the destinations of virtual servers whose connections are counted, each once.
class LeavingReader {
 public:
  LeavingReader(Kernel& kernel, std::span<const ServerKey> leaving, Outcome& outcome)
      : kernel_(kernel), unread_(leaving.begin(), leaving.end()), outcome_(outcome) {}

  // Those of `keys`.
  template <typename Keys>
  void read(const Keys& keys) {
    std::vector<ServerKey> now;
    for (const ServerKey& key : keys) {
      if (unread_.erase(key) > 0) now.push_back(key);
    }
    read_now(now);
  }
  void read(std::span<const ServerOp> ops) {
    std::set<ServerKey> keys;
    for (const ServerOp& op : ops) keys.insert(op.server.key);
    read(keys);
  }
  // All but those of `kept`, which are read when they are deleted.
  void read_all_but(const std::set<ServerKey>& kept, Steps& steps) {
    std::vector<ServerKey> now;
    for (const ServerKey& key : unread_) {
      if (!kept.contains(key)) now.push_back(key);
    }
    for (std::span<const ServerKey> left = now; !left.empty() && steps.next();) {
      const std::size_t count =
          steps.paced() ? std::min(left.size(), steps.sizes.readings) : left.size();
      read(left.first(count));
      left = left.subspan(count);
    }
  }

 private:
  void read_now(const std::vector<ServerKey>& keys) {
    if (keys.empty()) return;
    auto readings = kernel_.read_destinations(keys);
    if (!readings) return;
    outcome_.leaving.insert(outcome_.leaving.end(), std::make_move_iterator(readings->begin()),
                            std::make_move_iterator(readings->end()));
  }

  Kernel& kernel_;
  std::set<ServerKey> unread_;
  Outcome& outcome_;
};

using Keys = std::set<ServerKey>;

Keys deleted(const Changes& changes) {
  Keys keys;
  for (const auto* ops : {&changes.release, &changes.dismantle}) {
    for (const ServerOp& op : *ops) keys.insert(op.server.key);
  }
  return keys;
}

// Deletions, of which the connections are read just before.
std::vector<int> delete_servers(Kernel& kernel, const std::vector<ServerOp>& ops,
                                LeavingReader& leaving, Steps& steps) {
  return steps.run(std::span(ops), steps.sizes.readings, [&](auto part) {
    leaving.read(part);
    return kernel.change_servers(part);
  });
}

// Whether an errno leaves the state of a virtual server in doubt: an add found something, or the
// reply was lost.
bool in_doubt(const ServerOp& op, int error) {
  if (error == kUnknownOutcome) return true;
  if (op.command == ServerCommand::kNewService) return error == EEXIST;
  if (op.command == ServerCommand::kNewDest && error == EEXIST) return true;
  // A change of something that does not exist, or a destination of a virtual server that does not:
  // somebody else deleted it.
  const bool deletes =
      op.command == ServerCommand::kDelService || op.command == ServerCommand::kDelDest;
  return !deletes && (error == ESRCH || error == ENOENT);
}

void read_back_doubtful(Kernel& kernel, const std::vector<ServerOp>& ops,
                        const std::vector<int>& results, Outcome& outcome) {
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const ServerKey& key = ops[i].server.key;
    if (!in_doubt(ops[i], results[i]) || outcome.read_back.contains(key)) continue;
    auto reading = kernel.read_server(key);
    if (!reading) continue;  // stays dirty, and is retried
    outcome.read_back[key] = *reading ? std::optional(to_server(**reading)) : std::nullopt;
  }
}

bool address_in_doubt(const std::vector<int>& results) {
  return std::any_of(results.begin(), results.end(), [](int error) {
    return error == kUnknownOutcome || error == EEXIST || error == EADDRNOTAVAIL;
  });
}

// Elements outlive what they protect: keep those whose address or virtual server was not deleted.
std::vector<int> remove_elements(Kernel& kernel, const Changes& changes, Outcome& outcome,
                                 Steps& steps) {
  if (steps.ended()) return std::vector<int>(changes.unprotect.size(), kDeferred);
  std::set<Address> still_bound;
  for (std::size_t i = 0; i < changes.unbind.size(); ++i) {
    if (outcome.unbind[i] != 0 && outcome.unbind[i] != EADDRNOTAVAIL &&
        outcome.unbind[i] != ESRCH) {
      still_bound.insert(changes.unbind[i].address);
    }
  }
  std::vector<ServerKey> still_there;
  for (std::size_t i = 0; i < changes.dismantle.size(); ++i) {
    if (outcome.dismantle[i] != 0 && outcome.dismantle[i] != ESRCH) {
      still_there.push_back(changes.dismantle[i].server.key);
    }
  }
  const auto skip = [&](const ElementOp& op) {
    if (row_of(op.element.kind).outlives_address) return still_bound.contains(op.element.address);
    return std::any_of(still_there.begin(), still_there.end(),
                       [&](const ServerKey& key) { return depends_on(key, op.element); });
  };
  return run_unless(changes.unprotect, skip,
                    [&](auto chosen) { return change_elements(kernel, chosen, outcome, steps); });
}

template <typename Op>
void take_deferred(std::vector<Op>& ops, std::vector<int>& results, std::vector<Op>& deferred) {
  if (std::find(results.begin(), results.end(), kDeferred) == results.end()) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (results[i] == kDeferred) {
      deferred.push_back(std::move(ops[i]));
      continue;
    }
    if (kept != i) ops[kept] = std::move(ops[i]);
    results[kept++] = results[i];
  }
  ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(kept), ops.end());
  results.resize(kept);
}

}  // namespace

Outcome apply(Kernel& kernel, const Changes& changes, std::span<const ServerKey> leaving,
              const MustPause& must_pause, const StepSizes& sizes) {
  Outcome outcome;
  KernelSeconds& seconds = outcome.seconds;
  Steps steps(must_pause, sizes);
  LeavingReader reader(kernel, leaving, outcome);
  {
    const Timed timed(changes, seconds.elements);
    outcome.protect = change_elements(kernel, changes.protect, outcome, steps);
  }
  const FailedElements failed = failed_elements(changes.protect, outcome.protect);
  {
    const Timed timed(changes, seconds.servers);
    outcome.create = change_servers(kernel, changes.create, failed, steps);
  }
  {
    const Timed timed(changes, seconds.destinations);
    outcome.fill = fill_servers(kernel, changes, outcome.create, failed, steps);
    read_back_doubtful(kernel, changes.create, outcome.create, outcome);
    read_back_doubtful(kernel, changes.fill, outcome.fill, outcome);
  }
  {
    const Timed timed(changes, seconds.addresses);
    outcome.bind = change_addresses(kernel, changes.bind, failed, steps);
  }
  {
    const Timed timed(changes, seconds.destinations);
    if (!leaving.empty()) reader.read_all_but(steps.paced() ? deleted(changes) : Keys{}, steps);
    outcome.release = delete_servers(kernel, changes.release, reader, steps);
    read_back_doubtful(kernel, changes.release, outcome.release, outcome);
  }
  {
    const Timed timed(changes, seconds.addresses);
    outcome.unbind = change_addresses(kernel, changes.unbind, {}, steps);
  }
  {
    const Timed timed(changes, seconds.servers);
    outcome.dismantle = delete_servers(kernel, changes.dismantle, reader, steps);
    read_back_doubtful(kernel, changes.dismantle, outcome.dismantle, outcome);
  }
  if (address_in_doubt(outcome.bind) || address_in_doubt(outcome.unbind)) {
    auto addresses = kernel.read_addresses();
    if (addresses) outcome.addresses = std::move(*addresses);
  }
  const Timed timed(changes, seconds.elements);
  outcome.unprotect = remove_elements(kernel, changes, outcome, steps);
  return outcome;
}

Changes take_deferred(Changes& changes, Outcome& outcome) {
  Changes deferred;
  take_deferred(changes.protect, outcome.protect, deferred.protect);
  take_deferred(changes.create, outcome.create, deferred.create);
  take_deferred(changes.fill, outcome.fill, deferred.fill);
  take_deferred(changes.bind, outcome.bind, deferred.bind);
  take_deferred(changes.release, outcome.release, deferred.release);
  take_deferred(changes.unbind, outcome.unbind, deferred.unbind);
  take_deferred(changes.dismantle, outcome.dismantle, deferred.dismantle);
  take_deferred(changes.unprotect, outcome.unprotect, deferred.unprotect);
  return deferred;
}

}  // namespace ipvs
