// SPDX-License-Identifier: Apache-2.0
//
// A manifest file's text as JSON documents, one per YAML document (or per value of a JSON file).
//
// YAML scalars get the types that kubectl gives them (sigs.k8s.io/yaml, YAML 1.1). A quoted scalar
// is a string. A plain one is null (empty, ~, null), a boolean (true, yes, on, y and their
// opposites), an integer (also 0x1f, 0b101, 0o17, 017, 1_000), a float, or else a string; dates are
// strings. Keys are always strings: `on:` is the key "true", `1:` the key "1". Anchors, merged maps
// and equal keys mean what they mean to kubectl (config/yaml.hpp).
//
// Errors: an invalid document is a fault with its line; other YAML documents are still read. JSON
// after a fault is not. Pure: no I/O.
#pragma once

#include <atomic>
#include <boost/json/value.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace k8s {

// Reading takes up to eighty times the size of a YAML document in memory, and ten times that of a
// JSON document. In a YAML file of many documents only the largest one counts.
inline constexpr std::size_t kMaxManifestBytes = 4u << 20;

struct ManifestDocument {
  boost::json::value root;
  int line = 0;  // 1-based
  // The lines of the elements of a top-level `items` array, for `kind: List`.
  std::vector<int> item_lines;
};

struct DocumentFault {
  int line = 0;
  std::string what;
};

struct DocumentHandlers {
  std::function<void(ManifestDocument)> on_document;
  std::function<void(DocumentFault)> on_fault;
  // What was accepted, and what was done with it. May be empty.
  std::function<void(DocumentFault)> on_warning = {};
  const std::atomic<bool>* stop = nullptr;  // see config::YamlLimits
};

void read_yaml_documents(std::string_view text, const DocumentHandlers& handlers);
void read_json_documents(std::string_view text, const DocumentHandlers& handlers);

// The typed value of a plain (unquoted) YAML scalar.
boost::json::value resolve_plain_scalar(std::string_view text);

}  // namespace k8s
