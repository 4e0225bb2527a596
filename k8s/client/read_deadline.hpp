// SPDX-License-Identifier: Apache-2.0
//
// Closes a TCP stream if a read does not finish in time.
//
// A watch may be read every second and is allowed minutes of silence: Beast's own deadline would
// start and cancel a timer for every read. This timer keeps running and, when it fires, checks
// whether the deadline has been moved later meanwhile.
//
// Threading: the stream's executor.
#pragma once

#include <chrono>
#include <memory>

#include "k8s/client/dial.hpp"

namespace k8s {

class ReadDeadline {
 public:
  using Clock = std::chrono::steady_clock;

  // Holds a weak pointer to the stream, and switches its own deadline off.
  explicit ReadDeadline(const std::shared_ptr<TcpStream>& stream);
  ~ReadDeadline();
  ReadDeadline(const ReadDeadline&) = delete;
  ReadDeadline& operator=(const ReadDeadline&) = delete;

  // When the next read must have finished; time_point::max(): no limit.
  void set(Clock::time_point deadline);
  // The read did not finish in time, and the stream was closed.
  bool passed() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace k8s
