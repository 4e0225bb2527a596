// SPDX-License-Identifier: Apache-2.0
//
// The example in k8s/decode/README.md is what the code does: each block of it is compared with the
// table and the calls of the Service reader.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "k8s/decode/json_reader.hpp"
#include "k8s/decode/object_reader.hpp"

namespace {

using namespace k8s;

// The texts between the lines that begin with ``` in the README: JSON, rows, calls.
std::vector<std::string> blocks_of_readme() {
  std::ifstream file(KUBE_IPVS_SOURCE_DIR "/k8s/decode/README.md");
  REQUIRE(file);
  std::vector<std::string> blocks;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.emplace_back();
    } else if (inside) {
      blocks.back() += line + '\n';
    }
  }
  return blocks;
}

std::string name_of(FieldType type) {
  switch (type) {
    case FieldType::kObject:
      return "Object";
    case FieldType::kObjects:
      return "Objects";
    case FieldType::kString:
      return "String";
    case FieldType::kStrings:
      return "Strings";
    case FieldType::kInteger:
      return "Integer";
    case FieldType::kBoolean:
      return "Boolean";
    case FieldType::kIntOrString:
      return "IntOrString";
    case FieldType::kTime:
      return "Time";
    case FieldType::kMap:
      return "Map";
    case FieldType::kChild:
      return "Child";
    case FieldType::kChildren:
      return "Children";
  }
  return {};
}

// The path that leads to each node, from the root on.
std::map<SchemaNode, std::string> paths_of(const Schema& schema) {
  std::map<SchemaNode, std::string> paths{{doc::kRoot, "/"}};
  const auto add_below = [&](auto& self, SchemaNode node) -> void {
    for (const Field& row : schema.at(node)) {
      paths[row.to] = (node == doc::kRoot ? "" : paths[node]) + "/" + std::string(row.key.name);
      self(self, row.to);
    }
  };
  add_below(add_below, doc::kRoot);
  return paths;
}

// A row as the README has it, its columns separated by one space.
std::string text_of(const Field& row, const std::map<SchemaNode, std::string>& paths) {
  const std::string number = row.key.number == 0 ? "-" : std::to_string(row.key.number);
  return paths.at(row.at) + ' ' + std::string(row.key.name) + ' ' + number + ' ' +
         name_of(row.type) + ' ' + paths.at(row.to);
}

// Follows the schema of another visitor and writes down the calls.
class Recorder final : public doc::Visitor {
 public:
  explicit Recorder(const Schema& schema) : schema_(schema), paths_(paths_of(schema)) {}

  const Schema& schema() const override { return schema_; }
  void open(SchemaNode node) override { call("open", node); }
  void close(SchemaNode node) override { call("close", node); }
  void scalar(SchemaNode node, const Scalar& value) override {
    call("scalar", node,
         ", " + (value.is_text ? in_quotes(value.text) : std::to_string(value.integer)));
  }
  bool wants(SchemaNode node, std::string_view key) override {
    call("wants", node, ", " + in_quotes(key));
    return true;
  }
  void entry(SchemaNode node, std::string_view key, std::string_view value) override {
    call("entry", node, ", " + in_quotes(key) + ", " + in_quotes(value));
  }

  std::string calls;

 private:
  static std::string in_quotes(std::string_view text) { return '"' + std::string(text) + '"'; }
  void call(const char* function, SchemaNode node, const std::string& more = {}) {
    calls += std::string(function) + '(' + paths_.at(node) + more + ")\n";
  }

  const Schema& schema_;
  std::map<SchemaNode, std::string> paths_;
};

}  // namespace

TEST_CASE("the example of a decoded Service in the README is what the code does") {
  const auto blocks = blocks_of_readme();
  REQUIRE(blocks.size() == 3);
  const std::string& json = blocks[0];
  const auto reader = make_reader<Service>();

  const auto paths = paths_of(reader->schema());
  std::vector<std::string> rows;
  for (const auto& [node, path] : paths) {
    for (const Field& row : reader->schema().at(node)) rows.push_back(text_of(row, paths));
  }
  std::istringstream lines(blocks[1]);
  std::string line;
  REQUIRE(std::getline(lines, line));  // the heads of the columns
  while (std::getline(lines, line)) {
    INFO(line);
    std::istringstream words(line);
    std::string row;
    for (std::string word; words >> word;) row += (row.empty() ? "" : " ") + word;
    CHECK(std::count(rows.begin(), rows.end(), row) == 1);
  }

  Recorder recorder(reader->schema());
  doc::JsonParser parser(recorder);
  parser.write(json);
  REQUIRE(parser.done());
  CHECK(recorder.calls == blocks[2]);

  const auto decoded = decode_object<Service>(json);
  CHECK(decoded.fault.text().empty());
  CHECK(decoded.object.ports.size() == 1);
  std::string wrong = json;
  wrong.replace(wrong.find("80"), 2, "\"80\"");
  CHECK(decode_object<Service>(wrong).left_out.text() ==
        "Service web: spec.ports[0].port: a string where an integer belongs");
}
