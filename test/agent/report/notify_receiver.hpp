// SPDX-License-Identifier: Apache-2.0
//
// A service manager's end of NOTIFY_SOCKET: a real datagram socket, abstract or in a directory.
#pragma once

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "test/fake/temporary_folder.hpp"

namespace agent::test {

class NotifyReceiver {
 public:
  enum class Kind { kAbstract, kPath };
  explicit NotifyReceiver(Kind kind = Kind::kAbstract) {
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(socket_ >= 0);
    const std::string path = folder_.path("socket");
    sockaddr_un here{};
    here.sun_family = AF_UNIX;
    // The name of the directory is unique, so the abstract socket's is, too.
    const bool is_abstract = kind == Kind::kAbstract;
    std::memcpy(here.sun_path + (is_abstract ? 1 : 0), path.data(), path.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&here), size) == 0);
    address = is_abstract ? "@" + path : path;
  }
  ~NotifyReceiver() { ::close(socket_); }
  NotifyReceiver(const NotifyReceiver&) = delete;
  NotifyReceiver& operator=(const NotifyReceiver&) = delete;

  // The messages that have come since the last call.
  std::vector<std::string> take() {
    std::vector<std::string> all;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::recv(socket_, buffer.data(), buffer.size(), 0)) >= 0;) {
      all.emplace_back(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }
  // The next message, "" where there is none.
  std::string take_one() {
    std::array<char, 4096> buffer{};
    const ssize_t n = ::recv(socket_, buffer.data(), buffer.size(), 0);
    return n < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(n));
  }

  std::string address;

 private:
  fake::TemporaryFolder folder_;
  int socket_ = -1;
};

}  // namespace agent::test
