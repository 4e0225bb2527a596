// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <span>

namespace ipvs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxOutput = std::size_t{64} * 1024 * 1024;
constexpr std::size_t kMaxMessages = 4096;
constexpr std::chrono::milliseconds kCheckEnd{5};
const std::string kPath = "PATH=/usr/sbin:/sbin:/usr/bin:/bin";

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  void set(int fd) { fd_ = fd; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor reader, writer;
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    reader.set(ends[0]);
    writer.set(ends[1]);
    // The child expects an ordinary one.
    return ::fcntl(ends[1], F_SETFL, 0) == 0;
  }
};

// Kills and reaps the child unless its end was seen.
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
  bool has_ended(int& status) {
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
    pid_ = 0;
    return true;
  }

 private:
  pid_t pid_;
};

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return ::lseek(fd, 0, SEEK_SET) == 0;
}

int spawn(const std::vector<std::string>& command, int input, int output, int messages,
          pid_t& pid) {
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string path = kPath;
  char* environment[] = {path.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, 1);
  ::posix_spawn_file_actions_adddup2(&actions, messages, 2);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int error =
      ::posix_spawn(&pid, words.front().c_str(), &actions, &attributes, argv.data(), environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Takes what is there. False: the pipe has ended.
bool take(int fd, std::string& text, std::size_t limit) {
  char piece[16384];
  while (true) {
    const ssize_t size = ::read(fd, piece, sizeof(piece));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    const std::size_t more = std::min(static_cast<std::size_t>(size), limit - text.size());
    text.append(piece, more);
  }
}

int milliseconds_until(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

// False: the time is over.
bool read_both(Pipe& output, Pipe& messages, ChildOutcome& outcome, Clock::time_point end) {
  pollfd fds[] = {{output.reader.get(), POLLIN, 0}, {messages.reader.get(), POLLIN, 0}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    const int count = ::poll(fds, std::size(fds), milliseconds_until(end));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    if (fds[0].revents != 0 && !take(fds[0].fd, outcome.output, kMaxOutput)) fds[0].fd = -1;
    if (fds[1].revents != 0 && !take(fds[1].fd, outcome.messages, kMaxMessages)) fds[1].fd = -1;
  }
  return true;
}

// It has closed its output, so this takes a moment at most.
bool wait_for_end(Child& child, int& status, Clock::time_point end) {
  while (!child.has_ended(status)) {
    if (Clock::now() >= end) return false;
    ::poll(nullptr, 0, static_cast<int>(kCheckEnd.count()));
  }
  return true;
}

}  // namespace

bool ChildOutcome::succeeded() const {
  return error_number == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string ChildOutcome::text() const {
  std::string text;
  if (error_number == ETIMEDOUT) {
    text = "took too long and was killed";
  } else if (error_number != 0) {
    text = std::string("cannot be run: ") + ::strerror(error_number);
  } else if (WIFEXITED(status)) {
    text = "exited with status " + std::to_string(WEXITSTATUS(status));
  } else {
    text = "was killed by signal " + std::to_string(WTERMSIG(status));
  }
  std::string said = messages;
  std::replace_if(
      said.begin(), said.end(), [](unsigned char c) { return c < ' ' || c > '~'; }, ' ');
  said.erase(said.find_last_not_of(' ') + 1);
  return said.empty() ? text : text + ": " + said;
}

ChildOutcome run_child(const std::vector<std::string>& command, std::string_view input,
                       std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  ChildOutcome outcome;
  Pipe output;
  Pipe messages;
  const Descriptor file(::memfd_create("input", MFD_CLOEXEC));
  if (file.get() < 0 || !write_all(file.get(), input) || !output.open() || !messages.open()) {
    outcome.error_number = errno;
    return outcome;
  }
  pid_t pid = 0;
  outcome.error_number =
      spawn(command, file.get(), output.writer.get(), messages.writer.get(), pid);
  if (outcome.error_number != 0) return outcome;
  Child child(pid);
  output.writer.close();
  messages.writer.close();
  if (!read_both(output, messages, outcome, end) || !wait_for_end(child, outcome.status, end)) {
    outcome.error_number = ETIMEDOUT;
  }
  return outcome;
}

std::string find_program(const std::string& name) {
  for (const char* directory : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    std::string path = directory + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

}  // namespace ipvs
