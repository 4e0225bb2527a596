// SPDX-License-Identifier: Apache-2.0
//
// The one way YAML enters: yaml-cpp behind limits. A pre-pass over the event stream refuses
// anchors, aliases, tags, duplicate keys and depth over 32, none of which our files need and each
// of which yaml-cpp 0.7 handles in a way that surprises (aliases are expanded without limit,
// duplicate keys are accepted).
//
// Used for the agent's own configuration, kubeconfig files and manifests: local files only, never
// API data.
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
  YAML::Node root;     // marks are relative to the document: add `first_line`
  int first_line = 0;  // 0-based line of the file where the document starts
  int index = 0;       // 1-based place among the file's documents
};

struct YamlLimits {
  std::size_t max_bytes = 1u << 20;
  bool multiple_documents = false;
};

struct YamlFile {
  std::vector<YamlDocument> documents;  // the good ones, empty documents left out
  std::vector<YamlFault> faults;        // a broken document does not spoil its neighbours
};

// One document's text and where it stands in the file.
struct YamlChunk {
  std::string_view text;
  int first_line = 0;  // 0-based
};

// A document begins at its `---` line (which may carry content) or after a `...` line. For callers
// that hold one document's tree at a time: a tree is many times the size of its text.
std::vector<YamlChunk> split_yaml_documents(std::string_view text);

YamlFile load_yaml_text(std::string_view text, const std::string& name,
                        const YamlLimits& limits = {});
YamlFile load_yaml_file(const std::string& path, const YamlLimits& limits = {});

}  // namespace config
