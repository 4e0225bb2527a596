// SPDX-License-Identifier: Apache-2.0
#include "config/yaml.hpp"

#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "test/fake/temporary_folder.hpp"

namespace {

using config::is_yaml_text;
using config::load_yaml_file;
using config::load_yaml_text;
using config::YamlFile;

constexpr config::YamlLimits kMany{.max_bytes = 1u << 20, .multiple_documents = true};

std::vector<std::string> faults_of(const YamlFile& file) {
  std::vector<std::string> out;
  for (const config::YamlFault& fault : file.faults) out.push_back(fault.text());
  return out;
}

using Lines = std::vector<std::string>;

Lines warnings_of(const YamlFile& file) {
  Lines out;
  for (const config::YamlFault& warning : file.warnings) out.push_back(warning.text());
  return out;
}

YAML::Node root_of(const std::string& text) {
  const YamlFile file = load_yaml_text(text, "f");
  CHECK(faults_of(file) == Lines{});
  REQUIRE(file.documents.size() == 1);
  return file.documents[0].root;
}

// The only fault of `text`.
std::string fault_of(const std::string& text) {
  const YamlFile file = load_yaml_text(text, "f");
  REQUIRE(file.documents.empty());
  REQUIRE(file.faults.size() == 1);
  return file.faults[0].text();
}

}  // namespace

TEST_CASE("a document has its tree, its first line and its number in the file") {
  const YamlFile file =
      load_yaml_text("# head\n---\na: [1, 2]\n--- # second\nb: {c: d}\n", "f", kMany);
  REQUIRE(file.faults.empty());
  REQUIRE(file.documents.size() == 2);
  CHECK(file.documents[0].root["a"][1].Scalar() == "2");
  CHECK(file.documents[0].index == 1);
  CHECK(file.documents[0].first_line == 1);
  CHECK(file.documents[1].root["b"]["c"].Scalar() == "d");
  CHECK(file.documents[1].index == 2);
  CHECK(file.documents[1].first_line + file.documents[1].root["b"].Mark().line == 4);
}

TEST_CASE("empty documents, comments and end markers are skipped") {
  CHECK(load_yaml_text("", "f").documents.empty());
  const YamlFile file =
      load_yaml_text("---\n---\n# nothing\n---\n~\n---\nnull\n...\n---\na: 1\n...\n# end\n", "f");
  CHECK(file.faults.empty());
  REQUIRE(file.documents.size() == 1);
  CHECK(file.documents[0].root["a"].Scalar() == "1");
}

TEST_CASE("a broken document does not affect its neighbours") {
  const YamlFile file = load_yaml_text("a: 1\n---\nb: \"open\n---\nc: [\n---\nd: 4\n", "f", kMany);
  CHECK(faults_of(file) ==
        std::vector<std::string>{"f:3:9: not valid YAML: a quoted string is not closed",
                                 "f:5:1: not valid YAML: end of sequence flow not found"});
  REQUIRE(file.documents.size() == 2);
  CHECK(file.documents[0].root["a"].Scalar() == "1");
  CHECK(file.documents[1].root["d"].Scalar() == "4");
  CHECK(file.documents[1].index == 4);
}

TEST_CASE("where one document is expected the first one counts, with a warning (G)") {
  const YamlFile file = load_yaml_text("a: 1\n---\nb: [\n---\nc: 3\n", "f");
  CHECK(file.faults.empty());
  CHECK(warnings_of(file) ==
        Lines{"f:2:1: a second document (---): ignored, the first one counts"});
  REQUIRE(file.documents.size() == 1);
  CHECK(file.documents[0].root["a"].Scalar() == "1");
  CHECK(load_yaml_text("---\n# nothing\n---\na: 1\n...\n", "f").warnings.empty());
}

TEST_CASE("three dashes inside a line or a block of text do not split a document") {
  const YamlFile file = load_yaml_text("a: x---\nb: |\n  ---\n  text\nc: ---d\n", "f", kMany);
  REQUIRE(file.faults.empty());
  REQUIRE(file.documents.size() == 1);
  CHECK(file.documents[0].root["b"].Scalar() == "---\ntext\n");
  CHECK(file.documents[0].root["c"].Scalar() == "---d");
}

TEST_CASE("lines may end in CR LF, and a byte order mark is skipped") {
  const YamlFile file = load_yaml_text(
      "\xEF\xBB\xBF"
      "a: 1\r\n---\r\nb: 2\r\n",
      "f", kMany);
  REQUIRE(file.faults.empty());
  REQUIRE(file.documents.size() == 2);
  CHECK(file.documents[0].root["a"].Scalar() == "1");
  CHECK(file.documents[1].root["b"].Scalar() == "2");
}

