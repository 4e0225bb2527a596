// SPDX-License-Identifier: Apache-2.0
//
// The grammar of apimachinery's pkg/labels/selector.go:
//
//   selector    := [ requirement ("," requirement)* ]
//   requirement := ["!"] KEY
//                | KEY ("=" | "==" | "!=" | ">" | "<") [VALUE]
//                | KEY ("in" | "notin") set
//   set         := "(" [VALUE] ("," [VALUE])* ")"     but not "()"
//
// KEY and VALUE are any bytes but white space and "=!(),<>"; the rules for labels are checked
// afterwards. `in` and `notin` are operators only after a key. An omitted value is the empty
// string.
#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "k8s/decode/selector.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {

namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kSymbols = "=!(),<>";
constexpr std::size_t kMaxSelectorBytes = 64u << 10;

struct Token {
  std::string_view text;  // empty at the end of the input
  std::size_t position = 0;
  bool is_identifier = false;
};

bool takes_set(SelectorOperator op) {
  return op == SelectorOperator::kIn || op == SelectorOperator::kNotIn;
}
bool compares(SelectorOperator op) {
  return op == SelectorOperator::kGreaterThan || op == SelectorOperator::kLessThan;
}

std::optional<SelectorOperator> operator_of(std::string_view text) {
  if (text == "=" || text == "==") return SelectorOperator::kEquals;
  if (text == "!=") return SelectorOperator::kNotEquals;
  if (text == "in") return SelectorOperator::kIn;
  if (text == "notin") return SelectorOperator::kNotIn;
  if (text == ">") return SelectorOperator::kGreaterThan;
  if (text == "<") return SelectorOperator::kLessThan;
  return {};
}

}  // namespace

class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : text_(text) { advance(); }

  LabelSelector::Result parse() {
    if (text_.size() > kMaxSelectorBytes) return SelectorError{0, "a selector of more than 64 KiB"};
    std::vector<SelectorRequirement> requirements;
    while (!at_end() && !error_) {
      SelectorRequirement requirement;
      if (!parse_requirement(requirement)) break;
      requirements.push_back(std::move(requirement));
      if (at_end()) break;
      if (!expect(",", "\",\" or the end")) break;
      if (at_end()) fail("a key or \"!\"");
    }
    if (error_) return *error_;
    return LabelSelector(std::move(requirements));
  }

 private:
  bool at_end() const { return token_.text.empty(); }
  bool at(std::string_view symbol) const { return token_.text == symbol; }

  void advance() {
    const auto start = std::min(text_.find_first_not_of(kSpace, next_), text_.size());
    std::size_t end = start;
    if (start < text_.size() && kSymbols.find(text_[start]) != kSymbols.npos) {
      const auto two = text_.substr(start, 2);
      end = start + (two == "==" || two == "!=" ? 2 : 1);
      token_.is_identifier = false;
    } else {
      while (end < text_.size() && kSymbols.find(text_[end]) == kSymbols.npos &&
             kSpace.find(text_[end]) == kSpace.npos) {
        ++end;
      }
      token_.is_identifier = end > start;
    }
    token_.text = text_.substr(start, end - start);
    token_.position = start;
    next_ = end;
  }

  bool fail(std::string_view expected) {
    const std::string found = at_end() ? "the end" : quoted(token_.text);
    return fail_at(token_.position, "found " + found + ", expected " + std::string(expected));
  }
  bool fail_at(std::size_t position, std::string reason) {
    if (!error_) error_ = SelectorError{position, std::move(reason)};
    return false;
  }

  bool expect(std::string_view symbol, std::string_view expected) {
    if (!at(symbol)) return fail(expected);
    advance();
    return true;
  }

  bool parse_requirement(SelectorRequirement& to) {
    const bool negated = at("!");
    if (negated) advance();
    if (!token_.is_identifier) return fail(negated ? "a key" : "a key or \"!\"");
    std::string fault = label_key_fault(token_.text);
    if (!fault.empty()) return fail_at(token_.position, std::move(fault));
    to.key = token_.text;
    advance();
    to.op = negated ? SelectorOperator::kNotExists : SelectorOperator::kExists;
    if (negated || at_end() || at(",")) return true;
    const auto op = operator_of(token_.text);
    if (!op) return fail("an operator (=, ==, !=, in, notin, >, <), \",\" or the end");
    to.op = *op;
    advance();
    if (takes_set(to.op)) return parse_set(to.values);
    return parse_value(to);
  }

  bool parse_value(SelectorRequirement& to) {
    const std::size_t position = token_.position;
    if (token_.is_identifier) {
      if (!take_value(to.values)) return false;
    } else if (at_end() || at(",")) {
      to.values.emplace_back();
    } else {
      return fail("a value");
    }
    return !compares(to.op) || check_integer(to.values.front(), position);
  }

  bool check_integer(const std::string& value, std::size_t position) {
    std::int64_t number = 0;
    const char* end = value.data() + value.size();
    const auto [stop, ec] = std::from_chars(value.data(), end, number);
    if (ec == std::errc{} && stop == end) return true;
    return fail_at(position, quoted(value) + " is not an integer, which > and < compare");
  }

  bool parse_set(std::vector<std::string>& values) {
    if (!expect("(", "\"(\"")) return false;
    if (at(")")) return fail("a value (a set has at least one)");
    bool wants_value = true;
    while (!at(")")) {
      if (token_.is_identifier) {
        if (!wants_value) return fail("\",\" or \")\"");
        if (!take_value(values)) return false;
        wants_value = false;
      } else if (at(",")) {
        if (wants_value) values.emplace_back();
        wants_value = true;
        advance();
      } else {
        return fail("a value, \",\" or \")\"");
      }
    }
    if (wants_value) values.emplace_back();
    advance();
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    return true;
  }

  bool take_value(std::vector<std::string>& values) {
    std::string fault = label_value_fault(token_.text);
    if (!fault.empty()) return fail_at(token_.position, std::move(fault));
    values.emplace_back(token_.text);
    advance();
    return true;
  }

  std::string_view text_;
  std::size_t next_ = 0;
  Token token_;
  std::optional<SelectorError> error_;
};

LabelSelector::Result LabelSelector::parse(std::string_view text) {
  return SelectorParser(text).parse();
}

}  // namespace k8s
