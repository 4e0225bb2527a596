// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/set.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace k8s {
namespace {

using Names = boost::container::flat_set<std::string>;

std::string place(const std::string& file, int line) {
  return line == 0 ? file : file + ":" + std::to_string(line);
}

// The entry's object, without a copy: the pointer keeps the entry alive.
template <typename T>
std::shared_ptr<const T> object_of(const ManifestEntryPtr<T>& entry) {
  return std::shared_ptr<const T>(entry, &entry->object);
}

bool has_finished(const Pod& pod) {
  return pod.phase == PodPhase::kSucceeded || pod.phase == PodPhase::kFailed;
}

}  // namespace

// ------------------------------------------------------------------ files in

void ManifestSet::put(const std::string& name, ParsedManifest parsed) {
  const auto place_of_file = files_.try_emplace(name).first;
  File& file = place_of_file->second;
  refuse_impossible<Service>(parsed);
  Names kept;
  const auto take = [&]<typename T>(Entries<T>& held) {
    merge<T>(held, parsed, kept);
    replace<T>(place_of_file->first, held, std::move(parsed.of<T>().entries));
  };
  std::apply([&](auto&... held) { (take(held), ...); }, file.entries);
  report(file, name, parsed, kept);
}

void ManifestSet::put_unreadable(const std::string& name, const std::string& why) {
  ParsedManifest parsed;
  parsed.incomplete = true;
  parsed.faults.push_back(
      {.kind = "manifest", .line = 0, .what = why, .object = {}, .hides_objects = true});
  put(name, std::move(parsed));
}

void ManifestSet::drop(const std::string& name) {
  const auto found = files_.find(name);
  if (found == files_.end()) return;
  const auto empty = [&]<typename T>(Entries<T>& held) { replace<T>(found->first, held, {}); };
  std::apply([&](auto&... held) { (empty(held), ...); }, found->second.entries);
  files_.erase(found);
}

std::vector<std::string> ManifestSet::files() const {
  std::vector<std::string> names;
  names.reserve(files_.size());
  for (const auto& [name, file] : files_) names.push_back(name);
  return names;
}

template <typename T>
void ManifestSet::refuse_impossible(ParsedManifest& parsed) const {
  ManifestSection<T>& section = parsed.of<T>();
  std::erase_if(section.entries, [&](const ManifestEntryPtr<T>& entry) {
    std::string why = allocation_fault(entry->object, entry->extras, ranges_);
    if (why.empty()) return false;
    const ObjectKey& key = entry->object.meta.key;
    section.refused.push_back(key);
    parsed.faults.push_back({.kind = "manifest",
                             .line = entry->line,
                             .what = name_of<T>(key) + ": " + std::move(why),
                             .object = name_of<T>(key),
                             .about = name_of<T>(key)});
    return true;
  });
}

// Adds to `parsed` the entries of `before` that a fault hides; reuses entries that did not change.
template <typename T>
void ManifestSet::merge(const Entries<T>& before, ParsedManifest& parsed, Names& kept) const {
  ManifestSection<T>& section = parsed.of<T>();
  std::map<ObjectKey, ManifestEntryPtr<T>*> seen;
  for (ManifestEntryPtr<T>& entry : section.entries) seen.emplace(entry->object.meta.key, &entry);
  boost::container::flat_set<ObjectKey> refused(section.refused.begin(), section.refused.end());
  Entries<T> put_back;
  for (const ManifestEntryPtr<T>& old : before) {
    const ObjectKey& key = old->object.meta.key;
    if (const auto now = seen.find(key); now != seen.end()) {
      if ((*now->second)->is_same_as(*old) && (*now->second)->line == old->line) {
        *now->second = old;
      }
    } else if (refused.contains(key) || parsed.incomplete) {
      put_back.push_back(old);
      if (refused.contains(key)) kept.insert(name_of<T>(key));
    }
  }
  section.entries.insert(section.entries.end(), put_back.begin(), put_back.end());
}

