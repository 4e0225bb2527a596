// SPDX-License-Identifier: Apache-2.0
#include "config/yaml.hpp"

#include <yaml-cpp/eventhandler.h>

#include <istream>
#include <optional>
#include <streambuf>
#include <unordered_set>
#include <utility>

#include "config/read_file.hpp"
#include "config/utf8.hpp"

namespace config {
namespace {

constexpr std::size_t kMaxDepth = 32;
// Keeps one broken document from filling the log.
constexpr std::size_t kMaxFaultsPerDocument = 32;

// Thrown by the event handler below to stop yaml-cpp's recursive parser; caught in this file.
struct StopParsing {};

// Whether the line is a document marker, `---` or `...`, followed by a blank or nothing. In YAML
// these are markers at column 0 everywhere, even inside block scalars, so splitting the text here
// never splits a value.
bool is_marker(std::string_view line, std::string_view marker) {
  if (!line.starts_with(marker)) return false;
  return line.size() == marker.size() || line[marker.size()] == ' ' ||
         line[marker.size()] == '\t' || line[marker.size()] == '\r';
}

// Reads a document's events before its tree is built, and refuses what yaml.hpp lists.
class Inspector final : public YAML::EventHandler {
 public:
  struct Finding {
    YAML::Mark mark;
    std::string what;
  };

  const std::vector<Finding>& findings() const { return findings_; }
  // Whether the document has anything except comments and null.
  bool has_content() const { return has_content_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    if (frames_.empty()) return;
    if (!at_key()) return value_done();
    refuse(mark, "a key is missing before \":\"");
    frames_.back().expects_key = false;
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    has_content_ = true;
    refuse(mark, "aliases (*name) are not supported: write the value out");
    if (at_key()) {
      frames_.back().expects_key = false;
    } else {
      value_done();
    }
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    has_content_ = true;
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (at_key()) {
      take_key(mark, value);
    } else {
      value_done();
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, false);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, true);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    bool is_map = false;
    bool expects_key = false;              // maps: the next event is a key
    std::unordered_set<std::string> keys;  // maps: those seen so far
  };

  bool at_key() const {
    return !frames_.empty() && frames_.back().is_map && frames_.back().expects_key;
  }

  void value_done() {
    if (!frames_.empty() && frames_.back().is_map) frames_.back().expects_key = true;
  }

  void take_key(const YAML::Mark& mark, const std::string& key) {
    if (!frames_.back().keys.insert(key).second) refuse(mark, "duplicate key \"" + key + "\"");
    frames_.back().expects_key = false;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, bool is_map) {
    has_content_ = true;
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (at_key()) {
      refuse(mark, "a key must be a single word or string");
      throw StopParsing{};
    }
    if (frames_.size() == kMaxDepth) {
      refuse(mark, "nested deeper than " + std::to_string(kMaxDepth) + " levels");
      throw StopParsing{};
    }
    frames_.push_back({.is_map = is_map, .expects_key = is_map, .keys = {}});
  }
  void close() {
    frames_.pop_back();
    value_done();
  }

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) refuse(mark, "anchors (&name) are not supported: write the value out");
  }
  // yaml-cpp reports "?" for an untagged plain value and "!" for an untagged quoted one.
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") refuse(mark, "tags (!type) are not supported");
  }
  void refuse(const YAML::Mark& mark, std::string what) {
    findings_.push_back({mark, std::move(what)});
    if (findings_.size() == kMaxFaultsPerDocument) throw StopParsing{};
  }

  std::vector<Frame> frames_;
  std::vector<Finding> findings_;
  bool has_content_ = false;
};

// Reads `text` without a copy; YAML::Load(std::string) and istringstream would each make one.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    // The get area is never written to: streambuf has no const form.
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

// The result for one chunk.
struct ChunkOutcome {
  bool empty = false;
  std::optional<YAML::Node> root;
  std::vector<Inspector::Finding> findings;
};

// yaml-cpp skips a %YAML or %TAG line; and the split separates it from its document.
std::optional<Inspector::Finding> find_directive(std::string_view text) {
  int line_number = 0;
  for (std::size_t at = 0; at < text.size(); ++line_number) {
    if (text[at] == '%') {
      YAML::Mark mark;
      mark.line = line_number;
      return Inspector::Finding{mark, "directives (%YAML, %TAG) are not supported"};
    }
    if (text[at] != '#' && text[at] != '\n' && text[at] != '\r') return std::nullopt;
    const std::size_t newline = text.find('\n', at);
    if (newline == std::string_view::npos) return std::nullopt;
    at = newline + 1;
  }
  return std::nullopt;
}

