// SPDX-License-Identifier: Apache-2.0
//
// Label selectors, with the grammar and semantics of k8s.io/apimachinery/pkg/labels:
//
//   environment=production, tier!=frontend, zone in (a, b), stage notin (qa), partition, !canary,
//   cpu>4
//
// All requirements must be met. If the label is absent, `!=`, `notin` and `!key` are met and the
// others are not. "=" and "==" mean the same.
//
// Invariants: requirements are ordered by key; the values of each are sorted and unique.
// parse(s.text()) == s for every selector from parse(), and from from_map() of valid labels.
//
// Errors: parse() says what it found, what it expected, and at which byte.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/types.hpp"

namespace k8s {

enum class SelectorOperator : std::uint8_t {
  kEquals,
  kNotEquals,
  kIn,
  kNotIn,
  kExists,
  kNotExists,
  kGreaterThan,  // the label is a decimal integer greater than the value
  kLessThan,
};

struct SelectorRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kExists;
  // kEquals, kNotEquals, kGreaterThan, kLessThan: one; kIn, kNotIn: at least one; otherwise none.
  std::vector<std::string> values;

  bool matches(const Labels& labels) const;
  std::string text() const;
  bool operator==(const SelectorRequirement&) const = default;
};

struct SelectorError {
  std::size_t position = 0;  // bytes from the start
  std::string reason;        // "found \")\", expected a value"
  std::string text() const;  // "at byte 12: ..."
  bool operator==(const SelectorError&) const = default;
};

// What Result::value() throws if parse() failed and the caller did not check: a bug.
[[noreturn]] void throw_exception_from_error(const SelectorError& error,
                                             const boost::source_location& where);

class LabelSelector {
 public:
  using Result = boost::system::result<LabelSelector, SelectorError>;

  // No requirement: matches everything. (A Service without a selector selects nothing; that is up
  // to the caller.)
  LabelSelector() = default;

  [[nodiscard]] static Result parse(std::string_view text);
  // spec.selector of a Service: every entry must be equal. Keys and values are not validated.
  static LabelSelector from_map(const Labels& labels);

  bool matches(const Labels& labels) const;
  bool empty() const { return requirements_.empty(); }
  const std::vector<SelectorRequirement>& requirements() const { return requirements_; }
  // The canonical text.
  std::string text() const;

  bool operator==(const LabelSelector&) const = default;

 private:
  explicit LabelSelector(std::vector<SelectorRequirement> requirements);
  friend class SelectorParser;

  std::vector<SelectorRequirement> requirements_;
};

// The API's rules for labels: "", or why `key` (`value`) is invalid. A key is [prefix/]name. The
// prefix is an RFC 1123 subdomain of at most 253 bytes; the name has at most 63 bytes of
// [A-Za-z0-9], and [-_.] in between. A value is like a name, or empty.
std::string label_key_fault(std::string_view key);
std::string label_value_fault(std::string_view value);

}  // namespace k8s
