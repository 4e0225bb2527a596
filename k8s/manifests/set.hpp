// SPDX-License-Identifier: Apache-2.0
//
// Merges the files of a manifest directory into one set of objects, as an API server would return
// them: resolves duplicates, allocates cluster IPs and node ports, keeps the objects of broken
// files and terminates Pods gracefully. Pure: files and the time in, changes out.
//
// Rules:
//   * Of two objects with one kind and name the first is used, by file name, then by position in
//     the file. The other is reported, and replaces the first when that is removed.
//   * A refused object stays as it was last in the same file. So do the objects of a document that
//     cannot be read, unless they are in the readable part of the file.
//   * k8s/manifests/allocator.hpp gives the Services their numbers.
//   * A Pod that was removed from its file first gets a deletion timestamp (now + its grace
//     period), and is removed at that time; immediately if the period is 0 or the Pod has finished.
//     If it returns before, it is restored. If it had a deletion timestamp already, that counts,
//     but not for longer than its grace period from now: it may be of a clock that is wrong.
//
// Invariant: all changes returned by take_changes(), applied in order, give the current state. Work
// is proportional to the files that changed, and to the number of Services if one of them changed.
#pragma once

#include <boost/container/flat_set.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "k8s/manifests/allocator.hpp"
#include "k8s/manifests/object.hpp"
#include "k8s/source.hpp"

namespace k8s {

template <typename T>
struct ManifestChange {
  std::vector<ObjectKey> removed;
  std::vector<std::shared_ptr<const T>> upserted;
};

struct ManifestChanges {
  std::tuple<ManifestChange<Service>, ManifestChange<Pod>, ManifestChange<Node>,
             ManifestChange<EndpointSlice>>
      kinds;
  std::vector<SourceFault> faults;  // new ones only: each is reported once while it lasts

  template <typename T>
  const ManifestChange<T>& of() const {
    return std::get<ManifestChange<T>>(kinds);
  }
};

class ManifestSet {
 public:
  explicit ManifestSet(AllocationRanges ranges) : ranges_(std::move(ranges)) {}

  // Replaces the contents of the file `name`. The name is used in faults, and the order of names
  // decides between duplicates.
  void put(const std::string& name, ParsedManifest parsed);
  // The file exists and cannot be read: keeps its objects.
  void put_unreadable(const std::string& name, const std::string& why);
  // The file was deleted.
  void drop(const std::string& name);
  std::vector<std::string> files() const;

  // The changes since the last call; the first call returns everything.
  ManifestChanges take_changes(UnixSeconds now);
  // When the next Pod's grace period ends: take_changes() must be called again then.
  std::optional<UnixSeconds> next_removal() const;

 private:
  template <typename T>
  using Entries = std::vector<ManifestEntryPtr<T>>;

  struct File {
    std::tuple<Entries<Service>, Entries<Pod>, Entries<Node>, Entries<EndpointSlice>> entries;
    std::vector<std::string> faults;  // its current ones, as reported
  };

  template <typename T>
  struct Claim {
    const std::string* file;  // the key in files_
    ManifestEntryPtr<T> entry;
  };

  template <typename T>
  struct Slot {
    std::vector<Claim<T>> claims;  // the first is used
    // The object that was delivered last, and the entry it was made from; null: none.
    std::shared_ptr<const T> given;
    ManifestEntryPtr<T> source;
  };

  template <typename T>
  struct Kind {
    std::map<ObjectKey, Slot<T>> slots;
    std::vector<ObjectKey> dirty;
    std::map<ObjectKey, std::vector<std::string>> conflicts;  // current ones, as reported
  };

  template <typename T>
  Kind<T>& kind() {
    return std::get<Kind<T>>(kinds_);
  }

  template <typename T>
  void refuse_impossible(ParsedManifest& parsed) const;
  template <typename T>
  void merge(const Entries<T>& before, ParsedManifest& parsed,
             boost::container::flat_set<std::string>& kept) const;
  template <typename T>
  void replace(const std::string& file, Entries<T>& held, Entries<T> now);
  void report(File& file, const std::string& name, const ParsedManifest& parsed,
              const boost::container::flat_set<std::string>& kept);

  template <typename T>
  void report_duplicates(const ObjectKey& key, const Slot<T>& slot);
  template <typename T>
  std::vector<ObjectKey> take_dirty();
  template <typename T>
  void add_plain_changes(ManifestChange<T>& change);
  void add_service_changes(ManifestChange<Service>& change);
  void add_pod_changes(ManifestChange<Pod>& change, UnixSeconds now);
  void terminate(const ObjectKey& key, Slot<Pod>& slot, ManifestChange<Pod>& change,
                 UnixSeconds now);

  AllocationRanges ranges_;
  std::map<std::string, File> files_;
  std::tuple<Kind<Service>, Kind<Pod>, Kind<Node>, Kind<EndpointSlice>> kinds_;
  std::map<ObjectKey, UnixSeconds> ending_;  // Pods removed from the files, and when they end
  boost::container::flat_set<std::string> allocation_conflicts_;  // current ones, as reported
  std::vector<SourceFault> faults_;                               // not yet reported
};

}  // namespace k8s
