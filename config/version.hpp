// SPDX-License-Identifier: Apache-2.0
//
// The version of this program, from CMakeLists.txt.
#pragma once

// Tools that read a source on its own do not define it.
#ifndef KUBE_IPVS_VERSION
#define KUBE_IPVS_VERSION "unknown"
#endif

namespace config {

inline constexpr const char* kVersion = "v" KUBE_IPVS_VERSION;  // "v0.1.0"

}  // namespace config
