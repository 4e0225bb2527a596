// SPDX-License-Identifier: Apache-2.0
//
// The log's settings: at the start, and while the agent runs. What is logged: agent/log/log.hpp.
//
// Changed while it runs: by SIGUSR1 (one level more) and SIGUSR2 (one level less), and with
// --profiling by PUT /debug/flags/v on the metrics port, as in kube-proxy.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "agent/log/levels.hpp"  // set_verbosity(), set_vmodule()
#include "agent/report/http_server.hpp"
#include "config/config.hpp"

namespace agent {

void set_up_log(const config::Config& config);

// One level more or less, and one line that says so.
void change_verbosity(int by);

// The answer to PUT /debug/flags/v: `text` is the level.
HttpAnswer answer_verbosity(std::string_view text);

// Writes the counts of repeated lines when their time is over, until cancelled.
boost::asio::awaitable<void> write_repeats(boost::asio::any_io_executor executor);

}  // namespace agent
