// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/record_outcome.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

namespace ipvs {
namespace {

bool is_delete(ServerCommand command) {
  return command == ServerCommand::kDelService || command == ServerCommand::kDelDest;
}

bool is_destination(ServerCommand command) {
  return command == ServerCommand::kNewDest || command == ServerCommand::kSetDest ||
         command == ServerCommand::kDelDest;
}

bool done(const ServerOp& op, int error) {
  return error == 0 || (is_delete(op.command) && (error == ESRCH || error == ENOENT));
}

bool done(const AddressOp& op, int error) {
  if (error == 0) return true;
  return op.add ? error == EEXIST : (error == EADDRNOTAVAIL || error == ESRCH);
}

std::string describe(const ServerOp& op) {
  std::string text = std::string(name_of(op.command)) + " " + op.server.key.text();
  if (is_destination(op.command)) text += " -> " + op.destination.endpoint.text();
  if (op.command == ServerCommand::kNewService || op.command == ServerCommand::kSetService) {
    text += " scheduler " + op.server.scheduler;
  }
  return text;
}

FailureCause cause_of(int error) {
  return error == kUnknownOutcome ? FailureCause::kNoAnswer : FailureCause::kRefused;
}

FailureCause cause_of(const ServerOp& op, int error) {
  const bool names_scheduler =
      op.command == ServerCommand::kNewService || op.command == ServerCommand::kSetService;
  if (names_scheduler && error == ENOENT) return FailureCause::kSchedulerMissing;
  return cause_of(error);
}

// No element is to blame that there is no table or no set of ours.
Blame blame_of_element(int error) { return error == ENOENT ? Blame::kNode : blame_of(error); }

class Recorder {
 public:
  Recorder(Ledger& ledger, const Desired& desired) : ledger_(ledger), desired_(desired) {}

  void foreign(const Changes& changes, const Outcome& outcome) {
    for (std::size_t i = 0; i < changes.create.size(); ++i) {
      const ServerOp& op = changes.create[i];
      if (op.command == ServerCommand::kNewService && outcome.create[i] == EEXIST &&
          !ledger_.owns(op.server.key)) {
        foreign_.insert(op.server.key);
      }
    }
  }

  void read_back(const Outcome& outcome) {
    for (const auto& [key, found] : outcome.read_back) {
      if (foreign_.contains(key)) continue;
      if (found) {
        ledger_.put_server(*found);
      } else if (ledger_.owns(key) && desired_.server(key)) {
        ledger_.lose_server(key);
      } else {
        ledger_.remove_server(key);
      }
      result_.retry.servers.insert(key);
    }
  }

  void servers(const std::vector<ServerOp>& ops, const std::vector<int>& errors,
               const Outcome& outcome) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const ServerKey& key = ops[i].server.key;
      if (foreign_.contains(key)) continue;
      const bool read = outcome.read_back.contains(key);
      if (done(ops[i], errors[i])) {
        if (!read) record(ops[i]);
        ++result_.done;
        continue;
      }
      result_.retry.servers.insert(key);
      if (ops[i].command == ServerCommand::kNewService && errors[i] == kUnknownOutcome && !read) {
        ledger_.lose_server(key);
      }
      if (errors[i] == kSkipped || (read && errors[i] == EEXIST)) continue;
      report(ops[i], errors[i]);
    }
  }

