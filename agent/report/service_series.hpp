// SPDX-License-Identifier: Apache-2.0
//
// A metric family with series for Services, and for causes where it has any. There may be thousands
// of them, which prometheus-cpp copies all at once; these are written in parts.
//
// Threading: none of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "k8s/types.hpp"

namespace agent {

class ServiceSeries {
 public:
  struct Family {
    const char* name;
    const char* type;  // "counter", "gauge"
    const char* help;
  };
  explicit ServiceSeries(Family family) : family_(family) {}

  // 0 at first. `cause`: a label of this name; "": without it.
  std::uint64_t& at(const k8s::ObjectKey& service, const std::string& cause = {}) {
    return values_[{.service = service, .cause = cause}];
  }
  void clear() { values_.clear(); }

  struct Key {
    k8s::ObjectKey service{};
    std::string cause{};
    auto operator<=>(const Key&) const = default;
  };
  // Where a page is; series may come and go between two parts.
  struct Place {
    Key after{};
    bool has_begun = false;
  };
  // The text of some series after `place`, which moves; "": there are no more.
  std::string next(Place& place) const;

 private:
  Family family_;
  std::map<Key, std::uint64_t> values_;
};

}  // namespace agent
