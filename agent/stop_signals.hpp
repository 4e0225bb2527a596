// SPDX-License-Identifier: Apache-2.0
//
// SIGTERM and SIGINT end the process within two seconds at any instant, whatever it is doing: the
// I/O thread may be in a netlink call or parse a manifest, and Asio's thread may wait for a name
// server, which nothing can interrupt.
//
//   nothing listens (the start, --cleanup, the end)   the handler ends the process
//   a StopSignals listens                             the first one is reported, for an orderly
//                                                     end; the handler ends the process if it is
//                                                     there 1.5 s later, or at the second one
//
// To end by the handler is as safe as SIGKILL: what the kernel holds stays, and the next start
// adopts it. The handler and not only a default action, because PID 1 of a container has none.
//
// SIGHUP, SIGUSR1 and SIGUSR2 are reported while one listens, and else ignored. SIGPIPE is ignored: a log that nobody
// reads any more is no reason to end.
//
// Threading: one listens at a time, on its executor's thread. The handlers may run on any thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <functional>
#include <memory>

namespace agent {

// The first act of main(). Also unblocks these signals: the mask is inherited. `interrupted` is the
// exit code where a signal ends the process before it is done: 0, or 1 where that is a failure.
void catch_stop_signals(int interrupted = 0);

// From now on the process has this long to end by itself, or ends with `code`: the destructors may
// wait for a lookup that is running.
void end_within(std::chrono::milliseconds time, int code);

class StopSignals {
 public:
  static constexpr std::chrono::milliseconds kGrace{1500};

  // Signals are kept from here on, until listen().
  explicit StopSignals(boost::asio::any_io_executor executor,
                       std::chrono::milliseconds grace = kGrace);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Calls `on_signal` with the number of each signal, until close().
  void listen(std::function<void(int)> on_signal);
  // The orderly end is reached: no deadline any more, and the signals are as before.
  void close();

 private:
  struct Listening;
  std::shared_ptr<Listening> listening_;
};

}  // namespace agent
