// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/apply.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <span>
#include <utility>

namespace ipvs {
namespace {

using FailedElements = std::vector<Element>;

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

std::vector<int> change_servers(Kernel& kernel, const std::vector<ServerOp>& ops,
                                const FailedElements& failed) {
  if (failed.empty()) return ops.empty() ? std::vector<int>{} : kernel.change_servers(ops);
  const auto skip = [&](const ServerOp& op) {
    return std::any_of(failed.begin(), failed.end(),
                       [&](const Element& e) { return depends_on(op.server.key, e); });
  };
  return run_unless(ops, skip, [&](auto chosen) { return kernel.change_servers(chosen); });
}

// Destinations only of virtual servers that were created: one that existed before may be somebody
// else's and must not get ours.
std::vector<int> fill_servers(Kernel& kernel, const Changes& changes,
                              const std::vector<int>& created, const FailedElements& failed) {
  std::set<ServerKey> not_made;
  for (std::size_t i = 0; i < created.size(); ++i) {
    if (created[i] != 0) not_made.insert(changes.create[i].server.key);
  }
  if (not_made.empty()) return change_servers(kernel, changes.fill, failed);
  const auto skip = [&](const ServerOp& op) { return not_made.contains(op.server.key); };
  return run_unless(changes.fill, skip, [&](auto chosen) { return kernel.change_servers(chosen); });
}

std::vector<int> change_addresses(Kernel& kernel, const std::vector<AddressOp>& ops,
                                  const FailedElements& failed) {
  if (failed.empty()) return ops.empty() ? std::vector<int>{} : kernel.change_addresses(ops);
  const auto skip = [&](const AddressOp& op) {
    return std::any_of(failed.begin(), failed.end(), [&](const Element& e) {
      return row_of(e.kind).outlives_address && e.address == op.address;
    });
  };
  return run_unless(ops, skip, [&](auto chosen) { return kernel.change_addresses(chosen); });
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
std::vector<int> remove_elements(Kernel& kernel, const Changes& changes, Outcome& outcome) {
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
                    [&](auto chosen) { return change_elements(kernel, chosen, outcome); });
}

}  // namespace

Outcome apply(Kernel& kernel, const Changes& changes, std::span<const ServerKey> leaving) {
  Outcome outcome;
  outcome.protect = change_elements(kernel, changes.protect, outcome);
  const FailedElements failed = failed_elements(changes.protect, outcome.protect);

  outcome.create = change_servers(kernel, changes.create, failed);
  outcome.fill = fill_servers(kernel, changes, outcome.create, failed);
  read_back_doubtful(kernel, changes.create, outcome.create, outcome);
  read_back_doubtful(kernel, changes.fill, outcome.fill, outcome);
  outcome.bind = change_addresses(kernel, changes.bind, failed);
  if (!leaving.empty()) {
    if (auto readings = kernel.read_destinations(leaving)) outcome.leaving = std::move(*readings);
  }
  outcome.release = change_servers(kernel, changes.release, {});
  read_back_doubtful(kernel, changes.release, outcome.release, outcome);
  outcome.unbind = change_addresses(kernel, changes.unbind, {});
  outcome.dismantle = change_servers(kernel, changes.dismantle, {});
  read_back_doubtful(kernel, changes.dismantle, outcome.dismantle, outcome);

  if (address_in_doubt(outcome.bind) || address_in_doubt(outcome.unbind)) {
    auto addresses = kernel.read_addresses();
    if (addresses) outcome.addresses = std::move(*addresses);
  }
  outcome.unprotect = remove_elements(kernel, changes, outcome);
  return outcome;
}

}  // namespace ipvs
