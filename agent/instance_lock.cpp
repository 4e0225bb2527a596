// SPDX-License-Identifier: Apache-2.0
#include "agent/instance_lock.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace agent {
namespace {

// A process that waits occupies a place for as long as the holder lives, as does one that has
// waited. The kernel lowers this to net.core.somaxconn.
constexpr int kPlaces = 4096;
// An agent binds and listens within microseconds; one that has bound and does not listen is none.
constexpr int kAttempts = 20;
constexpr int kBetweenAttempts = 5;  // ms
// The end of the connection ends the wait; this only bounds it.
constexpr int kPatience = 5000;  // ms

struct Name {
  sockaddr_un address{};
  socklen_t size = 0;
};

// Its first byte is 0: abstract. The rest has no terminator.
Name abstract_name(const std::string& text) {
  Name name;
  name.address.sun_family = AF_UNIX;
  const std::size_t length = std::min(text.size(), sizeof(name.address.sun_path) - 1);
  std::memcpy(name.address.sun_path + 1, text.data(), length);
  name.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  return name;
}

// Closed on exec: a credential plugin must not hold the lock.
int open_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

void close_and_clear(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

std::string process(pid_t pid) {
  // As getsockopt() says of a process in a PID namespace that is not ours or below ours.
  if (pid == 0) return "a process in another PID namespace";
  return "process " + std::to_string(pid);
}

}  // namespace

InstanceLock::InstanceLock(std::string run_dir, std::string name)
    : run_dir_(std::move(run_dir)), name_(std::move(name)) {}

InstanceLock::~InstanceLock() {
  close_and_clear(connection_);
  close_and_clear(listener_);
}

InstanceLock::State InstanceLock::uncertain(std::string why) {
  why_ = "the lock @" + name_ + " against a second kube-ipvs is not held: " + std::move(why);
  return State::kUncertain;
}

InstanceLock::State InstanceLock::take() {
  if (listener_ >= 0) return State::kHeld;
  close_and_clear(connection_);
  const Name name = abstract_name(name_);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int listener = open_socket();
    if (listener < 0) return uncertain(std::strerror(errno));
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&name.address), name.size) == 0 &&
        ::listen(listener, kPlaces) == 0) {
      listener_ = listener;
      return State::kHeld;
    }
    const int error = errno;
    ::close(listener);
    if (error != EADDRINUSE) return uncertain(std::strerror(error));

    connection_ = open_socket();
    if (connection_ < 0) return uncertain(std::strerror(errno));
    if (::connect(connection_, reinterpret_cast<const sockaddr*>(&name.address), name.size) == 0) {
      return ask_holder();
    }
    const int refused = errno;
    close_and_clear(connection_);
    if (refused != ECONNREFUSED) {
      return uncertain(std::string("who has it does not answer: ") + std::strerror(refused));
    }
    // It has ended meanwhile, or does not listen yet.
    ::poll(nullptr, 0, kBetweenAttempts);
  }
  return uncertain("another program has taken the name, and does not listen");
}

InstanceLock::State InstanceLock::ask_holder() {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(connection_, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return uncertain(std::strerror(errno));
  }
  if (!may_hold(peer.uid)) {
    close_and_clear(connection_);
    return uncertain(process(peer.pid) + " of user " + std::to_string(peer.uid) +
                     " has taken the name, which only root and the owner of --run-dir may");
  }
  holder_ = process(peer.pid);
  return State::kTaken;
}

bool InstanceLock::may_hold(uid_t user) const {
  if (user == 0 || user == ::geteuid()) return true;
  struct stat directory {};
  return ::stat(run_dir_.c_str(), &directory) == 0 && directory.st_uid == user;
}

void InstanceLock::wait() const {
  pollfd end{.fd = connection_, .events = POLLIN, .revents = 0};
  ::poll(&end, 1, kPatience);
}

}  // namespace agent