TEST_CASE("anchors and aliases are followed, and maps are merged (G)") {
  const YAML::Node root = root_of(
      "base: &base {a: 1, b: 2, c: {d: 5}}\nlist: &l [1, 2]\nagain: *l\n"
      "one: {<<: *base, b: 3}\ntwo: {a: 7, <<: [{a: 8, e: 9}, *base]}\ntext: {\"<<\": 1}\n");
  CHECK(root["again"].size() == 2);
  CHECK(root["one"]["a"].Scalar() == "1");
  CHECK(root["one"]["b"].Scalar() == "3");
  CHECK(root["one"]["c"]["d"].Scalar() == "5");
  CHECK(root["one"].size() == 3);
  CHECK(root["two"]["a"].Scalar() == "7");
  CHECK(root["two"]["b"].Scalar() == "2");
  CHECK(root["two"]["e"].Scalar() == "9");
  CHECK(root["text"]["<<"].Scalar() == "1");
  CHECK(root["base"]["b"].Scalar() == "2");
}

TEST_CASE("an alias of what contains it, of nothing, or as a key is refused") {
  CHECK(fault_of("a: &x [1, *x]\n") == "f:1:11: an alias of a value that contains it");
  CHECK_FALSE(fault_of("a: *x\n").empty());
  CHECK(fault_of("a: &x k\n*x : 1\n") == "f:2:1: an alias as a key");
}

TEST_CASE("an alias cannot make the tree deeper than 32 levels") {
  std::string text = "a: &a " + std::string(20, '[') + std::string(20, ']') + "\n";
  CHECK(load_yaml_text(text + "b: [*a]\n", "f").faults.empty());
  CHECK(fault_of(text + "b: " + std::string(15, '[') + "*a" + std::string(15, ']') + "\n")
            .ends_with("nested deeper than 32 levels"));
}

TEST_CASE("the tags of YAML itself are read, others are refused") {
  const YAML::Node root = root_of("a: !!str 1\nb: !!int 3\nc: !!map {d: 1}\n");
  CHECK(is_yaml_text(root["a"]));
  CHECK_FALSE(is_yaml_text(root["b"]));
  CHECK(fault_of("a:\n- b\n- !mine 3\n") == "f:3:3: tags (!type) are not supported");
}

TEST_CASE("aliases that would grow exponentially are refused before a tree is built") {
  std::string text = "a0: &a0 [x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text +=
        "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + "," + before + "]\n";
  }
  const YamlFile file = load_yaml_text(text, "f");
  CHECK(file.documents.empty());
  CHECK(file.faults.at(0).what == "aliases stand for more than 100000 values");
}

TEST_CASE("of two equal keys in one map the last counts, with a warning (G)") {
  const YamlFile file = load_yaml_text("a: 1\nb: {c: 1, \"c\": 2}\na: 2\na: 3\n", "f");
  REQUIRE(file.documents.size() == 1);
  const YAML::Node& root = file.documents[0].root;
  CHECK(root["a"].Scalar() == "3");
  CHECK(root["b"]["c"].Scalar() == "2");
  CHECK(root.size() == 2);
  CHECK(warnings_of(file) == Lines{"f:2:11: duplicate key \"c\": the last one counts",
                                   "f:3:1: duplicate key \"a\": the last one counts",
                                   "f:4:1: duplicate key \"a\": the last one counts"});
  CHECK(load_yaml_text("a: {k: 1}\nb: [{k: 1}, {k: 2}]\n", "f").warnings.empty());
}

TEST_CASE("very many equal keys or merge keys are refused, because each takes time") {
  std::string equal;
  std::string merges = "b: &b {x: 1}\na: {";
  for (int i = 0; i < 1000; ++i) {
    equal += "a: 1\n";
    merges += "<<: *b, ";
  }
  CHECK(fault_of(equal).ends_with("more than 32 duplicate keys"));
  CHECK(fault_of(merges + "}\n").ends_with("more than 256 merge keys (<<)"));
}

TEST_CASE("reading stops soon after another thread has asked for it (H10)") {
  const std::atomic<bool> stop = true;
  const YamlFile file =
      load_yaml_text("a: 1\n", "f", {.max_bytes = 100, .multiple_documents = true, .stop = &stop});
  CHECK(file.documents.empty());
  CHECK(file.faults.at(0).what == "reading was stopped");
}

TEST_CASE("a key that is not plain text is refused") {
  CHECK(fault_of("? [a]\n: 1\n") == "f:1:3: a key must be a single word or string");
  CHECK(fault_of(": 1\n") == "f:1:1: a key is missing before \":\"");
}

