// SPDX-License-Identifier: Apache-2.0
//
// Parses the text of one manifest file into objects. Pure: no I/O, no clock.
//
// Sets the defaults that an API server and a kubelet would set: the namespace "default"; for a Pod
// the phase Running, and Ready if it has no status.conditions at all.
//
// Errors: each fault names a line and, if known, the object and its field. A Pod without
// status.podIP is refused, because no kubelet will assign one. Unused kinds are reported and
// skipped, `kind: Namespace` silently.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "k8s/manifests/object.hpp"

namespace k8s {

enum class ManifestFormat : std::uint8_t { kYaml, kJson };

// Whether a file of this name is a manifest: *.yaml, *.yml or *.json, and not hidden.
bool is_manifest_name(std::string_view file_name);
ManifestFormat format_of(std::string_view file_name);

// `stop`, set by another thread: it ends soon, without all objects (config::YamlLimits).
// `headless`: with the EndpointSlices of headless Services.
ParsedManifest parse_manifest(std::string_view text, ManifestFormat format,
                              const std::atomic<bool>* stop = nullptr, bool headless = false);

}  // namespace k8s
