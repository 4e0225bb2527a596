// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/json_reader.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/system/error_code.hpp>

#include "k8s/decode/document_path.hpp"

namespace k8s::doc {
namespace {

using ErrorCode = boost::system::error_code;
using Text = boost::json::string_view;

// The handler that basic_parser calls. While a value is skipped, an event costs one test and at
// most one addition; all other events are passed on to PathReader.
class Handler {
 public:
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);

  explicit Handler(Visitor& root) : path_(root) {}

  void reset() {
    skipped_depth_ = 0;
    skip_next_ = false;
    clear_buffer();
    path_.reset();
  }

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }

  bool on_object_begin(ErrorCode& ec) { return begins() || opened(path_.begin_object(), ec); }
  bool on_array_begin(ErrorCode& ec) { return begins() || opened(path_.begin_array(), ec); }
  bool on_object_end(std::size_t, ErrorCode& ec) {
    return ends() || closed(path_.end_object(), ec);
  }
  bool on_array_end(std::size_t, ErrorCode& ec) { return ends() || closed(path_.end_array(), ec); }

  bool on_key_part(Text part, std::size_t, ErrorCode&) {
    if (skipped_depth_ == 0) append(part, kMaxKeyBytes);
    return true;
  }
  bool on_key(Text part, std::size_t size, ErrorCode& ec) {
    return skipped_depth_ != 0 || key(part, size, ec);
  }
  bool on_string_part(Text part, std::size_t, ErrorCode&) {
    if (!skipping()) append(part, kMaxStringBytes);
    return true;
  }
  bool on_string(Text part, std::size_t size, ErrorCode& ec) {
    return skipping() || string(part, size, ec);
  }

  bool on_number_part(Text, ErrorCode&) { return true; }
  bool on_int64(std::int64_t value, Text, ErrorCode& ec) {
    return skipping() || go_on(path_.integer(value), ec);
  }
  bool on_uint64(std::uint64_t, Text, ErrorCode& ec) {
    return skipping() || go_on(path_.other_number(), ec);
  }
  bool on_double(double, Text, ErrorCode& ec) {
    return skipping() || go_on(path_.other_number(), ec);
  }
  bool on_bool(bool value, ErrorCode& ec) { return skipping() || go_on(path_.boolean(value), ec); }
  bool on_null(ErrorCode& ec) { return skipping() || go_on(path_.null(), ec); }
  bool on_comment_part(Text, ErrorCode&) { return true; }
  bool on_comment(Text, ErrorCode&) { return true; }

 private:
  bool skipping() const { return skipped_depth_ != 0 || skip_next_; }

  // True if the object or array that begins (ends) is skipped, or is inside a skipped value.
  bool begins() {
    if (!skipping()) return false;
    skip_next_ = false;
    ++skipped_depth_;
    return true;
  }
  bool ends() {
    if (skipped_depth_ == 0) return false;
    --skipped_depth_;
    return true;
  }

  bool opened(Next next, ErrorCode& ec) {
    skip_next_ = false;
    if (next == Next::kSkip) skipped_depth_ = 1;
    return go_on(next, ec);
  }
  bool closed(Next next, ErrorCode& ec) {
    skip_next_ = false;  // it was about the object that ended, not about the next array element
    return go_on(next, ec);
  }
  static bool go_on(Next next, ErrorCode& ec) {
    if (next != Next::kStop) return true;
    ec = boost::system::errc::make_error_code(boost::system::errc::invalid_argument);
    return false;
  }

  BOOST_NOINLINE bool key(Text part, std::size_t size, ErrorCode& ec) {
    const auto text = whole(part, size, kMaxKeyBytes);
    const Next next = too_long_ ? path_.key_too_long() : path_.key(text);
    clear_buffer();
    skip_next_ = next == Next::kSkip;
    return go_on(next, ec);
  }
  BOOST_NOINLINE bool string(Text part, std::size_t size, ErrorCode& ec) {
    const auto text = whole(part, size, kMaxStringBytes);
    const Next next = too_long_ ? path_.string_too_long() : path_.string(text);
    clear_buffer();
    return go_on(next, ec);
  }

  // The complete text, of which `part` is the last part. Copied only if it arrived in several
  // parts.
  std::string_view whole(Text part, std::size_t size, std::size_t limit) {
    if (size > limit) too_long_ = true;
    if (size == part.size()) return {part.data(), part.size()};
    append(part, limit);
    return buffer_;
  }
  BOOST_NOINLINE void append(Text part, std::size_t limit) {
    if (part.size() > limit - buffer_.size()) {
      too_long_ = true;
    } else {
      buffer_.append(part.data(), part.size());
    }
  }
  void clear_buffer() {
    buffer_.clear();
    too_long_ = false;
  }

  std::size_t skipped_depth_ = 0;  // open objects and arrays of the value being skipped
  bool skip_next_ = false;         // skip the value of the last key
  bool too_long_ = false;
  std::string buffer_;  // a key or string that arrives in several parts
  PathReader path_;
};

boost::json::parse_options options() {
  boost::json::parse_options result;
  result.max_depth = kMaxDepth;
  return result;
}

}  // namespace

struct JsonParser::Engine : boost::json::basic_parser<Handler> {
  explicit Engine(Visitor& root) : basic_parser(options(), root) {}
};

JsonParser::JsonParser(Visitor& root) : engine_(std::make_unique<Engine>(root)), root_(root) {}
JsonParser::~JsonParser() = default;

std::size_t JsonParser::write(std::string_view bytes) {
  if (failed() || done() || bytes.empty()) return 0;
  ErrorCode ec;
  const std::size_t taken = engine_->write_some(true, bytes.data(), bytes.size(), ec);
  bytes_ += taken;
  if (ec) {
    refusal_ = root_.is_frame() ? root_.refusal() : Refusal{};
    if (refusal_.reason.empty()) {
      refusal_.reason = "not JSON: " + ec.message() + " at byte " + std::to_string(bytes_);
    }
  }
  return taken;
}

bool JsonParser::done() const { return engine_->done(); }

void JsonParser::reset() {
  engine_->reset();
  engine_->handler().reset();
  bytes_ = 0;
  refusal_ = {};
}

}  // namespace k8s::doc