TEST_CASE("nesting is accepted up to 32 levels and refused beyond") {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
    return text;
  };
  CHECK(load_yaml_text(nested(32), "f").faults.empty());
  CHECK(fault_of(nested(33)) == "f:33:33: nested deeper than 32 levels");
  CHECK(fault_of(std::string(500000, '{')).starts_with("f:1:"));
  CHECK(fault_of("a: " + std::string(40, '[') + std::string(40, ']')).ends_with("32 levels"));
}

TEST_CASE(
    "a quoted string that is not closed is refused; it does not swallow the rest of the file") {
  CHECK(fault_of("a: \"x\nb: c\n\n") == "f:2:5: not valid YAML: a quoted string is not closed");
  CHECK(fault_of("a: 'x\n").ends_with("a quoted string is not closed"));
}

TEST_CASE("line breaks at the end of a block of text are kept as YAML defines") {
  CHECK(load_yaml_text("a: |\n  x\n\n", "f").documents.at(0).root["a"].Scalar() == "x\n");
  CHECK(load_yaml_text("a: |+\n  x\n\n", "f").documents.at(0).root["a"].Scalar() == "x\n\n");
  CHECK(load_yaml_text("a: |-\n  x\n", "f").documents.at(0).root["a"].Scalar() == "x");
}

TEST_CASE("text after the end of a document is refused") {
  CHECK(fault_of("{a: b} }\n") == "f:1:8: not valid YAML: illegal flow end");
  CHECK(fault_of("[a]\n[b]\n") == "f:1:1: there is text after the end of the document");
}

TEST_CASE("the directive %YAML is read, %TAG is refused (G)") {
  const YamlFile file = load_yaml_text("%YAML 1.1\n---\na: 1\n", "f");
  CHECK(file.faults.empty());
  CHECK(file.documents.size() == 1);
  CHECK(load_yaml_text("%TAG ! x:\n---\na: 1\n", "f", kMany).faults.at(0).text() ==
        "f:1:1: directives (%TAG) are not supported");
}

TEST_CASE("bytes that are not text are refused with their position") {
  CHECK(fault_of("a: b\nc: \xFF\n") == "f:2:4: not UTF-8 text");
  CHECK(fault_of("a: \xC0\xAF\n") == "f:1:4: not UTF-8 text");
  CHECK(fault_of("a: \xED\xA0\x80\n") == "f:1:4: not UTF-8 text");
  CHECK(fault_of("a: 1\x04\nb: 2\n") == "f:1:5: a control character, which YAML does not allow");
  CHECK(fault_of(std::string("a\0b", 3)) ==
        "f:1:2: a control character, which YAML does not allow");
  CHECK(load_yaml_text("a: \"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"\n", "f").faults.empty());
}

TEST_CASE("a text longer than the limit is refused as a whole") {
  const YamlFile file =
      load_yaml_text("a: 12345678", "f", {.max_bytes = 10, .multiple_documents = false});
  CHECK(faults_of(file) == std::vector<std::string>{"f: longer than 10 bytes"});
}

TEST_CASE("a file that cannot be read is one fault with the reason") {
  const fake::TemporaryFolder scratch;
  const auto why = [](const std::string& path) {
    const YamlFile file = load_yaml_file(path, {.max_bytes = 100, .multiple_documents = false});
    REQUIRE(file.documents.empty());
    REQUIRE(file.faults.size() == 1);
    CHECK(file.faults[0].file == path);
    CHECK(file.faults[0].line == 0);
    return file.faults[0].what;
  };
  CHECK(why(scratch.path("missing.yaml")) == "cannot be opened: No such file or directory");
  CHECK(why(scratch.path(".")) == "is a directory, not a file");
  CHECK(why("/dev/null") == "is not a regular file");
  std::ofstream(scratch.path("long.yaml")) << "a: " << std::string(200, 'x');
  CHECK(why(scratch.path("long.yaml")) == "longer than 100 bytes");
  if (::geteuid() != 0) {
    std::ofstream(scratch.path("secret.yaml")) << "a: 1";
    std::filesystem::permissions(scratch.path("secret.yaml"), std::filesystem::perms::none);
    CHECK(why(scratch.path("secret.yaml")) == "cannot be opened: Permission denied");
  }
}

TEST_CASE("a large file is read completely") {
  const fake::TemporaryFolder scratch;
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "key" + std::to_string(i) + ": value\n";
  std::ofstream(scratch.path("big.yaml")) << text;
  const YamlFile file = load_yaml_file(scratch.path("big.yaml"));
  REQUIRE(file.faults.empty());
  CHECK(file.documents.at(0).root.size() == 20000);
}
