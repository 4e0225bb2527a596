// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/run_file.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>

namespace ipvs {
namespace {

// A record of 10,000 virtual servers has 0.3 MB.
constexpr off_t kLongest = 64 << 20;

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

// The number of a namespace is used again after its end; its cookie (Linux 5.14) is not.
std::string cookie() {
  std::uint64_t value = 0;
  socklen_t size = sizeof(value);
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "0";
  if (::getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &value, &size) != 0) value = 0;
  ::close(fd);
  return std::to_string(value);
}

// "BOOT-ID net:[4026531840] 1" -> "4026531840"
std::string number_of(const std::string& kernel_and_namespace) {
  const auto begin = kernel_and_namespace.find('[');
  const auto end = kernel_and_namespace.find(']');
  if (begin == std::string::npos || end == std::string::npos) return {};
  return kernel_and_namespace.substr(begin + 1, end - begin - 1);
}

// 0, or an errno.
int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// Makes the directory if it is missing. The result is the new file, open for appending.
Result<int> replace_file(const std::string& path, std::string_view text) {
  const std::string directory = path.substr(0, path.rfind('/'));
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return KernelError{errno, "making " + directory};
  }
  const std::string next = path + ".new";
  ::unlink(next.c_str());
  const int file =
      ::open(next.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) return KernelError{errno, "writing " + path};
  int error = write_all(file, text);
  if (error == 0 && ::rename(next.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return {boost::system::in_place_value, file};
  ::close(file);
  ::unlink(next.c_str());
  return KernelError{error, "writing " + path};
}

}  // namespace

std::string kernel_and_namespace() {
  const std::string boot = boot_id();
  struct stat status {};
  if (boot.empty() || ::stat("/proc/thread-self/ns/net", &status) != 0) return {};
  return boot + " net:[" + std::to_string(status.st_ino) + "] " + cookie();
}

std::string run_file_path(const std::string& directory, std::string_view name,
                          const std::string& kernel_and_namespace) {
  const std::string number = number_of(kernel_and_namespace);
  if (directory.empty() || number.empty()) return {};
  return directory + "/" + std::string(name) + "-" + number;
}

// Opened without blocking, and only a file: what is in its place may be anything.
std::optional<std::string> RunFile::read() const {
  if (path_.empty()) return std::nullopt;
  const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (file < 0) return std::nullopt;
  struct stat status {};
  std::optional<std::string> text;
  if (::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= kLongest) {
    text.emplace(static_cast<std::size_t>(status.st_size), '\0');
    const ssize_t got = ::read(file, text->data(), text->size());
    text->resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  }
  ::close(file);
  return text;
}

Result<void> RunFile::replace(std::string_view text) {
  if (path_.empty()) return {};
  const auto file = replace_file(path_, text);
  close();
  if (!file) return file.error();
  file_ = *file;
  return {};
}

bool RunFile::append(std::string_view text) { return is_there() && write_all(file_, text) == 0; }

bool RunFile::is_there() const {
  struct stat status {};
  return is_open() && ::fstat(file_, &status) == 0 && status.st_nlink != 0;
}

void RunFile::close() {
  if (is_open()) ::close(file_);
  file_ = -1;
}

Result<void> RunFile::remove() {
  close();
  if (path_.empty() || ::unlink(path_.c_str()) == 0 || errno == ENOENT) return {};
  const int error = errno;
  return KernelError{error, "deleting " + path_};
}

}  // namespace ipvs
