// SPDX-License-Identifier: Apache-2.0
//
// The data of a fake API server: collections of objects as JSON text, one resource version counter
// for all, and the history for watches. No I/O.
//
// metadata.namespace and metadata.name identify an object; put() sets metadata.resourceVersion. The
// pages of a list come from the snapshot of its first page, as in the real server.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fake {

using Query = std::map<std::string, std::string>;

// A metav1.Status of failure.
std::string status_body(unsigned code, std::string_view reason, std::string_view message);

struct Answer {
  unsigned status = 200;
  std::string body;
};

class ApiStore {
 public:
  // Creates an empty collection, as put() does if there is none.
  void serve(const std::string& path, const std::string& kind);
  void unserve(const std::string& path) { collections_.erase(path); }
  bool serves(const std::string& path) const { return collections_.contains(path); }

  void put(const std::string& path, std::string_view json);
  // `key` is "namespace/name" or "name".
  bool remove(const std::string& path, const std::string& key);
  // Deletes history and snapshots, so older watches and continue tokens expire.
  void compact();
  // As after a restore of an older backup: continues from this version, without history. The
  // objects stay as they are.
  void restore(std::uint64_t version);

  // `cached`: as a server with a watch cache, which sends no pages from resourceVersion=0.
  Answer list(const std::string& path, const Query& query, bool cached = false);

  // The objects as the initial events of a WatchList, and the bookmark that ends them.
  std::string initial_events(const std::string& path, const Query& query,
                             std::uint64_t& version) const;

  // The watch events after `version` that match the query's selectors, each followed by a newline.
  // Sets `version` to the current one, unless it is a version of the future. nullopt: compacted.
  std::optional<std::string> events_after(const std::string& path, const Query& query,
                                          std::uint64_t& version) const;
  std::string bookmark(const std::string& path) const;
  std::uint64_t version() const { return version_; }
  // The resource version of each object of the collection, by key.
  std::map<std::string, std::string> versions(const std::string& path) const;

 private:
  struct Event {
    std::uint64_t version = 0;
    std::string before;  // JSON, "" if created
    std::string after;   // JSON, "" if deleted
    std::string last;    // the object in a DELETED event
  };
  struct Collection {
    std::string kind;
    std::map<std::string, std::string> objects;  // by key
    std::vector<Event> history;
  };
  struct Snapshot {
    std::vector<std::string> items;
    std::uint64_t version = 0;
  };

  Collection& collection(const std::string& path);
  std::optional<Answer> refuse_list(const Query& query) const;

  std::map<std::string, Collection> collections_;
  std::map<std::string, Snapshot> snapshots_;  // by the first part of a continue token
  std::uint64_t version_ = 1;
  std::uint64_t compacted_ = 0;
  std::uint64_t next_snapshot_ = 1;
};

}  // namespace fake
