// SPDX-License-Identifier: Apache-2.0
#include "config/read_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace config {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

FileText fault(std::string what) { return {.text = {}, .fault = std::move(what)}; }

FileText system_fault(const char* what, int error_number) {
  return {.text = {},
          .fault = std::string(what) + ": " + std::strerror(error_number),
          .error_number = error_number};
}

}  // namespace

FileText read_file(const std::string& path, std::size_t max_bytes) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return system_fault("cannot be opened", errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_fault("cannot be read", errno);
  if (S_ISDIR(status.st_mode)) return fault("is a directory, not a file");
  if (!S_ISREG(status.st_mode)) return fault("is not a regular file");
  if (status.st_size > 0 && static_cast<std::size_t>(status.st_size) > max_bytes) {
    return fault(too_long(max_bytes));
  }
  // The size is only a hint: files under /proc report 0, and a file may grow while it is read.
  std::string text(static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)) + 1, '\0');
  std::size_t length = 0;
  while (true) {
    const ssize_t got = ::read(file.get(), text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_fault("cannot be read", errno);
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
    if (length > max_bytes) return fault(too_long(max_bytes));
    if (length == text.size()) text.resize(std::min(max_bytes + 1, length + 65536));
  }
  text.resize(length);
  return {.text = std::move(text), .fault = {}};
}

std::string too_long(std::size_t max_bytes) {
  return "longer than " + std::to_string(max_bytes) + " bytes";
}

}  // namespace config
