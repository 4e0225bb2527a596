// SPDX-License-Identifier: Apache-2.0
//
// Cancellation of coroutines that do socket I/O, without a gap.
//
// Asio cancels the operation that is pending at that moment. Composed operations (Beast's reads,
// Asio's TLS ones) are made of several, and a signal that falls between two of them is lost: the
// operation then waits for the peer as if nothing had been said. So here a cancellation does not go
// to the operation at all: it closes the socket, which ends the operation at whatever point it is.
//
// Between operations, a coroutine asks is_cancelled() before it starts the next one, and keeps the
// answer in a variable: GCC 12 miscompiles a co_await in the condition of an if.
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

// Inline, and so compiled where it is used: it is a coroutine of one step.
inline boost::asio::awaitable<bool> is_cancelled() {
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  co_return state.cancelled() != boost::asio::cancellation_type::none;
}

// Completion token: as `token`, but cancellation closes `stream` (anything with close()). The
// stream is held weakly, since a slot keeps its handler until the next operation takes it.
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