// yaml-cpp's message, or a clearer one where there is one.
std::string explain(const std::string& message) {
  if (message == "illegal EOF in scalar") return "a quoted string is not closed";
  if (message == "illegal map value") return "unexpected \":\" (quote the value?)";
  return message;
}

// The only function that calls yaml-cpp's parser and catches its exceptions.
ChunkOutcome parse_chunk(std::string_view text) {
  ChunkOutcome outcome;
  if (auto directive = find_directive(text)) {
    outcome.findings.push_back(*std::move(directive));
    return outcome;
  }
  Inspector inspector;
  try {
    // If the input ends with a line break, yaml-cpp does not check that a quoted string was closed:
    // one missing quote would swallow the rest of the file. Without the line break it checks.
    ViewBuffer buffer(text.substr(0, text.find_last_not_of(" \t\r\n") + 1));
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    const bool found = parser.HandleNextDocument(inspector);
    outcome.empty = !found || (!inspector.has_content() && inspector.findings().empty());
    outcome.findings = inspector.findings();
    Inspector rest;
    // yaml-cpp reads "[1] }" as two documents, and YAML::Load would drop the second silently.
    if (found && parser.HandleNextDocument(rest)) {
      YAML::Mark mark;
      mark.line = -1;
      outcome.findings.push_back({mark, "there is text after the end of the document"});
      outcome.empty = false;
    }
    if (outcome.empty || !outcome.findings.empty()) return outcome;
    ViewBuffer again(text);
    std::istream second(&again);
    outcome.root = YAML::Load(second);
  } catch (const StopParsing&) {
    outcome.findings = inspector.findings();
  } catch (const YAML::Exception& broken) {
    outcome.findings = inspector.findings();
    outcome.findings.push_back({broken.mark, "not valid YAML: " + explain(broken.msg)});
  }
  return outcome;
}

YamlFault whole_file(const std::string& name, std::string what) {
  return {.file = name, .line = 0, .column = 0, .what = std::move(what)};
}

}  // namespace

std::string YamlFault::place() const {
  if (line == 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

std::string YamlFault::text() const { return place() + ": " + what; }

std::vector<YamlChunk> split_yaml_documents(std::string_view text) {
  std::vector<YamlChunk> chunks;
  std::size_t start = 0;
  int first_line = 0;
  int line_number = 0;
  const auto cut = [&](std::size_t end) {
    if (end > start) chunks.push_back({text.substr(start, end - start), first_line});
  };
  for (std::size_t at = 0; at < text.size(); ++line_number) {
    const std::size_t newline = text.find('\n', at);
    const std::size_t next = newline == std::string_view::npos ? text.size() : newline + 1;
    const std::string_view line =
        text.substr(at, (newline == std::string_view::npos ? next : newline) - at);
    if (is_marker(line, "---")) {
      cut(at);
      start = at;
      first_line = line_number;
    } else if (is_marker(line, "...")) {
      cut(at);
      start = next;
      first_line = line_number + 1;
    }
    at = next;
  }
  cut(text.size());
  return chunks;
}

YamlFile load_yaml_text(std::string_view text, const std::string& name, const YamlLimits& limits) {
  YamlFile file;
  if (text.size() > limits.max_bytes) {
    file.faults.push_back(whole_file(name, too_long(limits.max_bytes)));
    return file;
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (const auto bad = find_bad_text(text)) {
    file.faults.push_back(
        {.file = name, .line = bad->line, .column = bad->column, .what = bad->what});
    return file;
  }
  int index = 0;
  for (const YamlChunk& chunk : split_yaml_documents(text)) {
    ChunkOutcome outcome = parse_chunk(chunk.text);
    if (outcome.empty) continue;
    if (++index > 1 && !limits.multiple_documents) {
      file.faults.push_back({.file = name,
                             .line = chunk.first_line + 1,
                             .column = 1,
                             .what = "a second document (---): only one is allowed here"});
      break;
    }
    for (Inspector::Finding& finding : outcome.findings) {
      // A finding without a position is reported at the first line of the document.
      const int line = finding.mark.line < 0 ? 0 : finding.mark.line;
      file.faults.push_back({.file = name,
                             .line = chunk.first_line + line + 1,
                             .column = (finding.mark.column < 0 ? 0 : finding.mark.column) + 1,
                             .what = std::move(finding.what)});
    }
    if (outcome.root) {
      file.documents.push_back(
          {.root = *outcome.root, .first_line = chunk.first_line, .index = index});
    }
  }
  return file;
}

YamlFile load_yaml_file(const std::string& path, const YamlLimits& limits) {
  FileText read = read_file(path, limits.max_bytes);
  if (!read.fault.empty()) {
    YamlFile file;
    file.faults.push_back(whole_file(path, std::move(read.fault)));
    return file;
  }
  return load_yaml_text(read.text, path, limits);
}

}  // namespace config
