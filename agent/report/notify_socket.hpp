// SPDX-License-Identifier: Apache-2.0
//
// What the process tells the service manager that started it: the datagrams of sd_notify(3), "A=B"
// one a line, to the socket that NOTIFY_SOCKET names. agent/report/adr-notify.md says why without
// libsystemd.
//
// Threading: none of its own. send() never blocks.
// Errors: an address that is no such socket is a fault(), once, for the log; what could not be sent
// may be sent again later.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace agent {

// NOTIFY_SOCKET, and WATCHDOG_USEC where WATCHDOG_PID is missing or this process.
struct NotifySettings {
  std::string socket;                                 // "": nobody wants to hear
  std::optional<std::chrono::microseconds> watchdog;  // between two WATCHDOG=1, at most
};
// `variable`: as getenv(3).
NotifySettings read_notify_settings(const std::function<const char*(const char*)>& variable,
                                    pid_t self);
// From the environment, and removes them from it: no program that we start may speak for us. Call it
// while there is one thread.
NotifySettings take_notify_settings();

class NotifySocket {
 public:
  // "/run/systemd/notify", or "@name" for an abstract socket; "": nothing is sent.
  explicit NotifySocket(std::string address);
  ~NotifySocket();
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  bool is_wanted() const { return !address_.empty() && fault_.empty(); }
  // One line, why nothing can be sent; "": it can.
  const std::string& fault() const { return fault_; }
  // False: it was not taken; the receiver's queue is full, or nobody listens.
  bool send(const std::string& message);

 private:
  std::string address_;
  std::string fault_;
  int socket_ = -1;
};

// A value of one line: without control characters, and not longer than people read.
std::string notify_line(const std::string& key, const std::string& value);

}  // namespace agent
