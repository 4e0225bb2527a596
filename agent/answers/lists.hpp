// SPDX-License-Identifier: Apache-2.0
//
// How lists begin in answers.
#pragma once

#include <string>

namespace agent {

inline constexpr const char* kApiVersion = "kube-ipvs.io/v1";

// Up to and without the first item.
inline std::string list_head(const std::string& kind) {
  return R"({"kind":")" + kind + R"(","apiVersion":")" + kApiVersion + R"(","items":[)";
}

}  // namespace agent
