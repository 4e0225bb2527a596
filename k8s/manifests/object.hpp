// SPDX-License-Identifier: Apache-2.0
//
// The contents of one manifest file as values: objects of k8s/types.hpp, the input-only fields of
// their manifests, and the faults of the file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "k8s/types.hpp"

namespace k8s {

enum class IpFamily : std::uint8_t { kIpv4, kIpv6 };
enum class FamilyPolicy : std::uint8_t { kSingleStack, kPreferDualStack, kRequireDualStack };

// Input-only fields: an API server consumes them when it stores the object, so the stored type has
// no member for them. Most kinds have none.
template <typename T>
struct ManifestExtras {
  bool operator==(const ManifestExtras&) const = default;
};

template <>
struct ManifestExtras<Service> {
  FamilyPolicy family_policy = FamilyPolicy::kSingleStack;  // spec.ipFamilyPolicy
  std::vector<IpFamily> families;                           // spec.ipFamilies; empty: not set
  bool allocate_node_ports = true;                          // spec.allocateLoadBalancerNodePorts
  bool operator==(const ManifestExtras&) const = default;
};

template <>
struct ManifestExtras<Pod> {
  std::uint32_t grace_seconds = 30;  // spec.terminationGracePeriodSeconds
  bool operator==(const ManifestExtras&) const = default;
};

template <typename T>
struct ManifestEntry {
  T object;
  ManifestExtras<T> extras;
  int line = 0;  // 1-based, where the object starts; ignored by is_same_as()

  bool is_same_as(const ManifestEntry& other) const {
    return object == other.object && extras == other.extras;
  }
};

// Shared between the file it came from and the objects delivered from it: one copy in memory.
template <typename T>
using ManifestEntryPtr = std::shared_ptr<const ManifestEntry<T>>;

// The objects of one kind in one file.
template <typename T>
struct ManifestSection {
  std::vector<ManifestEntryPtr<T>> entries;  // in document order
  std::vector<ObjectKey> refused;            // in the file, but with an invalid field
};

struct ManifestFault {
  std::string kind;  // see SourceFault::kind
  int line = 0;      // 1-based; 0: the file as a whole
  std::string what;
  // The refused object, "Service default/web"; "" if the fault is not about a known object.
  std::string object;
  bool hides_objects = false;  // the objects in this part of the file are unknown
  std::string about = {};      // the object it is about, whether refused or not; "": none
};

struct ParsedManifest {
  std::tuple<ManifestSection<Service>, ManifestSection<Pod>, ManifestSection<Node>,
             ManifestSection<EndpointSlice>>
      sections;
  std::vector<ManifestFault> faults;
  // Part of the file could not be read: an object that is missing here may be in that part.
  bool incomplete = false;

  template <typename T>
  ManifestSection<T>& of() {
    return std::get<ManifestSection<T>>(sections);
  }
  template <typename T>
  const ManifestSection<T>& of() const {
    return std::get<ManifestSection<T>>(sections);
  }
};

template <typename T>
inline constexpr const char* kKindName = "";
template <>
inline constexpr const char* kKindName<Service> = "Service";
template <>
inline constexpr const char* kKindName<Pod> = "Pod";
template <>
inline constexpr const char* kKindName<Node> = "Node";
template <>
inline constexpr const char* kKindName<EndpointSlice> = "EndpointSlice";

// "Service default/web".
template <typename T>
std::string name_of(const ObjectKey& key) {
  return std::string(kKindName<T>) + " " + key.text();
}

}  // namespace k8s
