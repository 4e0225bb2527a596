// SPDX-License-Identifier: Apache-2.0
//
// Settings of this process that the kernel keeps.
#pragma once

#include <optional>
#include <string>

namespace agent {

// --oom-score-adj; nullopt: unchanged. Why the kernel refuses it; "": it does not. As in kube-proxy,
// a refusal is no reason to end.
std::string set_oom_score_adj(std::optional<int> wanted);

}  // namespace agent
