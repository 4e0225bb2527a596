// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/own_record_file.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipvs/state/own_record.hpp"

namespace ipvs {
namespace {

// Of lines that are not needed any more, before the file is written anew.
constexpr std::size_t kOutdated = 1024;

}  // namespace

OwnRecordFile::OwnRecordFile(const std::string& directory, std::string kernel_and_namespace)
    : kernel_and_namespace_(std::move(kernel_and_namespace)),
      file_(run_file_path(directory, "servers", kernel_and_namespace_)) {}

std::optional<std::vector<ServerKey>> OwnRecordFile::read() {
  const auto text = file_.read();
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
  broken_ = true;
  (void)file_.remove();
  return KernelError{error,
                     "writing " + file_.path() + ", the record of which virtual servers are ours"};
}

// The new file takes the place of the old one when it is complete.
Result<void> OwnRecordFile::rewrite() {
  if (file_.path().empty()) return {};
  std::string text = own_record_heading(kernel_and_namespace_);
  for (const ServerKey& key : servers_) append_own(text, key, true);
  const auto written = file_.replace(text);
  if (!written) return failed(written.error().error_number);
  broken_ = false;
  lines_ = servers_.size();
  return {};
}

void OwnRecordFile::append(const std::string& text, std::size_t lines) {
  lines_ += lines;
  const bool is_long = lines_ > 2 * servers_.size() + kOutdated;
  if (is_long || !file_.append(text)) (void)rewrite();
}

void OwnRecordFile::before(std::span<const ServerOp> ops) {
  added_.clear();
  if (file_.path().empty()) return;
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
  if (file_.path().empty()) return;
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
  if (file_.path().empty()) return {};
  if (!broken_ && (!file_.is_open() || file_.is_there())) return {};
  return rewrite();
}

Result<void> OwnRecordFile::remove() {
  servers_.clear();
  return file_.remove();
}

}  // namespace ipvs
