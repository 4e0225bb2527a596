// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/json.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/stream_parser.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "config/read_file.hpp"
#include "config/yaml.hpp"

namespace k8s {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxDepth = 32;
constexpr std::string_view kBlank = " \t\r\n";

// ------------------------------------------------------------------ plain YAML scalars

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

constexpr std::array<std::string_view, 11> kTrueWords{"y",    "Y",    "yes", "Yes", "YES", "true",
                                                      "True", "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 11> kFalseWords{
    "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 5> kNullWords{"", "~", "null", "Null", "NULL"};

// As Go's strconv.ParseInt(text, 0, 64), then ParseUint: the prefix is the base, and a leading 0
// means octal.
std::optional<json::value> parse_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  }
  std::uint64_t magnitude = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, magnitude, base);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  constexpr std::uint64_t kMax = static_cast<std::uint64_t>(INT64_MAX);
  if (!negative && magnitude > kMax) return json::value(magnitude);
  if (negative && magnitude > kMax) return std::nullopt;
  const auto value = static_cast<std::int64_t>(magnitude);
  return json::value(negative ? -value : value);
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view text) {
  const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  const std::size_t whole = skip_digits(text, sign);
  std::size_t at = whole;
  if (at < text.size() && text[at] == '.') {
    at = skip_digits(text, at + 1);
    if (whole == sign && at == whole + 1) return false;
  } else if (whole == sign) {
    return false;
  }
  if (at == text.size()) return true;
  if (text[at] != 'e' && text[at] != 'E') return false;
  ++at;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  const std::size_t exponent = skip_digits(text, at);
  return exponent > at && exponent == text.size();
}

std::optional<json::value> parse_float(std::string_view text) {
  if (!looks_like_float(text)) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  // JSON has a single type of number: a port of 80.0 equals 80.
  if (std::abs(value) < 9.0e15 && value == std::trunc(value)) {
    return json::value(static_cast<std::int64_t>(value));
  }
  return json::value(value);
}

json::value to_text(std::string_view text) { return json::value(json::string(text)); }

// ------------------------------------------------------------------ YAML tree to JSON

struct Unfit {
  int line = 0;  // 0-based, within the document
  std::string what;
};

std::string key_text(const json::value& key) {
  if (const auto* text = key.if_string()) return std::string(*text);
  if (const auto* flag = key.if_bool()) return *flag ? "true" : "false";
  if (const auto* number = key.if_int64()) return std::to_string(*number);
  if (const auto* number = key.if_uint64()) return std::to_string(*number);
  return {};
}

json::value scalar_to_json(const YAML::Node& node) {
  return config::is_yaml_text(node) ? to_text(node.Scalar()) : resolve_plain_scalar(node.Scalar());
}

// If it returns false, `unfit` is the reason. config/yaml.hpp limits the depth.
bool to_json(const YAML::Node& node, json::value& out, Unfit& unfit);

bool map_to_json(const YAML::Node& node, json::value& out, Unfit& unfit) {
  json::object& object = out.emplace_object();
  object.reserve(node.size());
  for (const auto& pair : node) {
    const json::value key = scalar_to_json(pair.first);
    const std::string name = key.is_double() ? pair.first.Scalar() : key_text(key);
    if (key.is_null()) {
      unfit = {pair.first.Mark().line, "a key must not be null"};
      return false;
    }
    // Two keys may become equal only here (`on` and `true`): the last one counts.
    const auto place = object.emplace(name, nullptr).first;
    if (!to_json(pair.second, place->value(), unfit)) return false;
  }
  return true;
}

bool to_json(const YAML::Node& node, json::value& out, Unfit& unfit) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return map_to_json(node, out, unfit);
    case YAML::NodeType::Sequence: {
      json::array& array = out.emplace_array();
      array.reserve(node.size());
      for (const auto& element : node) {
        array.emplace_back(nullptr);
        if (!to_json(element, array.back(), unfit)) return false;
      }
      return true;
    }
    case YAML::NodeType::Scalar:
      out = scalar_to_json(node);
      return true;
    case YAML::NodeType::Null:
    case YAML::NodeType::Undefined:
      out = nullptr;
      return true;
  }
  return true;
}

std::vector<int> item_lines_of(const YAML::Node& root, int first_line) {
  std::vector<int> lines;
  if (!root.IsMap()) return lines;
  const YAML::Node items = root["items"];
  if (!items.IsDefined() || !items.IsSequence()) return lines;
  lines.reserve(items.size());
  for (const auto& item : items) lines.push_back(first_line + item.Mark().line + 1);
  return lines;
}