template <typename T>
void ManifestSet::replace(const std::string& file, Entries<T>& held, Entries<T> now) {
  Kind<T>& table = kind<T>();
  for (const ManifestEntryPtr<T>& entry : held) {
    const ObjectKey& key = entry->object.meta.key;
    std::erase_if(table.slots[key].claims,
                  [&](const Claim<T>& claim) { return claim.file == &file; });
    table.dirty.push_back(key);
  }
  for (const ManifestEntryPtr<T>& entry : now) {
    const ObjectKey& key = entry->object.meta.key;
    auto& claims = table.slots[key].claims;
    const auto after = std::find_if(claims.begin(), claims.end(),
                                    [&](const Claim<T>& claim) { return *claim.file > file; });
    claims.insert(after, Claim<T>{&file, entry});
    table.dirty.push_back(key);
  }
  now.shrink_to_fit();
  held = std::move(now);
}

void ManifestSet::report(File& file, const std::string& name, const ParsedManifest& parsed,
                         const Names& kept) {
  std::vector<std::string> reported = std::move(file.faults);
  file.faults.clear();
  bool has_entries = false;
  std::apply([&](const auto&... held) { has_entries = (... || !held.empty()); }, file.entries);
  for (const ManifestFault& fault : parsed.faults) {
    std::string what = fault.what;
    if (!fault.object.empty()) {
      what += kept.contains(fault.object) ? ": its last good state stays" : ": skipped";
    } else if (fault.hides_objects) {
      what += has_entries ? ": skipped, objects the file had before stay" : ": skipped";
    }
    // Compared without the line, which every edit above it changes.
    if (std::find(reported.begin(), reported.end(), what) == reported.end()) {
      faults_.push_back({.kind = fault.kind,
                         .what = place(name, fault.line) + ": " + what,
                         .object = fault.about});
    }
    file.faults.push_back(std::move(what));
  }
}

// ------------------------------------------------------------------ changes out

ManifestChanges ManifestSet::take_changes(UnixSeconds now) {
  ManifestChanges changes;
  add_plain_changes(std::get<ManifestChange<Node>>(changes.kinds));
  add_plain_changes(std::get<ManifestChange<EndpointSlice>>(changes.kinds));
  add_pod_changes(std::get<ManifestChange<Pod>>(changes.kinds), now);
  add_service_changes(std::get<ManifestChange<Service>>(changes.kinds));
  changes.faults = std::exchange(faults_, {});
  return changes;
}

std::optional<UnixSeconds> ManifestSet::next_removal() const {
  std::optional<UnixSeconds> next;
  for (const auto& [key, when] : ending_) next = std::min(next.value_or(when), when);
  return next;
}

template <typename T>
void ManifestSet::report_duplicates(const ObjectKey& key, const Slot<T>& slot) {
  auto& reported = kind<T>().conflicts;
  if (slot.claims.size() < 2) {
    reported.erase(key);
    return;
  }
  std::vector<std::string> now;
  const Claim<T>& first = slot.claims.front();
  for (std::size_t i = 1; i < slot.claims.size(); ++i) {
    const Claim<T>& other = slot.claims[i];
    now.push_back(place(*other.file, other.entry->line) + ": " + name_of<T>(key) + " is in " +
                  place(*first.file, first.entry->line) + " already: skipped");
  }
  std::vector<std::string>& before = reported[key];
  for (const std::string& what : now) {
    if (std::find(before.begin(), before.end(), what) == before.end()) {
      faults_.push_back({.kind = "conflict", .what = what, .object = name_of<T>(key)});
    }
  }
  before = std::move(now);
}

template <typename T>
std::vector<ObjectKey> ManifestSet::take_dirty() {
  std::vector<ObjectKey> dirty = std::exchange(kind<T>().dirty, {});
  std::sort(dirty.begin(), dirty.end());
  dirty.erase(std::unique(dirty.begin(), dirty.end()), dirty.end());
  for (const ObjectKey& key : dirty) report_duplicates<T>(key, kind<T>().slots.at(key));
  return dirty;
}

template <typename T>
void ManifestSet::add_plain_changes(ManifestChange<T>& change) {
  auto& slots = kind<T>().slots;
  for (const ObjectKey& key : take_dirty<T>()) {
    const auto found = slots.find(key);
    Slot<T>& slot = found->second;
    if (slot.claims.empty()) {
      if (slot.given) change.removed.push_back(key);
      slots.erase(found);
      continue;
    }
    const std::shared_ptr<const T> now = object_of<T>(slot.claims.front().entry);
    if (!slot.given || !(*slot.given == *now)) change.upserted.push_back(now);
    slot.given = now;
    slot.source = slot.claims.front().entry;
  }
}

