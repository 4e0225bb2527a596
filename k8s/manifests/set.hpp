// SPDX-License-Identifier: Apache-2.0
//
// All files of a manifest directory together, as an API server would show them: which file's object
// counts, with which cluster IPs and node ports, what stays of a file that is broken, and Pods that
// end gracefully. Pure: files and the time in, changes out.
//
// Rules:
//   * Two objects of one kind and name: the first counts, by file name, then by place in the file.
//   The
//     other is told, and succeeds it.
//   * An object that is refused stays as the same file had it last; so do the objects of a document
//   that
//     cannot be read, unless they are in the file's readable part.
//   * Services get their numbers by k8s/manifests/allocator.hpp.
//   * A Pod that is no longer written is first given a deletion timestamp (now + its grace period)
//   and goes
//     when that has come; at once when the period is 0 or it has finished. If it comes back before,
//     it is there again.
//
// Invariant: what settle() gave out so far, applied in order, is the state. Work is proportional to
// the files that changed, and to the number of Services when one of them did.
#pragma once

#include <boost/container/flat_set.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
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
  std::vector<SourceFault> faults;  // each once, for as long as it lasts

  template <typename T>
  const ManifestChange<T>& of() const {
    return std::get<ManifestChange<T>>(kinds);
  }
};

class ManifestSet {
 public:
  explicit ManifestSet(AllocationRanges ranges) : ranges_(std::move(ranges)) {}

  // The file was read. `name` stands in faults, and its order decides between duplicates.
  void put(const std::string& name, ParsedManifest parsed);
  // The file exists and cannot be read: what it had stays.
  void put_unreadable(const std::string& name, const std::string& why);
  // The file is gone.
  void drop(const std::string& name);
  std::vector<std::string> files() const;

  // What has changed since the last call; the first call gives everything.
  ManifestChanges settle(UnixSeconds now);
  // When the next Pod's grace ends: settle() wants to be called then.
  std::optional<UnixSeconds> next_removal() const;

 private:
  template <typename T>
  using Entries = std::vector<ManifestEntryPtr<T>>;

  struct File {
    std::tuple<Entries<Service>, Entries<Pod>, Entries<Node>, Entries<EndpointSlice>> entries;
    std::vector<std::string> faults;  // those it has now, as they were told
  };

  template <typename T>
  struct Claim {
    const std::string* file;  // the key in files_
    ManifestEntryPtr<T> entry;
  };

  template <typename T>
  struct Slot {
    std::vector<Claim<T>> claims;  // the first counts
    // What was given out last, and the entry it was made from; null: nothing.
    std::shared_ptr<const T> given;
    ManifestEntryPtr<T> source;
  };

  template <typename T>
  struct Kind {
    std::map<ObjectKey, Slot<T>> slots;
    std::vector<ObjectKey> dirty;
    std::map<ObjectKey, std::vector<std::string>> conflicts;  // told, and lasting
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
  void tell_duplicates(const ObjectKey& key, const Slot<T>& slot);
  template <typename T>
  std::vector<ObjectKey> take_dirty();
  template <typename T>
  void settle_plain(ManifestChange<T>& change);
  void settle_services(ManifestChange<Service>& change);
  void settle_pods(ManifestChange<Pod>& change, UnixSeconds now);
  void let_go(const ObjectKey& key, Slot<Pod>& slot, ManifestChange<Pod>& change, UnixSeconds now);

  AllocationRanges ranges_;
  std::map<std::string, File> files_;
  std::tuple<Kind<Service>, Kind<Pod>, Kind<Node>, Kind<EndpointSlice>> kinds_;
  std::map<ObjectKey, UnixSeconds> ending_;  // Pods that are gone from the files: when they go
  boost::container::flat_set<std::string> allocation_conflicts_;  // told, and lasting
  std::vector<SourceFault> faults_;                               // to be told
};

}  // namespace k8s
