// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/selector.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

constexpr std::size_t kMaxNameBytes = 63;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// The rule that names and non-empty values share.
bool has_name_form(std::string_view text) {
  if (text.empty() || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

// As strconv.ParseInt(text, 10, 64), which accepts a sign.
std::optional<std::int64_t> integer(std::string_view text) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

bool compare(SelectorOperator op, const std::string& label, const std::string& bound) {
  const auto left = integer(label);
  const auto right = integer(bound);
  if (!left || !right) return false;
  return op == SelectorOperator::kGreaterThan ? *left > *right : *left < *right;
}

std::string set_text(const std::vector<std::string>& values) {
  // "()" is not in the grammar; "(,)" is the set of the empty value.
  if (values.size() == 1 && values.front().empty()) return "(,)";
  std::string text = "(";
  for (const std::string& value : values) {
    if (text.size() > 1 || &value != &values.front()) text += ',';
    text += value;
  }
  return text += ')';
}

auto rank(const SelectorRequirement& r) { return std::tie(r.key, r.op, r.values); }

}  // namespace

std::string label_key_fault(std::string_view key) {
  const auto slash = key.find('/');
  const auto name = slash == key.npos ? key : key.substr(slash + 1);
  if (slash != key.npos && !is_dns_subdomain(key.substr(0, slash))) {
    return quoted(key) + " is not a label key (the prefix is not an RFC 1123 subdomain)";
  }
  if (name.size() > kMaxNameBytes) {
    return quoted(key) + " is not a label key (the name has more than 63 bytes)";
  }
  if (!has_name_form(name)) {
    return quoted(key) + " is not a label key (the name is [A-Za-z0-9] with [-_.] inside)";
  }
  return {};
}

std::string label_value_fault(std::string_view value) {
  if (value.size() > kMaxNameBytes) {
    return quoted(value) + " is not a label value (more than 63 bytes)";
  }
  if (!value.empty() && !has_name_form(value)) {
    return quoted(value) + " is not a label value (empty, or [A-Za-z0-9] with [-_.] inside)";
  }
  return {};
}

std::string SelectorError::text() const {
  return "at byte " + std::to_string(position) + ": " + reason;
}

void throw_exception_from_error(const SelectorError& error, const boost::source_location&) {
  throw std::logic_error("label selector " + error.text());
}

bool SelectorRequirement::matches(const Labels& labels) const {
  const auto it = labels.find(key);
  const bool present = it != labels.end();
  switch (op) {
    case SelectorOperator::kEquals:
      return present && it->second == values.front();
    case SelectorOperator::kNotEquals:
      return !present || it->second != values.front();
    case SelectorOperator::kIn:
      return present && std::binary_search(values.begin(), values.end(), it->second);
    case SelectorOperator::kNotIn:
      return !present || !std::binary_search(values.begin(), values.end(), it->second);
    case SelectorOperator::kExists:
      return present;
    case SelectorOperator::kNotExists:
      return !present;
    case SelectorOperator::kGreaterThan:
    case SelectorOperator::kLessThan:
      return present && compare(op, it->second, values.front());
  }
  return false;
}

std::string SelectorRequirement::text() const {
  switch (op) {
    case SelectorOperator::kEquals:
      return key + '=' + values.front();
    case SelectorOperator::kNotEquals:
      return key + "!=" + values.front();
    case SelectorOperator::kIn:
      return key + " in " + set_text(values);
    case SelectorOperator::kNotIn:
      return key + " notin " + set_text(values);
    case SelectorOperator::kExists:
      return key;
    case SelectorOperator::kNotExists:
      return '!' + key;
    case SelectorOperator::kGreaterThan:
      return key + '>' + values.front();
    case SelectorOperator::kLessThan:
      return key + '<' + values.front();
  }
  return key;
}

LabelSelector::LabelSelector(std::vector<SelectorRequirement> requirements)
    : requirements_(std::move(requirements)) {
  std::sort(requirements_.begin(), requirements_.end(),
            [](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

LabelSelector LabelSelector::from_map(const Labels& labels) {
  LabelSelector selector;  // a flat_map is already ordered by key
  selector.requirements_.reserve(labels.size());
  for (const auto& [key, value] : labels) {
    selector.requirements_.push_back(
        {.key = key, .op = SelectorOperator::kEquals, .values = {value}});
  }
  return selector;
}

bool LabelSelector::matches(const Labels& labels) const {
  return std::all_of(requirements_.begin(), requirements_.end(),
                     [&labels](const auto& requirement) { return requirement.matches(labels); });
}

std::string LabelSelector::text() const {
  std::string text;
  for (const SelectorRequirement& requirement : requirements_) {
    if (!text.empty()) text += ',';
    text += requirement.text();
  }
  return text;
}

}  // namespace k8s
