// SPDX-License-Identifier: Apache-2.0
//
// The records of all Services, by name. A changed Service changes its own names only.
//
// A name exists if it has records or something below it has (RFC 8020): its other types are NODATA,
// and every other name in the zone is NXDOMAIN. Names of addresses (in-addr.arpa, ip6.arpa) are known
// one by one, each as a zone of its own; all other names outside of the cluster domain are others'.
//
// Answers are kept at their name until it changes. One that a CNAME led to another name for is valid
// until anything changes.
//
// Threading: none of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/dns/body.hpp"
#include "agent/dns/name.hpp"
#include "agent/dns/records.hpp"

namespace agent::dns {

class Zone {
 public:
  // `serial`: of the SOA record; it grows with each change.
  Zone(Name apex, std::uint32_t serial) : apex_(std::move(apex)), serial_(serial) {}
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

  // Replaces what a Service has; none: it is deleted. "" is the zone itself. `records` are ordered.
  void set(const std::string& service, std::vector<Record> records);

  struct Kept {
    Type type = Type::kA;
    std::uint32_t serial = 0;  // valid as long as that is the zone's; 0: as long as it is kept
    Body body;
  };
  class Node {
   public:
    std::vector<const Record*> of(Type type) const;
    bool has(Type type) const;
    // Of the types there are, the first.
    Type first_type() const;
    std::vector<Kept>& kept() { return kept_; }

   private:
    friend class Zone;
    // The records that each Service has at this name: nearly always one Service.
    std::map<const std::vector<Record>*, std::span<const Record>> parts_;
    std::size_t below_ = 0;  // names below it that have records
    std::vector<Kept> kept_;
  };

  // nullptr: there is no such name. `name` is in lower case.
  Node* find(std::string_view name);

  const Name& apex() const { return apex_; }
  std::uint32_t serial() const { return serial_; }
  std::size_t name_count() const { return nodes_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>()(name);
    }
  };
  template <typename Visit>
  static void for_each_name(const std::vector<Record>& records, Visit visit);
  void add(const std::vector<Record>& records);
  void remove(const std::vector<Record>& records);
  template <typename Visit>
  void for_each_ancestor(const Name& name, Visit visit);

  const Name apex_;
  std::uint32_t serial_;
  std::map<std::string, std::vector<Record>> services_;
  std::unordered_map<Name, Node, Hash, std::equal_to<>> nodes_;
};

}  // namespace agent::dns
