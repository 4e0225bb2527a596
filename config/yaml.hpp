// SPDX-License-Identifier: Apache-2.0
//
// Reads YAML with yaml-cpp, within limits (config/adr-yaml.md). Before a document's tree is built,
// a pass over its events refuses anchors, aliases, tags, directives, duplicate keys, keys that are
// not scalars, nesting over 32 levels and text after the end of the document. Our files need none
// of these, and yaml-cpp 0.7 alone handles some of them dangerously: it expands aliases without
// limit and accepts duplicate keys.
//
// Used for the configuration file, kubeconfig files and manifests: local files, never API data.
//
// Errors: each fault has its position in the file. A document with a fault has no tree; the other
// documents of the file are still read. A file that is too long or not text is refused as a whole.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace config {

struct YamlFault {
  std::string file;
  int line = 0;    // 1-based; 0: the file as a whole
  int column = 0;  // 1-based
  std::string what;
  std::string place() const;  // "file:line:column", or "file" for the file as a whole
  std::string text() const;   // "file:line:column: what"
};

struct YamlDocument {
  YAML::Node root;     // its marks count lines from the start of the document: add `first_line`
  int first_line = 0;  // 0-based line in the file where the document starts
  int index = 0;       // 1-based number of the document in the file, empty documents not counted
};

struct YamlLimits {
  std::size_t max_bytes = 1u << 20;
  bool multiple_documents = false;
};

struct YamlFile {
  std::vector<YamlDocument> documents;  // those without faults; empty documents are left out
  std::vector<YamlFault> faults;
};

// The text of one document and its position in the file.
struct YamlChunk {
  std::string_view text;
  int first_line = 0;  // 0-based
};

// Splits a file into documents. A document begins at its `---` line (which may have content) or
// after a `...` line. For callers that keep the tree of only one document at a time, because a tree
// is many times larger than its text.
std::vector<YamlChunk> split_yaml_documents(std::string_view text);

YamlFile load_yaml_text(std::string_view text, const std::string& name,
                        const YamlLimits& limits = {});
YamlFile load_yaml_file(const std::string& path, const YamlLimits& limits = {});

}  // namespace config
