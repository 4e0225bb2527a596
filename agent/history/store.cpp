// SPDX-License-Identifier: Apache-2.0
#include "agent/history/store.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCurrent = "/current";
constexpr const char* kEnd = ".z";
constexpr std::size_t kNumberDigits = 6;

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// "": it cannot be done.
std::string deflated(std::string_view text) {
  uLongf size = ::compressBound(text.size());
  std::string out(size, '\0');
  const int result =
      ::compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                  reinterpret_cast<const Bytef*>(text.data()), text.size(), Z_DEFAULT_COMPRESSION);
  if (result != Z_OK) return {};
  out.resize(size);
  return out;
}

// "": it is damaged. `usual`: about how long the text is; at most 64 times that.
std::string inflated(std::string_view data, std::size_t usual) {
  constexpr std::size_t kMostTimes = 64;
  std::string out;
  for (std::size_t room = 2 * usual; room <= kMostTimes * usual; room *= 2) {
    out.resize(room);
    uLongf size = room;
    const int result = ::uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                                    reinterpret_cast<const Bytef*>(data.data()), data.size());
    if (result == Z_BUF_ERROR) continue;
    out.resize(result == Z_OK ? size : 0);
    return out;
  }
  return {};
}

// The number in "000017.z"; 0: it is none of ours.
std::uint64_t number_of(const std::string& name) {
  std::uint64_t number = 0;
  const std::size_t end = name.size() - std::min(name.size(), std::strlen(kEnd));
  if (!name.ends_with(kEnd)) return 0;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + end, number);
  return error == std::errc() && rest == name.data() + end ? number : 0;
}

}  // namespace

HistoryStore::HistoryStore(std::string directory, Limits limits)
    : directory_(std::move(directory)), limits_(limits) {
  if (directory_.empty()) return;
  std::error_code error;
  if (!fs::is_directory(directory_, error)) return;
  for (const auto& each : fs::directory_iterator(directory_, error)) {
    const std::uint64_t number = number_of(each.path().filename().string());
    if (number != 0) blocks_.push_back(number);
  }
  if (error) fault_ = directory_ + ": " + error.message();
  std::sort(blocks_.begin(), blocks_.end());
  for (const std::uint64_t block : blocks_) {
    const auto size = fs::file_size(path_of(block), error);
    sizes_.push_back(error ? 0 : static_cast<std::size_t>(size));
    bytes_ += sizes_.back();
  }
  if (!blocks_.empty()) next_ = blocks_.back() + 1;
  current_ = contents_of(directory_ + kCurrent);
  // A line without its end was cut off while it was written.
  current_.resize(current_.rfind('\n') + 1);
  drop_oldest();
}

std::string HistoryStore::path_of(std::uint64_t block) const {
  return directory_ + "/" + fmt::format("{:0{}}", block, kNumberDigits) + kEnd;
}

void HistoryStore::append(std::string_view lines) {
  current_ += lines;
  if (!directory_.empty() && file_.is_open()) {
    file_ << lines << std::flush;
    note_write();
  } else if (!directory_.empty()) {
    write_current();
  }
  if (current_.size() >= limits_.block) seal();
}

// As a whole: what was cut off in it is gone then, and so is what could not be written before.
void HistoryStore::write_current() {
  std::error_code error;
  fs::create_directories(fs::path(directory_).parent_path(), error);
  ::mkdir(directory_.c_str(), 0700);  // what fails is seen when the file is opened
  file_.close();
  file_.clear();
  file_.open(directory_ + kCurrent, std::ios::binary | std::ios::trunc);
  file_ << current_ << std::flush;
  note_write();
}

void HistoryStore::note_write() {
  fault_ = file_ ? "" : directory_ + kCurrent + ": " + std::strerror(errno);
  if (!file_) file_.close();  // the next append() tries again
}

std::string HistoryStore::read(std::uint64_t block) const {
  return inflated(contents_of(path_of(block)), limits_.block);
}

// The lines of `current_` become a block; where that cannot be written, they are lost.
void HistoryStore::seal() {
  const std::string data = deflated(current_);
  current_.clear();
  if (directory_.empty()) return;
  std::ofstream file(path_of(next_), std::ios::binary | std::ios::trunc);
  file << data;
  file.close();
  const std::string fault = file ? "" : path_of(next_) + ": " + std::strerror(errno);
  if (file) {
    blocks_.push_back(next_++);
    sizes_.push_back(data.size());
    bytes_ += data.size();
  }
  write_current();  // after the block: what ends in between costs no line
  if (!fault.empty()) fault_ = fault;
  drop_oldest();
}

void HistoryStore::drop_oldest() {
  std::size_t dropped = 0;
  while (dropped < blocks_.size() && bytes_ > limits_.in_all) {
    std::remove(path_of(blocks_[dropped]).c_str());
    bytes_ -= sizes_[dropped++];
  }
  blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(dropped));
  sizes_.erase(sizes_.begin(), sizes_.begin() + static_cast<std::ptrdiff_t>(dropped));
}

}  // namespace agent
