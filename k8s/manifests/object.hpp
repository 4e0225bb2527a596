// SPDX-License-Identifier: Apache-2.0
//
// What one manifest file holds, as values: the objects of k8s/types.hpp, with what only a
// manifest's reader needs to know of them, and the faults met on the way.
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

// What an API server acts on by itself when it stores an object, so that the typed object, which is
// what the API server gives out, has no field for it. Most kinds have nothing of the sort.
template <typename T>
struct ManifestExtras {
  bool operator==(const ManifestExtras&) const = default;
};

template <>
struct ManifestExtras<Service> {
  FamilyPolicy family_policy = FamilyPolicy::kSingleStack;  // spec.ipFamilyPolicy
  std::vector<IpFamily> families;                           // spec.ipFamilies; empty: not said
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
  int line = 0;  // 1-based, where the object starts; not part of what it says

  bool says_the_same(const ManifestEntry& other) const {
    return object == other.object && extras == other.extras;
  }
};

// Entries are shared between the file they came from and what was handed out: one copy in memory.
template <typename T>
using ManifestEntryPtr = std::shared_ptr<const ManifestEntry<T>>;

// The objects of one kind in one file.
template <typename T>
struct ManifestSection {
  std::vector<ManifestEntryPtr<T>> entries;  // in document order
  std::vector<ObjectKey> refused;            // named in the file, but with an impossible field
};

struct ManifestFault {
  std::string kind;  // as SourceFault::kind
  int line = 0;      // 1-based; 0: the file as a whole
  std::string what;
  // The object that was refused, "Service default/web"; empty: see `hides_objects`.
  std::string object;
  bool hides_objects = false;  // nobody can say which objects were in this part of the file
};

struct ParsedManifest {
  std::tuple<ManifestSection<Service>, ManifestSection<Pod>, ManifestSection<Node>,
             ManifestSection<EndpointSlice>>
      sections;
  std::vector<ManifestFault> faults;
  // Part of the file could not be read: an object missing here may still be in it.
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
