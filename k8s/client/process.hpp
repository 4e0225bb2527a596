// SPDX-License-Identifier: Apache-2.0
//
// Runs a program and collects what it prints: for credential plugins only, nothing in the data path
// executes anything.
//
// Invariants: no process is left behind: at the deadline, at cancellation and at every fault the
// child is killed and reaped. The child gets no descriptor of ours but 0 (/dev/null), 1 (the pipe)
// and 2 (our standard error), and default signal handling.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "k8s/client/exec_credential.hpp"

namespace k8s {

struct Command {
  std::string program;  // found in PATH unless it contains a slash
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>>
      env;  // added to, or replacing in, our environment
};

// The program's standard output, if it exits with 0. At most 1 MiB. `command` must live until it
// returns.
boost::asio::awaitable<boost::system::result<std::string, Problem>> run_command(
    boost::asio::any_io_executor executor, const Command& command,
    std::chrono::milliseconds deadline);

}  // namespace k8s
