// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "config/printable.hpp"
#include "k8s/async/cancellation.hpp"

extern char** environ;

namespace k8s {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxOutput = 1u << 20;
constexpr std::size_t kMaxMessages = std::size_t{16} * 1024;
constexpr std::size_t kShownMessages = 300;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

// A file in memory for the program's standard error. Its size is sealed: beyond it, writing fails.
// -1 if there is none to be had.
int messages_file() {
  const int file = ::memfd_create("messages", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return file;
  if (::ftruncate(file, kMaxMessages) == 0 && ::fcntl(file, F_ADD_SEALS, F_SEAL_GROW) == 0) {
    return file;
  }
  ::close(file);
  return -1;
}

// ": " and the beginning of what was written to `file`; "" if that was nothing.
std::string messages_in(int file) {
  std::string text(kMaxMessages, '\0');
  const auto end = std::min<off_t>(::lseek(file, 0, SEEK_CUR), kMaxMessages);
  const ssize_t size = end > 0 ? ::pread(file, text.data(), static_cast<std::size_t>(end), 0) : 0;
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text.empty() ? "" : ": " + config::printable(text, kShownMessages);
}

// Kills and reaps the child, unless ended() has returned its status, and kills what it started.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  // The wait status, if the child has ended.
  std::optional<int> ended() {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_;
};

std::vector<std::string> merged_environment(const Command& command) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const auto& [key, value] : command.env) replaced = replaced || key == name;
    if (!replaced) result.emplace_back(text);
  }
  for (const auto& [key, value] : command.env) result.push_back(key + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Starts the program with standard output to `output` and standard error to `messages`, as leader
// of a process group of its own. Returns an errno, or 0 and its `pid`.
int spawn(const Command& command, int output, int messages, pid_t& pid) {
  std::vector<std::string> args{command.program};
  args.insert(args.end(), command.args.begin(), command.args.end());
  std::vector<std::string> environment = merged_environment(command);
  const std::vector<char*> argv = pointers(args);
  const std::vector<char*> envp = pointers(environment);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, 1);
  if (messages >= 0) {
    ::posix_spawn_file_actions_adddup2(&actions, messages, 2);
  } else {
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  }
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int error = ::posix_spawnp(&pid, command.program.c_str(), &actions, &attributes,
                                   argv.data(), envp.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

std::string describe(int status) {
  if (WIFEXITED(status)) return "exited with status " + std::to_string(WEXITSTATUS(status));
  return "was killed by signal " + std::to_string(WTERMSIG(status));
}

Problem problem(const std::string& text) { return Problem::because(text); }

// The pipe's reading end and the deadline. The timer's handler may run after the coroutine has
// ended, so it shares this object, by a weak pointer because the object owns the timer.
struct Output {
  Output(const asio::any_io_executor& executor, int descriptor)
      : pipe(executor, descriptor), alarm(executor) {}
  asio::posix::stream_descriptor pipe;
  asio::steady_timer alarm;
  bool late = false;
};

void set_alarm(const std::shared_ptr<Output>& output, std::chrono::milliseconds deadline) {
  output->alarm.expires_after(deadline);
  output->alarm.async_wait([weak = std::weak_ptr(output)](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->late = true;
    self->pipe.cancel();
  });
}

}  // namespace

// GCC 12 inlines only half of Asio's coroutine frame allocation here, and warns of a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

asio::awaitable<boost::system::result<std::string, Problem>> run_command(
    asio::any_io_executor executor, const Command& command, std::chrono::milliseconds deadline) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    co_return problem(std::string("could not be given a pipe: ") + std::strerror(errno));
  }
  const auto output = std::make_shared<Output>(executor, ends[0]);
  pid_t pid = 0;
  const Descriptor messages(messages_file());
  const int spawn_error = spawn(command, ends[1], messages.number(), pid);
  ::close(ends[1]);
  if (spawn_error != 0) {
    co_return problem(std::string("could not be started: ") + std::strerror(spawn_error));
  }
  Child child(pid);
  set_alarm(output, deadline);
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto [error, size] = co_await output->pipe.async_read_some(asio::buffer(buffer), kAwait);
    text.append(buffer.data(), size);
    if (error == asio::error::eof) break;
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return problem("was cancelled");
    if (output->late) co_return problem("did not end in time" + messages_in(messages.number()));
    if (error) co_return problem("its output could not be read: " + error.message());
    if (text.size() > kMaxOutput) co_return problem("printed more than 1 MiB");
  }

  // It closed its output, so it will end soon. Polling for a few milliseconds is simpler than a
  // handler for SIGCHLD.
  std::optional<int> status = child.ended();
  asio::steady_timer pause(executor);
  while (!status && !output->late) {
    pause.expires_after(std::chrono::milliseconds(5));
    co_await pause.async_wait(kAwait);
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return problem("was cancelled");
    status = child.ended();
  }
  if (!status) co_return problem("did not end in time" + messages_in(messages.number()));
  if (*status != 0) co_return problem(describe(*status) + messages_in(messages.number()));
  co_return text;
}

}  // namespace k8s
