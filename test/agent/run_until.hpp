// SPDX-License-Identifier: Apache-2.0
//
// Runs an io_context until what a test expects has happened, for 10 seconds at most.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>

namespace agent::test {

// False: it did not happen.
template <typename Done>
bool run_until(boost::asio::io_context& context, const Done& done) {
  using namespace std::chrono_literals;
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!done() && std::chrono::steady_clock::now() < end) {
    context.restart();
    context.run_for(5ms);
  }
  return done();
}

}  // namespace agent::test
