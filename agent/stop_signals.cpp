// SPDX-License-Identifier: Apache-2.0
#include "agent/stop_signals.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;

// What the handlers use. The pipe is made once and never closed, so a handler on another thread
// cannot write to a descriptor that has become something else.
struct HandlerState {
  std::atomic<int> pipe_in{-1};
  std::atomic<int> pipe_out{-1};
  std::atomic<bool> listening{false};
  std::atomic<bool> stopping{false};
  std::atomic<int> exit_code{1};  // of a program that did not say
  std::atomic<int> grace_ms{0};
};
HandlerState state;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

constexpr std::array<int, 5> kReported{SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

bool ends_the_process(int number) { return number == SIGTERM || number == SIGINT; }

// Writes only if that cannot block: a log that is not read must not keep the process alive.
void say(const char* line) {
  pollfd error_output{.fd = 2, .events = POLLOUT, .revents = 0};
  if (::poll(&error_output, 1, 0) != 1 || (error_output.revents & POLLOUT) == 0) return;
  [[maybe_unused]] const ssize_t written = ::write(2, line, std::strlen(line));
}

[[noreturn]] void end_now(const char* line) {
  say(line);
  ::_exit(state.exit_code);
}

void set_timer(int milliseconds) {
  itimerval timer{};
  timer.it_value.tv_sec = milliseconds / 1000;
  timer.it_value.tv_usec = milliseconds % 1000 * 1000L;
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

extern "C" {

static void on_stop_signal(int number) {
  const int saved = errno;
  if (ends_the_process(number)) {
    if (!state.listening) end_now("kube-ipvs: ended by a signal; what is programmed stays\n");
    if (state.stopping.exchange(true)) end_now("kube-ipvs: a second signal: ended at once\n");
    set_timer(state.grace_ms);
  }
  const char byte = static_cast<char>(number);
  if (state.listening) {
    [[maybe_unused]] const ssize_t sent = ::write(state.pipe_in, &byte, 1);
  }
  errno = saved;
}

static void on_deadline(int) {
  end_now("kube-ipvs: not everything had stopped in time: ended; what is programmed stays\n");
}

}  // extern "C"

namespace {

struct sigaction action_of(int number) {
  struct sigaction action {};
  action.sa_handler = number == SIGALRM ? on_deadline : on_stop_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  return action;
}

void catch_signal(int number, struct sigaction* before) {
  const struct sigaction action = action_of(number);
  ::sigaction(number, &action, before);
}

void make_pipe() {
  if (state.pipe_in >= 0) return;
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
  state.pipe_out = ends[0];
  state.pipe_in = ends[1];
}

}  // namespace

void catch_stop_signals(int interrupted) {
  state.exit_code = interrupted;
  make_pipe();
  sigset_t ours;
  ::sigemptyset(&ours);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGALRM}) {
    catch_signal(number, nullptr);
    ::sigaddset(&ours, number);
  }
  ::pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void end_within(std::chrono::milliseconds time, int code) {
  state.exit_code = code;
  set_timer(static_cast<int>(time.count()));
}

struct StopSignals::Listening {
  explicit Listening(const asio::any_io_executor& executor) : pipe(executor) {}

  static void read(const std::shared_ptr<Listening>& self) {
    self->pipe.async_read_some(asio::buffer(self->bytes),
                               [self](const boost::system::error_code& error, std::size_t size) {
                                 if (error) return;
                                 for (std::size_t i = 0; i < size && self->on_signal; ++i)
                                   self->on_signal(self->bytes[i]);
                                 if (self->pipe.is_open()) read(self);
                               });
  }

  asio::posix::stream_descriptor pipe;
  std::array<char, 16> bytes{};
  std::function<void(int)> on_signal;
  std::array<struct sigaction, kReported.size() + 1> before{};
};

StopSignals::StopSignals(asio::any_io_executor executor, std::chrono::milliseconds grace)
    : listening_(std::make_shared<Listening>(executor)) {
  make_pipe();
  std::array<char, 64> old{};
  while (::read(state.pipe_out, old.data(), old.size()) > 0) continue;
  state.grace_ms = static_cast<int>(grace.count());
  state.stopping = false;
  for (std::size_t i = 0; i < kReported.size(); ++i) {
    catch_signal(kReported[i], &listening_->before[i]);
  }
  catch_signal(SIGALRM, &listening_->before.back());
  state.listening = true;
  const int reading_end = ::fcntl(state.pipe_out, F_DUPFD_CLOEXEC, 3);
  if (reading_end >= 0) listening_->pipe.assign(reading_end);
}

StopSignals::~StopSignals() { close(); }

void StopSignals::listen(std::function<void(int)> on_signal) {
  listening_->on_signal = std::move(on_signal);
  Listening::read(listening_);
}

void StopSignals::close() {
  if (!listening_) return;
  state.listening = false;
  set_timer(0);
  for (std::size_t i = 0; i < kReported.size(); ++i) {
    ::sigaction(kReported[i], &listening_->before[i], nullptr);
  }
  ::sigaction(SIGALRM, &listening_->before.back(), nullptr);
  boost::system::error_code ignored;
  listening_->pipe.close(ignored);
  listening_.reset();
}

}  // namespace agent