void ManifestSet::add_pod_changes(ManifestChange<Pod>& change, UnixSeconds now) {
  auto& slots = kind<Pod>().slots;
  for (const ObjectKey& key : take_dirty<Pod>()) {
    const auto found = slots.find(key);
    Slot<Pod>& slot = found->second;
    if (slot.claims.empty()) {
      terminate(key, slot, change, now);
      if (!slot.given) slots.erase(found);
      continue;
    }
    ending_.erase(key);
    const std::shared_ptr<const Pod> pod = object_of<Pod>(slot.claims.front().entry);
    if (!slot.given || !(*slot.given == *pod)) change.upserted.push_back(pod);
    slot.given = pod;
    slot.source = slot.claims.front().entry;
  }
  for (auto pod = ending_.begin(); pod != ending_.end();) {
    if (pod->second > now) {
      ++pod;
      continue;
    }
    change.removed.push_back(pod->first);
    slots.erase(pod->first);
    pod = ending_.erase(pod);
  }
}

// The Pod was removed from all files.
void ManifestSet::terminate(const ObjectKey& key, Slot<Pod>& slot, ManifestChange<Pod>& change,
                            UnixSeconds now) {
  if (!slot.given || ending_.contains(key)) return;
  const Meta& meta = slot.given->meta;
  const std::uint32_t grace =
      meta.deletion_timestamp ? meta.deletion_grace_seconds : slot.source->extras.grace_seconds;
  const UnixSeconds longest = now + grace;
  // A deletion timestamp is of the clock of whoever wrote it, and that may be far ahead of ours.
  const UnixSeconds end = std::min(meta.deletion_timestamp.value_or(longest), longest);
  if (end <= now || has_finished(*slot.given)) {
    change.removed.push_back(key);
    slot.given = nullptr;
    return;
  }
  if (!slot.given->meta.deletion_timestamp) {
    auto ending = std::make_shared<Pod>(*slot.given);
    ending->meta.deletion_timestamp = end;
    ending->meta.deletion_grace_seconds = static_cast<std::uint32_t>(end - now);
    slot.given = std::move(ending);
    slot.source = nullptr;
    change.upserted.push_back(slot.given);
  }
  ending_.emplace(key, end);
}

void ManifestSet::add_service_changes(ManifestChange<Service>& change) {
  const std::vector<ObjectKey> dirty = take_dirty<Service>();
  if (dirty.empty()) return;
  auto& slots = kind<Service>().slots;
  for (const ObjectKey& key : dirty) {
    const auto found = slots.find(key);
    if (!found->second.claims.empty()) continue;
    if (found->second.given) change.removed.push_back(key);
    slots.erase(found);
  }
  std::vector<AllocationRequest> requests;
  requests.reserve(slots.size());
  for (const auto& [key, slot] : slots) {
    const ManifestEntry<Service>& entry = *slot.claims.front().entry;
    requests.push_back({&entry.object, &entry.extras, slot.given.get()});
  }
  AllocationResult result = allocate(requests, ranges_);
  std::size_t i = 0;
  for (auto& [key, slot] : slots) {
    const Allocation& numbers = result.allocations[i++];
    const ManifestEntryPtr<Service>& entry = slot.claims.front().entry;
    if (numbers.refused) {
      if (slot.given) change.removed.push_back(key);
      slot.given = nullptr;
    } else if (!slot.given || slot.source != entry || !carries(*slot.given, numbers)) {
      auto now = carries(entry->object, numbers)
                     ? object_of<Service>(entry)
                     : std::make_shared<const Service>(with_allocation(entry->object, numbers));
      if (!slot.given || !(*slot.given == *now)) change.upserted.push_back(now);
      slot.given = std::move(now);
    }
    slot.source = entry;
  }
  Names conflicts(result.conflicts.begin(), result.conflicts.end());
  for (const std::string& what : conflicts) {
    if (!allocation_conflicts_.contains(what)) faults_.push_back({"conflict", what});
  }
  allocation_conflicts_ = std::move(conflicts);
}

}  // namespace k8s
