// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/own_record_file.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <utility>

#include "ipvs/state/own_record.hpp"

namespace ipvs {
namespace {

// A record of 10,000 virtual servers has 0.3 MB.
constexpr off_t kLongest = 64 << 20;
// Of lines that are not needed any more, before the file is written anew.
constexpr std::size_t kOutdated = 1024;

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

std::string path_in(const std::string& directory, const std::string& kernel_and_namespace) {
  const std::string number = number_of(kernel_and_namespace);
  if (directory.empty() || number.empty()) return {};
  return directory + "/servers-" + number;
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

// Opened without blocking, and only a file: what is in its place may be anything.
std::optional<std::string> read_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
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

bool is_gone(int file) {
  struct stat status {};
  return ::fstat(file, &status) != 0 || status.st_nlink == 0;
}

}  // namespace

std::string kernel_and_namespace() {
  const std::string boot = boot_id();
  struct stat status {};
  if (boot.empty() || ::stat("/proc/thread-self/ns/net", &status) != 0) return {};
  return boot + " net:[" + std::to_string(status.st_ino) + "] " + cookie();
}

OwnRecordFile::OwnRecordFile(std::string directory, std::string kernel_and_namespace)
    : directory_(std::move(directory)),
      kernel_and_namespace_(std::move(kernel_and_namespace)),
      path_(path_in(directory_, kernel_and_namespace_)) {}

OwnRecordFile::~OwnRecordFile() { close_file(); }

void OwnRecordFile::close_file() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
}

std::optional<std::vector<ServerKey>> OwnRecordFile::read() {
  if (path_.empty()) return std::nullopt;
  const auto text = read_file(path_);
  if (!text) return std::nullopt;
  auto record = parse_own_record(*text, kernel_and_namespace_);
  if (!record) return std::nullopt;
  std::vector<ServerKey> keys(record->servers.begin(), record->servers.end());
  std::sort(keys.begin(), keys.end());
  return keys;
}

Result<void> OwnRecordFile::replace(std::span<const ServerKey> keys) {
  servers_.clear();
  servers_.insert(keys.begin(), keys.end());
  return rewrite();
}

Result<void> OwnRecordFile::failed(int error, const char* doing) {
  close_file();
  broken_ = true;
  ::unlink(path_.c_str());
  return KernelError{
      error, std::string(doing) + " " + path_ + ", the record of which virtual servers are ours"};
}

// The new file takes the place of the old one when it is complete.
Result<void> OwnRecordFile::rewrite() {
  if (path_.empty()) return {};
  std::string text = own_record_heading(kernel_and_namespace_);
  for (const ServerKey& key : servers_) append_own(text, key, true);
  const std::string next = path_ + ".new";
  if (::mkdir(directory_.c_str(), 0755) != 0 && errno != EEXIST) return failed(errno, "making");
  ::unlink(next.c_str());
  const int file =
      ::open(next.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return failed(errno, "writing");
  int error = write_all(file, text);
  if (error == 0 && ::rename(next.c_str(), path_.c_str()) != 0) error = errno;
  if (error != 0) {
    ::close(file);
    ::unlink(next.c_str());
    return failed(error, "writing");
  }
  close_file();
  file_ = file;
  broken_ = false;
  lines_ = servers_.size();
  return {};
}

void OwnRecordFile::append(const std::string& text, std::size_t lines) {
  lines_ += lines;
  const bool is_long = lines_ > 2 * servers_.size() + kOutdated;
  if (file_ < 0 || is_long || is_gone(file_) || write_all(file_, text) != 0) (void)rewrite();
}

void OwnRecordFile::before(std::span<const ServerOp> ops) {
  added_.clear();
  if (path_.empty()) return;
  std::string text;
  for (const ServerOp& op : ops) {
    const bool makes =
        op.command == ServerCommand::kNewService || op.command == ServerCommand::kSetService;
    if (!makes || !servers_.insert(op.server.key).second) continue;
    added_.push_back(op.server.key);
    append_own(text, op.server.key, true);
  }
  if (!added_.empty()) append(text, added_.size());
}

void OwnRecordFile::after(std::span<const ServerOp> ops, std::span<const int> outcomes) {
  if (path_.empty()) return;
  std::sort(added_.begin(), added_.end());
  std::string text;
  std::size_t lines = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const ServerKey& key = ops[i].server.key;
    bool gone = false;
    if (ops[i].command == ServerCommand::kDelService) {
      gone = outcomes[i] == 0 || outcomes[i] == ESRCH;
    } else if (ops[i].command <= ServerCommand::kSetService && outcomes[i] > 0) {
      // It was refused, so what is there, if anything, is not ours; unless it was before.
      gone = std::binary_search(added_.begin(), added_.end(), key);
    }
    if (!gone || servers_.erase(key) == 0) continue;
    append_own(text, key, false);
    ++lines;
  }
  added_.clear();
  if (lines > 0) append(text, lines);
}

Result<void> OwnRecordFile::check() {
  if (path_.empty() || (!broken_ && (file_ < 0 || !is_gone(file_)))) return {};
  return rewrite();
}

Result<void> OwnRecordFile::remove() {
  servers_.clear();
  close_file();
  if (path_.empty() || ::unlink(path_.c_str()) == 0 || errno == ENOENT) return {};
  const int error = errno;
  return KernelError{error, "deleting " + path_};
}

}  // namespace ipvs
