// SPDX-License-Identifier: Apache-2.0
//
// Metric families as text, in pieces: a family may have thousands of series, and a page must never
// keep the event loop for long.
//
// Threading: none of its own.
#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace agent {

class FamilyText {
 public:
  explicit FamilyText(std::vector<prometheus::MetricFamily> families)
      : families_(std::move(families)) {}

  // The next few KiB; "": that was all.
  std::string next();

 private:
  void add_part(std::string& piece);

  std::vector<prometheus::MetricFamily> families_;
  std::size_t family_ = 0;
  std::size_t metric_ = 0;  // of that family
};

}  // namespace agent
