// SPDX-License-Identifier: Apache-2.0
//
// Runs a program to its end and returns its output. Only for iptables-save and iptables-restore,
// once, where rules of iptables-legacy are to be deleted: the kernel takes such a table only as a
// whole, in a layout that depends on every extension in it.
//
// No shell; the environment is PATH alone. The child has descriptors 0 (a file in memory with
// `input`), 1 and 2 (pipes), default signal handling, and the calling thread's network namespace.
//
// Threading: blocks until the child has ended or the time is over, when it is killed and reaped.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace ipvs {

struct ChildOutcome {
  int error_number = 0;  // it could not be started: errno; ETIMEDOUT: killed
  int status = 0;        // as waitpid() gives it
  std::string output;    // at most 64 MiB
  std::string messages;  // standard error, at most 4 KiB
  bool succeeded() const;
  // "exited with status 2: iptables-restore: line 3 failed"
  std::string text() const;
};

ChildOutcome run_child(const std::vector<std::string>& command, std::string_view input,
                       std::chrono::milliseconds limit);

// The path of a program, from /usr/sbin, /sbin, /usr/bin and /bin; "": it is in none of them.
std::string find_program(const std::string& name);

}  // namespace ipvs
