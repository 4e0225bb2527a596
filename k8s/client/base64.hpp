// SPDX-License-Identifier: Apache-2.0
//
// Base64 with the standard alphabet and padding (RFC 4648, section 4). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace k8s {

std::string base64_encode(std::string_view bytes);

// Line breaks between characters are skipped, as Go does. None if `text` is not base64.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace k8s
