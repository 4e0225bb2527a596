// SPDX-License-Identifier: Apache-2.0
//
// A manifest file's text as JSON documents, one per YAML document (or per value of a JSON file).
//
// YAML scalars get the types that kubectl gives them (sigs.k8s.io/yaml, YAML 1.1): a quoted scalar
// is a string; a plain one is null (nothing, ~, null), a boolean (true, yes, on, y and their
// opposites), an integer (also 0x1f, 0b101, 0o17, 017, 1_000), a float, or else a string; dates
// stay strings. Keys are always strings: `on:` is the key "true", `1:` the key "1".
//
// Errors: a broken document is a fault that names its line; its neighbours are read. Pure: no I/O.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace k8s {

// While it is read a document takes up to eighty times its size as YAML and ten times as JSON; a
// YAML file of many documents takes that for the largest of them only.
inline constexpr std::size_t kMaxManifestBytes = 4u << 20;

struct ManifestDocument {
  boost::json::value root;
  int line = 0;  // 1-based
  // Where the elements of a top-level `items` array start, for `kind: List`.
  std::vector<int> item_lines;
};

struct DocumentFault {
  int line = 0;
  std::string what;
};

struct DocumentHandlers {
  std::function<void(ManifestDocument)> on_document;
  std::function<void(DocumentFault)> on_fault;
};

void read_yaml_documents(std::string_view text, const DocumentHandlers& handlers);
void read_json_documents(std::string_view text, const DocumentHandlers& handlers);

// The type and value of a plain (unquoted) YAML scalar.
boost::json::value resolve_plain_scalar(std::string_view text);

}  // namespace k8s
