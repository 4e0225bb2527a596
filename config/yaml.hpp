// SPDX-License-Identifier: Apache-2.0
//
// Reads YAML with yaml-cpp, within limits (config/adr-yaml.md), and as leniently as kube-proxy,
// kubectl and client-go do (sigs.k8s.io/yaml, not strict): of two equal keys the last one counts,
// anchors, aliases and merge keys ("<<") are followed, and where one document is expected a second
// one is ignored. All of these but anchors are warnings. Before a document's tree is built, a pass
// over its events refuses keys that are not scalars, tags of our own, nesting over 32 levels, an
// alias of itself, more than 100,000 values by aliases, and text after the end of the document.
//
// Used for the configuration file, kubeconfig files and manifests: local files, never API data.
//
// Errors: each fault has its position in the file. A document with a fault has no tree; the other
// documents of the file are still read. A file that is too long or not text is refused as a whole.
#pragma once

#include <yaml-cpp/yaml.h>

#include <atomic>
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
  // Set by another thread: reading stops soon, with a fault.
  const std::atomic<bool>* stop = nullptr;
};

struct YamlFile {
  std::vector<YamlDocument> documents;  // those without faults; empty documents are left out
  std::vector<YamlFault> faults;
  std::vector<YamlFault> warnings;  // what was accepted, and what was done with it
};

// Whether a scalar is text whatever it looks like: quoted, a block, or tagged !!str.
bool is_yaml_text(const YAML::Node& scalar);

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
