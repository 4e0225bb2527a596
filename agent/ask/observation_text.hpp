// SPDX-License-Identifier: Apache-2.0
//
// What `kube-ipvs observe` prints: from the lines of /v1/observe (agent/answers/observations.hpp) to a
// table that grows. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "agent/ask/table.hpp"

namespace agent {

class ObservationText {
 public:
  explicit ObservationText(bool colours) : colours_(colours) {}

  // With the line's end; "": there is nothing to say. A column gets wider when a text needs it.
  std::string next(const boost::json::value& line);

 private:
  std::string row(const Row& cells);
  std::string start(const boost::json::value& line);
  std::string connection(const boost::json::value& line);

  const bool colours_;
  std::vector<std::size_t> widths_;
};

}  // namespace agent
