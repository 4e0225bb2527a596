// SPDX-License-Identifier: Apache-2.0
//
// How the coroutines of the fake servers wait: an error is a result, not an exception.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

// GCC 12 inlines only half of Asio's coroutine frame allocation, and warns of a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace fake {

constexpr auto kAwait = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace fake