  void addresses(const std::vector<AddressOp>& ops, const std::vector<int>& errors) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const Address& address = ops[i].address;
      if (done(ops[i], errors[i])) {
        if (ops[i].add) {
          ledger_.put_address(address);
        } else {
          ledger_.remove_address(address);
        }
        ++result_.done;
        continue;
      }
      result_.retry.addresses.insert(address);
      if (errors[i] == kSkipped) continue;
      const char* command = ops[i].add ? "RTM_NEWADDR" : "RTM_DELADDR";
      result_.failures.push_back({.cause = cause_of(errors[i]),
                                  .command = command,
                                  .error_number = errors[i],
                                  .what = std::string(command) + " " + address.to_string(),
                                  .owner = Owner(desired_.some_owner_of(address)),
                                  .blame = blame_of(errors[i]),
                                  .key = address});
    }
  }

  void elements(const std::vector<ElementOp>& ops, const std::vector<int>& errors) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (errors[i] == 0) {
        if (ops[i].add) {
          ledger_.put_element(ops[i].element);
        } else {
          ledger_.remove_element(ops[i].element);
        }
        ++result_.done;
        continue;
      }
      result_.retry.elements.insert(ops[i].element);
      if (errors[i] == kSkipped) continue;
      const char* command = ops[i].add ? "NEWSETELEM" : "DELSETELEM";
      result_.failures.push_back({.cause = cause_of(errors[i]),
                                  .command = command,
                                  .error_number = errors[i],
                                  .what = std::string(command) + " " + ops[i].element.text(),
                                  .owner = Owner(desired_.some_owner_of(ops[i].element)),
                                  .blame = blame_of_element(errors[i]),
                                  .key = ops[i].element});
    }
  }

  // Whatever is not as it was believed to be is compared again: somebody else changed it, or the
  // kernel's answer was wrong.
  void readings(const Outcome& outcome) {
    if (outcome.addresses) {
      const std::set<Address> believed = ledger_.addresses();
      ledger_.clear_addresses();
      for (const Address& address : *outcome.addresses) ledger_.put_address(address);
      retry_differences(believed, ledger_.addresses(), result_.retry.addresses);
    }
    if (outcome.elements) {
      const std::set<Element, ElementKeyLess> believed = ledger_.elements();
      ledger_.replace_elements(*outcome.elements);
      retry_differences(believed, ledger_.elements(), result_.retry.elements);
    }
  }

  Recorded finish() {
    result_.foreign.assign(foreign_.begin(), foreign_.end());
    return std::move(result_);
  }

 private:
  template <typename Set>
  static void retry_differences(const Set& believed, const Set& found, Set& retry) {
    for (const auto& each : believed) {
      const auto same = found.find(each);
      if (same == found.end() || *same != each) retry.insert(each);
    }
    for (const auto& each : found) {
      if (!believed.contains(each)) retry.insert(each);
    }
  }

  void record(const ServerOp& op) {
    const ServerKey& key = op.server.key;
    switch (op.command) {
      case ServerCommand::kNewService:
        ledger_.put_server({.settings = op.server, .destinations = {}});
        break;
      case ServerCommand::kSetService:
        ledger_.set_settings(op.server);
        break;
      case ServerCommand::kDelService:
        ledger_.remove_server(key);
        break;
      case ServerCommand::kNewDest:
      case ServerCommand::kSetDest:
        ledger_.put_destination(key, op.destination);
        break;
      case ServerCommand::kDelDest:
        ledger_.remove_destination(key, op.destination.endpoint);
        break;
    }
  }

  void report(const ServerOp& op, int error) {
    const ServerKey& key = op.server.key;
    const Owner* owner = desired_.owner_of(key);
    result_.failures.push_back({.cause = cause_of(op, error),
                                .command = name_of(op.command),
                                .error_number = error,
                                .what = describe(op),
                                .owner = owner ? *owner : Owner{},
                                .scheduler = op.server.scheduler,
                                .blame = blame_of(error),
                                .key = key});
  }

  Ledger& ledger_;
  const Desired& desired_;
  std::set<ServerKey> foreign_;
  Recorded result_;
};

}  // namespace

std::string Failure::text() const {
  const bool answered = cause != FailureCause::kNoAnswer;
  return what + ": " + (answered ? std::generic_category().message(error_number) : "no answer");
}

Recorded record_outcome(Ledger& ledger, const Desired& desired, const Changes& changes,
                        const Outcome& outcome) {
  Recorder recorder(ledger, desired);
  recorder.foreign(changes, outcome);
  recorder.read_back(outcome);
  recorder.elements(changes.protect, outcome.protect);
  recorder.servers(changes.create, outcome.create, outcome);
  recorder.servers(changes.fill, outcome.fill, outcome);
  recorder.addresses(changes.bind, outcome.bind);
  recorder.servers(changes.release, outcome.release, outcome);
  recorder.addresses(changes.unbind, outcome.unbind);
  recorder.servers(changes.dismantle, outcome.dismantle, outcome);
  // Before the last phase: what was read may be from before it.
  recorder.readings(outcome);
  recorder.elements(changes.unprotect, outcome.unprotect);
  return recorder.finish();
}

}  // namespace ipvs
