// SPDX-License-Identifier: Apache-2.0
//
// What a fake API server holds: collections of objects as JSON text, one resource version for all,
// and the history that watches are served from. No I/O.
//
// Objects are known by metadata.namespace and metadata.name; metadata.resourceVersion is set here.
// Pages of a list are cut from the snapshot of its first page, as the real server's are.
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
  // Makes a collection exist, empty. put() does so by itself.
  void serve(const std::string& path, const std::string& kind);
  void unserve(const std::string& path) { collections_.erase(path); }
  bool serves(const std::string& path) const { return collections_.contains(path); }

  void put(const std::string& path, std::string_view json);
  // `key` is "namespace/name" or "name".
  bool remove(const std::string& path, const std::string& key);
  // Forgets history and snapshots: older watches and continue tokens have expired.
  void compact();

  Answer list(const std::string& path, const Query& query);

  // The watch events after `version` that the query's selectors let through, newline after each;
  // moves `version` to the present. nullopt: compacted, or not a version.
  std::optional<std::string> events_after(const std::string& path, const Query& query,
                                          std::uint64_t& version) const;
  std::string bookmark(const std::string& path) const;
  std::uint64_t version() const { return version_; }
  // Of each object of the collection, by key: its resource version.
  std::map<std::string, std::string> versions(const std::string& path) const;

 private:
  struct Event {
    std::uint64_t version = 0;
    std::string before;  // JSON, "" where there was none
    std::string after;   // JSON, "" where there is none left
    std::string last;    // what a DELETED event shows
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

  std::map<std::string, Collection> collections_;
  std::map<std::string, Snapshot> snapshots_;  // by the front part of a continue token
  std::uint64_t version_ = 1;
  std::uint64_t compacted_ = 0;
  std::uint64_t next_snapshot_ = 1;
};

}  // namespace fake
