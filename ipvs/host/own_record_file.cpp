// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/own_record_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipvs/state/own_record.hpp"

namespace ipvs {
namespace {

// Of lines that are not needed any more, before the file is written anew.
constexpr std::size_t kOutdated = 1024;

bool is_gone(int file) {
  struct stat status {};
  return ::fstat(file, &status) != 0 || status.st_nlink == 0;
}

}  // namespace

OwnRecordFile::OwnRecordFile(const std::string& directory, std::string kernel_and_namespace)
    : kernel_and_namespace_(std::move(kernel_and_namespace)),
      path_(run_file_path(directory, "servers", kernel_and_namespace_)) {}

OwnRecordFile::~OwnRecordFile() { close_file(); }

void OwnRecordFile::close_file() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
}

std::optional<std::vector<ServerKey>> OwnRecordFile::read() {
  if (path_.empty()) return std::nullopt;
  const auto text = read_run_file(path_);
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

Result<void> OwnRecordFile::failed(int error) {
  close_file();
  broken_ = true;
  ::unlink(path_.c_str());
  return KernelError{error, "writing " + path_ + ", the record of which virtual servers are ours"};
}

// The new file takes the place of the old one when it is complete.
Result<void> OwnRecordFile::rewrite() {
  if (path_.empty()) return {};
  std::string text = own_record_heading(kernel_and_namespace_);
  for (const ServerKey& key : servers_) append_own(text, key, true);
  const auto file = replace_run_file(path_, text);
  if (!file) return failed(file.error().error_number);
  close_file();
  file_ = *file;
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
