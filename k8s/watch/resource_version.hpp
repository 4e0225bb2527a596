// SPDX-License-Identifier: Apache-2.0
//
// Which of two resource versions is newer. Clients may compare them: they are decimal numbers
// without leading zeros (KEP-5504), in practice etcd's revision, one counter for all objects of the
// store. Whatever is not such a number cannot be compared, and then nothing is concluded.
#pragma once

#include <string_view>

namespace k8s {

// Both are resource versions, and `seen` is older than `held`.
bool is_older_version(std::string_view seen, std::string_view held);

}  // namespace k8s
