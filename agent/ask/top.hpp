// SPDX-License-Identifier: Apache-2.0
//
// What `kube-ipvs top` shows: the difference of two readings of /v1/endpoints, as rates. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace agent {

// Of an endpoint of a Service port.
struct TopCounts {
  std::int64_t connections = 0, bytes_in = 0, bytes_out = 0;
  // Of the first reading since it was made, and when that was: seconds after the first of all.
  std::int64_t first_connections = 0;
  double first_seconds = 0;
};

class Top {
 public:
  // `sort`: "new", "active", "bytes" or "name".
  explicit Top(std::string sort) : sort_(std::move(sort)) {}

  // The screen after this reading, `seconds` after the last one; the first has no rates. Only
  // endpoints with open connections or traffic since then have a row.
  std::string next(const boost::json::value& answer, double seconds, bool colours);

 private:
  std::string sort_;
  std::map<std::string, TopCounts> last_;
  double seconds_ = 0;  // since the first reading
};

}  // namespace agent
