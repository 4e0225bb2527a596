// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/resource_version.hpp"

#include <algorithm>

namespace k8s {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.front() != '0' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_older_version(std::string_view seen, std::string_view held) {
  if (!is_number(seen) || !is_number(held)) return false;
  if (seen.size() != held.size()) return seen.size() < held.size();
  return seen < held;
}

}  // namespace k8s
