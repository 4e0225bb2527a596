// SPDX-License-Identifier: Apache-2.0
//
// From the text of one manifest file to the objects in it. Pure: no I/O, no clock.
//
// What an API server and a kubelet would have filled in, and a person leaves out, is filled in
// here: the namespace "default"; for a Pod the phase Running, and Ready when it has no
// status.conditions at all.
//
// Errors: each fault names a line and, as far as it is known, the object and its field. A Pod
// without status.podIP is refused (there is no kubelet that could give it one). Kinds we do not use
// are named and skipped, `kind: Namespace` silently so.
#pragma once

#include <string>
#include <string_view>

#include "k8s/manifests/object.hpp"

namespace k8s {

enum class ManifestFormat : std::uint8_t { kYaml, kJson };

// True for the file names that are manifests: *.yaml, *.yml and *.json, not hidden.
bool is_manifest_name(std::string_view file_name);
ManifestFormat format_of(std::string_view file_name);

ParsedManifest parse_manifest(std::string_view text, ManifestFormat format);

}  // namespace k8s
