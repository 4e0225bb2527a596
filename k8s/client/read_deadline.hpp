// SPDX-License-Identifier: Apache-2.0
//
// Closes a TCP stream from which nothing came in time.
//
// A watch is read every second or so and may be silent for minutes: Beast's own deadline would set
// and cancel a timer for each of those reads. Here the timer keeps running, and looks whether the
// deadline has moved on when it fires.
//
// Threading: that of the stream's executor.
#pragma once

#include <chrono>
#include <memory>

#include "k8s/client/dial.hpp"

namespace k8s {

class ReadDeadline {
 public:
  using Clock = std::chrono::steady_clock;

  // The stream is held weakly.
  explicit ReadDeadline(const std::shared_ptr<TcpStream>& stream);
  ~ReadDeadline();
  ReadDeadline(const ReadDeadline&) = delete;
  ReadDeadline& operator=(const ReadDeadline&) = delete;

  // The read that follows must have ended by then; time_point::max(): whenever it likes.
  void set(Clock::time_point deadline);
  // It had not, and the stream was closed.
  bool passed() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace k8s
