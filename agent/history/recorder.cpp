// SPDX-License-Identifier: Apache-2.0
#include "agent/history/recorder.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "agent/history/former_owners.hpp"
#include "agent/history/state_text.hpp"

namespace agent {
namespace {

constexpr std::size_t kMostOfFirstPass = 10'000;
constexpr std::size_t kMostClocks = 20'000;
constexpr UnixMilliseconds kDay = 86'400'000;

// Makes the entries of one batch.
class Writer {
 public:
  Writer(const ChangeRecorder::Batch& batch, UnixMilliseconds now) : batch_(batch) {
    entry_.at = now;
    constexpr double kMicro = 1e6;
    entry_.microseconds = static_cast<std::uint32_t>(std::min(batch.seconds * kMicro, 4e9));
  }

  template <typename Take>
  void write(Take take) {
    const ipvs::Changes& c = batch_.changes;
    const ipvs::Outcome& o = batch_.outcome;
    elements(c.protect, o.protect, take);
    servers(c.create, o.create, take);
    servers(c.fill, o.fill, take);
    addresses(c.bind, o.bind, take);
    servers(c.release, o.release, take);
    addresses(c.unbind, o.unbind, take);
    servers(c.dismantle, o.dismantle, take);
    elements(c.unprotect, o.unprotect, take);
  }

 private:
  void owned_by(std::string_view owner) {
    entry_.service = owner;
    const auto at = batch_.causes.find(entry_.service);
    entry_.cause = at == batch_.causes.end() ? Cause{} : at->second;
  }

  // What several Services may have, or none any more.
  template <typename Key>
  void owned_by_some(const Key& key) {
    std::string_view owner = batch_.desired.some_owner_of(key);
    if (owner.empty()) {
      if (!former_owners_) former_owners_.emplace(batch_);
      owner = former_owners_->of(key);
    }
    owned_by(owner);
  }

  static int error_of(const std::vector<int>& errors, std::size_t i) {
    return i < errors.size() ? errors[i] : 0;
  }

  template <typename Take>
  void servers(const std::vector<ipvs::ServerOp>& ops, const std::vector<int>& errors, Take& take) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const ipvs::ServerOp& op = ops[i];
      const ipvs::ServerKey& key = op.server.key;
      const ipvs::Owner* owner = last_owner_of(batch_.desired, key);
      owned_by(owner ? *owner : std::string_view());
      entry_.command = ipvs::name_of(op.command);
      entry_.object = key.text();
      entry_.error = error_of(errors, i);
      const ipvs::Server* held = batch_.before.server(key);
      using Command = ipvs::ServerCommand;
      const bool of_server = op.command == Command::kNewService ||
                             op.command == Command::kSetService ||
                             op.command == Command::kDelService;
      const bool deletes = op.command == Command::kDelService || op.command == Command::kDelDest;
      entry_.before.clear();
      entry_.after.clear();
      if (of_server) {
        entry_.endpoint.clear();
        if (held) entry_.before = state_text(held->settings);
        if (!deletes) entry_.after = state_text(op.server);
      } else {
        entry_.endpoint = op.destination.endpoint.text();
        const auto* known = held ? held->find(op.destination.endpoint) : nullptr;
        if (known) entry_.before = state_text(*known);
        if (!deletes) entry_.after = state_text(op.destination);
      }
      take(entry_);
      if (op.command == Command::kDelService && held) with_destinations(*held, take);
    }
  }

  // They go with their virtual server.
  template <typename Take>
  void with_destinations(const ipvs::Server& held, Take& take) {
    for (const ipvs::Destination& each : held.destinations) {
      entry_.endpoint = each.endpoint.text();
      entry_.before = state_text(each);
      take(entry_);
    }
  }

