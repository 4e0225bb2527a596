// SPDX-License-Identifier: Apache-2.0
#include "agent/report/notify_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "config/printable.hpp"

namespace agent {
namespace {

constexpr std::size_t kMaxValue = 512;
constexpr const char* kVariables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

std::optional<std::uint64_t> number(const char* text) {
  if (!text) return std::nullopt;
  const std::string_view digits(text);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// The address of a socket in the file system ends with a zero byte, an abstract one begins with one.
socklen_t fill(sockaddr_un& to, const std::string& address) {
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address.data(), address.size());
  const bool is_abstract = address[0] == '@';
  if (is_abstract) to.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size() +
                                (is_abstract ? 0 : 1));
}

std::string fault_of(const std::string& address) {
  if (address.empty()) return {};
  const std::string what = "NOTIFY_SOCKET=" + config::printable(address, kMaxValue) + ": ";
  if (address[0] != '/' && address[0] != '@') {
    return what + "neither a path nor an abstract socket: the service manager is not notified";
  }
  if (address.size() >= sizeof(sockaddr_un::sun_path) || address.size() < 2) {
    return what + "no socket can have this name: the service manager is not notified";
  }
  return {};
}

}  // namespace

NotifySettings read_notify_settings(const std::function<const char*(const char*)>& variable,
                                    pid_t self) {
  NotifySettings settings;
  const char* socket = variable("NOTIFY_SOCKET");
  if (!socket) return settings;
  settings.socket = socket;
  const char* pid = variable("WATCHDOG_PID");
  if (pid && number(pid) != static_cast<std::uint64_t>(self)) return settings;
  const auto period = number(variable("WATCHDOG_USEC"));
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  if (period && *period > 0 && *period < kMost) {
    settings.watchdog = std::chrono::microseconds(static_cast<std::int64_t>(*period));
  }
  return settings;
}

NotifySettings take_notify_settings() {
  NotifySettings settings = read_notify_settings(
      [](const char* name) -> const char* { return std::getenv(name); }, ::getpid());
  for (const char* name : kVariables) ::unsetenv(name);
  return settings;
}

NotifySocket::NotifySocket(std::string address)
    : address_(std::move(address)), fault_(fault_of(address_)) {}

NotifySocket::~NotifySocket() {
  if (socket_ >= 0) ::close(socket_);
}

bool NotifySocket::send(const std::string& message) {
  if (!is_wanted()) return false;
  if (socket_ < 0) socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return false;
  sockaddr_un to{};
  const socklen_t size = fill(to, address_);
  ssize_t sent = -1;
  do {
    sent = ::sendto(socket_, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                    reinterpret_cast<const sockaddr*>(&to), size);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(message.size());
}

std::string notify_line(const std::string& key, const std::string& value) {
  return key + "=" + config::printable(value, kMaxValue) + "\n";
}

}  // namespace agent
