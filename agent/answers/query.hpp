// SPDX-License-Identifier: Apache-2.0
//
// What a question's URL asks: its parameters, checked. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/decode/selector.hpp"
#include "k8s/types.hpp"

namespace agent {

// Why a question cannot be answered: one line naming the parameter and what is allowed.
struct QuestionFault {
  int status = 400;
  std::string what{};
};

using Parameters = std::map<std::string, std::string>;

// The query of a request's target, percent-decoded. `allowed`: the names that this question knows.
// At most 32 parameters of 1024 bytes. Throws QuestionFault.
Parameters parameters_of(std::string_view target, const std::vector<std::string_view>& allowed);

// The Services that are asked for.
struct ServiceQuery {
  std::string ns{};             // "": all
  std::string name{};           // "": all
  k8s::LabelSelector labels{};  // of the Service

  bool matches(const k8s::Service& service) const;
};
// From `namespace`, `name`, `selector` (as kubectl takes it). Throws QuestionFault.
ServiceQuery service_query(const Parameters& parameters);

struct HistoryQuery {
  std::string service{};             // "NAMESPACE/NAME"; "": all
  std::int64_t since = 0;            // Unix milliseconds
  std::optional<std::int64_t> at{};  // then the table as it was
};
// From `service`, `since` (seconds before `now`) and `at` (RFC 3339). Throws QuestionFault.
HistoryQuery history_query(const Parameters& parameters, k8s::UnixSeconds now);

}  // namespace agent
