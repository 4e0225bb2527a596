// SPDX-License-Identifier: Apache-2.0
//
// Counts what is under way, so that it can be limited: one more while it lives.
#pragma once

namespace agent {

class Counted {
 public:
  explicit Counted(int& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  int& count_;
};

}  // namespace agent
