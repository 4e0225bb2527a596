// SPDX-License-Identifier: Apache-2.0
//
// Runs a program and returns its standard output. Only for credential plugins.
//
// Invariants: the child is reaped before run_command() returns; at the deadline, at cancellation
// and at every error it and its process group are killed first. It inherits only descriptors 0
// (/dev/null), 1 (a pipe) and 2 (a file in memory, at most 16 KiB), with default signal handling.
// Errors: Problem, worded to follow the program's name, with the beginning of its standard error:
// "exited with status 1: the refresh token has expired". What a program that succeeds writes there
// is dropped.
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
  // Added to our environment; a variable we have too is replaced.
  std::vector<std::pair<std::string, std::string>> env;
};

// The program's standard output, at most 1 MiB, if it exits with status 0. `command` must outlive
// the call.
boost::asio::awaitable<boost::system::result<std::string, Problem>> run_command(
    boost::asio::any_io_executor executor, const Command& command,
    std::chrono::milliseconds deadline);

}  // namespace k8s
