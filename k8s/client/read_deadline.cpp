// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/read_deadline.hpp"

#include <boost/asio/steady_timer.hpp>

namespace k8s {

struct ReadDeadline::State {
  explicit State(const std::shared_ptr<TcpStream>& stream_in)
      : timer(stream_in->get_executor(), Clock::time_point::max()), stream(stream_in) {}

  static void start(const std::shared_ptr<State>& self) {
    self->timer.expires_at(self->deadline);
    self->timer.async_wait([weak = std::weak_ptr(self)](const boost::system::error_code& error) {
      const auto state = weak.lock();
      if (state && !error) state->fire(state);
    });
  }

  void fire(const std::shared_ptr<State>& self) {
    if (deadline > Clock::now()) return start(self);
    passed = true;
    if (const auto open = stream.lock()) open->close();
  }

  boost::asio::steady_timer timer;  // max(): not running
  std::weak_ptr<TcpStream> stream;
  Clock::time_point deadline = Clock::time_point::max();
  bool passed = false;
};

ReadDeadline::ReadDeadline(const std::shared_ptr<TcpStream>& stream)
    : state_(std::make_shared<State>(stream)) {
  stream->expires_never();
}

ReadDeadline::~ReadDeadline() { state_->timer.cancel(); }

void ReadDeadline::set(Clock::time_point deadline) {
  state_->deadline = deadline;
  if (deadline < state_->timer.expiry()) State::start(state_);
}

bool ReadDeadline::passed() const { return state_->passed; }

}  // namespace k8s