  template <typename Take>
  void addresses(const std::vector<ipvs::AddressOp>& ops, const std::vector<int>& errors,
                 Take& take) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      owned_by_some(ops[i].address);
      entry_.command = ops[i].add ? "RTM_NEWADDR" : "RTM_DELADDR";
      entry_.object = ops[i].address.to_string();
      plain(ops[i].add, "bound", error_of(errors, i), take);
    }
  }

  template <typename Take>
  void elements(const std::vector<ipvs::ElementOp>& ops, const std::vector<int>& errors,
                Take& take) {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      owned_by_some(ops[i].element);
      entry_.command = ops[i].add ? "NEWSETELEM" : "DELSETELEM";
      entry_.object = ops[i].element.text();
      plain(ops[i].add, "present", error_of(errors, i), take);
    }
  }

  template <typename Take>
  void plain(bool add, const char* state, int error, Take& take) {
    entry_.endpoint.clear();
    entry_.before = add ? "" : state;
    entry_.after = add ? state : "";
    entry_.error = error;
    take(entry_);
  }

  const ChangeRecorder::Batch& batch_;
  std::optional<FormerOwners> former_owners_;  // made when first asked
  HistoryEntry entry_;
};

}  // namespace

void HistoryRecorder::note_cause(const ipvs::Owner& service, Cause cause) {
  causes_.insert_or_assign(service, std::move(cause));
}

Causes HistoryRecorder::take_causes() { return std::exchange(causes_, {}); }

void HistoryRecorder::record(const Batch& batch) {
  const UnixMilliseconds now = now_();
  std::string lines;
  if (batch.is_first && batch.changes.size() > kMostOfFirstPass) {
    append_line(lines,
                {.at = now,
                 .command = "START",
                 .object = std::to_string(batch.changes.size()) + " operations",
                 .microseconds = static_cast<std::uint32_t>(std::min(batch.seconds * 1e6, 4e9)),
                 .cause = {.verb = "the first pass of this agent"}});
    return store_.append(lines);
  }
  Writer(batch, now).write([&](const HistoryEntry& entry) {
    append_line(lines, entry);
    if (!batch.is_first && !entry.endpoint.empty() && entry.error == 0) keep_clock(entry);
  });
  store_.append(lines);
}

// One of the Service's virtual servers stands for all: an endpoint goes and comes in all of them.
void HistoryRecorder::keep_clock(const HistoryEntry& entry) {
  std::string key = entry.service + " " + entry.endpoint;
  const auto [known, is_new] = clocks_.try_emplace(key);
  EndpointClock& clock = known->second;
  if (is_new) {
    clock_order_.push_back(std::move(key));
    if (clock_order_.size() > kMostClocks) {
      clocks_.erase(clock_order_.front());
      clock_order_.pop_front();
    }
  }
  const std::int64_t today = entry.at / kDay;
  if (clock.day != today) {
    clock.day = today;
    clock.out_today = 0;
  }
  const bool is_out = entry.after.empty() || entry.after == "weight 0";
  if (is_out == (clock.out_since != 0) && clock.changed != 0) return;
  clock.changed = entry.at;
  if (is_out) {
    clock.out_since = entry.at;
  } else if (clock.out_since != 0) {
    clock.out_today += entry.at - std::max(clock.out_since, today * kDay);
    clock.out_since = 0;
  }
}

const EndpointClock* HistoryRecorder::clock_of(const ipvs::Owner& service,
                                               const std::string& endpoint) const {
  const auto at = clocks_.find(service + " " + endpoint);
  return at == clocks_.end() ? nullptr : &at->second;
}

bool HistoryRecorder::read_some(Place& place,
                                const std::function<void(HistoryEntry&&)>& take) const {
  if (place.next >= place.text.size()) return open_next(place);
  constexpr std::size_t kLinesAtOnce = 100;
  for (std::size_t i = 0; i < kLinesAtOnce && place.next < place.text.size(); ++i) {
    const std::size_t end = std::min(place.text.find('\n', place.next), place.text.size());
    const std::string_view line = std::string_view(place.text).substr(place.next, end - place.next);
    if (auto entry = parse_line(line)) take(std::move(*entry));
    place.next = end + 1;
  }
  return place.next < place.text.size() || !place.at_end;
}

bool HistoryRecorder::open_next(Place& place) const {
  if (place.at_end) return false;
  // By number: the oldest may go between two calls.
  const std::vector<std::uint64_t>& blocks = store_.blocks();
  const auto next = std::upper_bound(blocks.begin(), blocks.end(), place.block);
  place.next = 0;
  if (next != blocks.end()) {
    place.block = *next;
    place.text = store_.read(place.block);
  } else {
    place.text = store_.current();
    place.at_end = true;
  }
  return !place.text.empty() || !place.at_end;
}

}  // namespace agent
