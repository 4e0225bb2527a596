// SPDX-License-Identifier: Apache-2.0
//
// Parses any bytes as a manifest and puts them into a set together with a valid file. Besides not
// crashing: reading the same file again changes nothing, and after dropping it nothing is left once
// its Pods have ended.
//
// The first byte selects the format: YAML if it is even, JSON if it is odd.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "k8s/manifests/parse.hpp"
#include "k8s/manifests/set.hpp"

namespace {

constexpr std::string_view kGood =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort, ports: [{port: "
    "80}]}\n";

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename T>
bool is_empty(const k8s::ManifestChanges& changes) {
  return changes.of<T>().removed.empty() && changes.of<T>().upserted.empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto format = data[0] % 2 == 0 ? k8s::ManifestFormat::kYaml : k8s::ManifestFormat::kJson;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  k8s::ManifestSet set({{{boost::asio::ip::make_address("10.96.0.0"), 12},
                         {boost::asio::ip::make_address("fd00:96::"), 108}}});
  set.put("good.yaml", k8s::parse_manifest(kGood, k8s::ManifestFormat::kYaml));
  set.put("any", k8s::parse_manifest(text, format));
  set.take_changes(0);
  set.put("any", k8s::parse_manifest(text, format));
  const k8s::ManifestChanges again = set.take_changes(0);
  require(is_empty<k8s::Service>(again) && is_empty<k8s::Pod>(again) &&
          is_empty<k8s::Node>(again) && is_empty<k8s::EndpointSlice>(again) &&
          again.faults.empty());
  set.drop("any");
  set.take_changes(0);
  set.take_changes(INT64_MAX);
  require(!set.next_removal());
  return 0;
}
