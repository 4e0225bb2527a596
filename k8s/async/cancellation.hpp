// SPDX-License-Identifier: Apache-2.0
//
// Reliable cancellation of coroutines that do socket I/O.
//
// Asio cancels the operation that is pending when the signal arrives. A composed operation (a read
// of Beast, or of Asio's TLS stream) consists of several, and a signal that arrives between two of
// them is lost: the operation then waits for the peer as before. Here a cancellation does not reach
// the operation. It closes the socket, which ends the operation at any point.
//
// Before it starts another operation, a coroutine calls is_cancelled(), and keeps the result in a
// variable: GCC 12 miscompiles a co_await in the condition of an if.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/this_coro.hpp>
#include <memory>
#include <utility>

namespace k8s {

inline boost::asio::awaitable<bool> is_cancelled() {
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  co_return state.cancelled() != boost::asio::cancellation_type::none;
}

// Completion token: like `token`, but cancellation closes `stream` (any type with close()). The
// stream is referenced weakly, because a slot keeps its handler until the next operation replaces
// it.
template <typename Stream, typename Token>
struct ClosesWhenCancelled {
  std::weak_ptr<Stream> stream;
  Token token;
};

template <typename Stream, typename Token>
ClosesWhenCancelled<Stream, Token> closes_when_cancelled(const std::shared_ptr<Stream>& stream,
                                                         Token token) {
  return {stream, std::move(token)};
}

template <typename Stream>
struct CloseOnSignal {
  std::weak_ptr<Stream> stream;
  void operator()(boost::asio::cancellation_type) const {
    if (const auto open = stream.lock()) open->close();
  }
};

}  // namespace k8s

template <typename Stream, typename Token, typename... Signatures>
struct boost::asio::async_result<k8s::ClosesWhenCancelled<Stream, Token>, Signatures...> {
  template <typename Initiation, typename... Args>
  static auto initiate(Initiation initiation, k8s::ClosesWhenCancelled<Stream, Token> closing,
                       Args... args) {
    return boost::asio::async_initiate<Token, Signatures...>(
        [stream = std::move(closing.stream)](auto handler, Initiation start, auto... start_args) {
          auto slot = boost::asio::get_associated_cancellation_slot(handler);
          if (slot.is_connected()) slot.assign(k8s::CloseOnSignal<Stream>{stream});
          std::move(start)(boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot(),
                                                               std::move(handler)),
                           std::move(start_args)...);
        },
        closing.token, std::move(initiation), std::move(args)...);
  }
};
