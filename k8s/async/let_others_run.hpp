// SPDX-License-Identifier: Apache-2.0
//
// For work that is done in steps.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace k8s {

// Lets other work of the event loop go first.
inline boost::asio::awaitable<void> let_others_run() {
  co_await boost::asio::post(boost::asio::use_awaitable);
}

}  // namespace k8s
