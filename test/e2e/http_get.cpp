// SPDX-License-Identifier: Apache-2.0
//
// The HTTP client of the end-to-end tests. They ask a thousand times, in a kernel whose processor
// is emulated; there curl takes a third of a second to start, this (linked statically) a twentieth.
//
//   http_get [--timeout SECONDS] [--interface ADDRESS] [--header LINE] [--tally yes] URL
//
// URL is http://ADDRESS[:PORT][/PATH], the address an IPv4 one or an [IPv6] one; PATH may end in
// [1-N] for N requests on connections of their own. Prints the bodies; with --tally each different
// one once, behind how often it came: "3 pod-1". Exit codes as curl's: 7 the connection was
// refused, 22 the status is 400 or higher, 28 nothing was heard for that time, 52 and 56 the
// connection ended without an answer, 2 for other arguments.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

enum Code {
  kDone = 0,
  kUsage = 2,
  kRefused = 7,
  kStatus = 22,
  kTimeout = 28,
  kEmpty = 52,
  kReset = 56
};

struct Request {
  sockaddr_storage server{};
  socklen_t server_size = 0;
  sockaddr_storage source{};
  socklen_t source_size = 0;
  std::string host;
  std::string header;
  int timeout_ms = 10'000;
  bool tally = false;
};

using Bodies = std::vector<std::string>;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "http_get: %s\n", why.c_str());
  std::exit(kUsage);
}

socklen_t parse_address(const std::string& text, int port, sockaddr_storage& out) {
  const auto number = htons(static_cast<std::uint16_t>(port));
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = number, .sin_addr = {}, .sin_zero = {}};
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    std::memcpy(&out, &v4, sizeof(v4));
    return sizeof(v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = number;
  if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) != 1) give_up(text + " is no address");
  std::memcpy(&out, &v6, sizeof(v6));
  return sizeof(v6);
}

// "[fd00::1]:8080/path" -> the server in `request`; returns the path.
std::string parse_url(std::string_view url, Request& request) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) give_up(std::string(url) + " is no http:// URL");
  url.remove_prefix(kScheme.size());
  const std::size_t slash = url.find('/');
  std::string path(slash == url.npos ? "/" : url.substr(slash));
  std::string host(url.substr(0, slash));
  request.host = host;
  int port = 80;
  const std::size_t colon = host.rfind(':');
  const std::size_t bracket = host.rfind(']');
  if (colon != host.npos && (bracket == host.npos || colon > bracket)) {
    port = std::atoi(host.c_str() + colon + 1);
    host.resize(colon);
  }
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  request.server_size = parse_address(host, port, request.server);
  return path;
}

bool wait_for(int fd, short events, int timeout_ms) {
  pollfd waiting{.fd = fd, .events = events, .revents = 0};
  return ::poll(&waiting, 1, timeout_ms) > 0;
}

int code_of(int error) { return error == ETIMEDOUT || error == EAGAIN ? kTimeout : kRefused; }

int connect_to(int fd, const Request& request) {
  const auto* source = reinterpret_cast<const sockaddr*>(&request.source);
  if (request.source_size != 0 && ::bind(fd, source, request.source_size) != 0) {
    give_up(std::string("--interface: ") + std::strerror(errno));
  }
  const auto* server = reinterpret_cast<const sockaddr*>(&request.server);
  if (::connect(fd, server, request.server_size) == 0) return kDone;
  if (errno != EINPROGRESS) return code_of(errno);
  if (!wait_for(fd, POLLOUT, request.timeout_ms)) return kTimeout;
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? kDone : code_of(error);
}

int send_all(int fd, std::string_view text, int timeout_ms) {
  while (!text.empty()) {
    if (!wait_for(fd, POLLOUT, timeout_ms)) return kTimeout;
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return kReset;
    if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return kDone;
}

int receive_all(int fd, std::string& answer, int timeout_ms) {
  char piece[65536];
  while (true) {
    if (!wait_for(fd, POLLIN, timeout_ms)) return kTimeout;
    const ssize_t size = ::recv(fd, piece, sizeof(piece), 0);
    if (size == 0) return answer.empty() ? kEmpty : kDone;
    if (size < 0 && errno != EAGAIN) return kReset;
    if (size > 0) answer.append(piece, static_cast<std::size_t>(size));
  }
}

int get(const Request& request, const std::string& path, Bodies& bodies) {
  const int fd = ::socket(request.server.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) give_up(std::strerror(errno));
  std::string answer;
  int code = connect_to(fd, request);
  if (code == kDone) {
    const std::string text =
        "GET " + path + " HTTP/1.0\r\nHost: " + request.host + "\r\n" + request.header + "\r\n";
    code = send_all(fd, text, request.timeout_ms);
  }
  if (code == kDone) code = receive_all(fd, answer, request.timeout_ms);
  ::close(fd);
  if (code != kDone) return code;
  const std::size_t space = answer.find(' ');
  const std::size_t body = answer.find("\r\n\r\n");
  if (space == answer.npos || body == answer.npos) return kReset;
  if (std::atoi(answer.c_str() + space) >= 400) return kStatus;
  bodies.push_back(answer.substr(body + 4));
  return kDone;
}

// "/x?[1-6]": 6 times "/x?1" ... ; a path without brackets once.
int get_each(const Request& request, std::string path, Bodies& bodies) {
  const std::size_t bracket = path.rfind("[1-");
  if (bracket == path.npos) return get(request, path, bodies);
  const int times = std::atoi(path.c_str() + bracket + 3);
  path.resize(bracket);
  for (int i = 1; i <= times; ++i) {
    if (const int code = get(request, path + std::to_string(i), bodies)) return code;
  }
  return kDone;
}

void print(const Request& request, const Bodies& bodies) {
  if (!request.tally) {
    for (const std::string& body : bodies) std::fwrite(body.data(), 1, body.size(), stdout);
    return;
  }
  std::map<std::string, int> count;
  for (const std::string& body : bodies) ++count[body];
  for (const auto& [body, times] : count) std::printf("%d %s", times, body.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Request request;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const char* value = argv[i + 1];
    if (option == "--timeout") {
      request.timeout_ms = static_cast<int>(std::atof(value) * 1000);
    } else if (option == "--interface") {
      request.source_size = parse_address(value, 0, request.source);
    } else if (option == "--header") {
      request.header = std::string(value) + "\r\n";
    } else if (option == "--tally") {
      request.tally = true;
    } else {
      give_up(std::string(option) + " is no option");
    }
  }
  if (argc % 2 != 0) give_up("no URL");
  const std::string path = parse_url(argv[argc - 1], request);
  Bodies bodies;
  const int code = get_each(request, path, bodies);
  print(request, bodies);
  if (code != kDone) std::fprintf(stderr, "http_get: %s: code %d\n", argv[argc - 1], code);
  return code;
}