int count_lines(std::string_view text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

void read_yaml_document(std::string_view text, int first_line, const DocumentHandlers& handlers) {
  config::YamlFile file = config::load_yaml_text(
      text, {},
      {.max_bytes = kMaxManifestBytes, .multiple_documents = true, .stop = handlers.stop});
  for (config::YamlFault& fault : file.faults) {
    handlers.on_fault({first_line + fault.line, std::move(fault.what)});
  }
  for (config::YamlFault& warning : file.warnings) {
    if (handlers.on_warning) {
      handlers.on_warning({first_line + warning.line, std::move(warning.what)});
    }
  }
  for (config::YamlDocument& document : file.documents) {
    const int start = first_line + document.first_line;
    Unfit unfit;
    ManifestDocument made;
    made.line = start + document.root.Mark().line + 1;
    const bool fits = to_json(document.root, made.root, unfit);
    made.item_lines = item_lines_of(document.root, start);
    document.root = YAML::Node();  // free the tree before the objects are made
    if (fits) {
      handlers.on_document(std::move(made));
    } else {
      handlers.on_fault({start + unfit.line + 1, std::move(unfit.what)});
    }
  }
}

// ------------------------------------------------------------------ JSON texts

// The lines on which the elements of the top-level "items" array start. `text` must be one valid
// JSON value: brackets are balanced and strings closed.
class ItemLines {
 public:
  ItemLines(std::string_view text, int line) : text_(text), line_(line) {}

  std::vector<int> find() {
    for (at_ = 0; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (kBlank.find(c) != std::string_view::npos) continue;
      // `inside_` is set only in the array that is the value of "items", at depth 2.
      if (inside_ && depth_ == 2 && expects_item_ && c != ']') {
        lines_.push_back(line_);
        expects_item_ = false;
      }
      step(c);
    }
    return std::move(lines_);
  }

 private:
  void step(char c) {
    if (c == '"') {
      take_string();
    } else if (c == '[' || c == '{') {
      ++depth_;
      if (c == '[' && depth_ == 2 && last_ == "items") inside_ = expects_item_ = true;
    } else if (c == ']' || c == '}') {
      if (--depth_ == 1) inside_ = false;
    } else if (c == ',' && inside_ && depth_ == 2) {
      expects_item_ = true;
    }
  }

  void take_string() {
    const std::size_t start = at_ + 1;
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    if (depth_ == 1) last_ = text_.substr(start, at_ - start);
  }

  std::string_view text_;
  int line_ = 0;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool inside_ = false;
  bool expects_item_ = false;
  std::string_view last_;  // the last string at depth 1: the key, when an array opens
  std::vector<int> lines_;
};

}  // namespace

json::value resolve_plain_scalar(std::string_view text) {
  if (is_one_of(text, kNullWords)) return nullptr;
  if (is_one_of(text, kTrueWords)) return true;
  if (is_one_of(text, kFalseWords)) return false;
  if (text.find_first_of("+-.0123456789") != 0) return to_text(text);
  if (text[0] == '.') {
    auto value = parse_float(text);
    return value ? *std::move(value) : to_text(text);
  }
  std::string digits(text);
  std::erase(digits, '_');
  if (auto value = parse_integer(digits)) return *std::move(value);
  if (auto value = parse_float(digits)) return *std::move(value);
  return to_text(text);
}

void read_yaml_documents(std::string_view text, const DocumentHandlers& handlers) {
  if (text.size() > kMaxManifestBytes)
    return handlers.on_fault({0, config::too_long(kMaxManifestBytes)});
  // One document at a time: a tree is many times the size of its text.
  for (const config::YamlChunk& document : config::split_yaml_documents(text)) {
    read_yaml_document(document.text, document.first_line, handlers);
  }
}

void read_json_documents(std::string_view text, const DocumentHandlers& handlers) {
  if (text.size() > kMaxManifestBytes) {
    return handlers.on_fault({0, config::too_long(kMaxManifestBytes)});
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  int line = 1;
  while (true) {
    const std::size_t start = std::min(text.find_first_not_of(kBlank), text.size());
    line += count_lines(text.substr(0, start));
    text.remove_prefix(start);
    if (text.empty()) return;
    json::stream_parser parser({}, json::parse_options{.max_depth = kMaxDepth});
    boost::system::error_code error;
    const std::size_t used = parser.write_some(text.data(), text.size(), error);
    if (!error && !parser.done()) parser.finish(error);
    if (error) {
      return handlers.on_fault(
          {line + count_lines(text.substr(0, used)), "not valid JSON: " + error.message()});
    }
    handlers.on_document({.root = parser.release(),
                          .line = line,
                          .item_lines = ItemLines(text.substr(0, used), line).find()});
    line += count_lines(text.substr(0, used));
    text.remove_prefix(used);
  }
}

}  // namespace k8s
