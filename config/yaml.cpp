// SPDX-License-Identifier: Apache-2.0
#include "config/yaml.hpp"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <istream>
#include <optional>
#include <streambuf>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "config/read_file.hpp"
#include "config/utf8.hpp"

namespace config {
namespace {

constexpr std::size_t kMaxDepth = 32;
// An alias costs nothing to write; reading what it stands for takes time.
constexpr std::size_t kMaxAliasedValues = 100'000;
constexpr std::size_t kMaxMerges = 256;
// Keeps one broken document from filling the log.
constexpr std::size_t kMaxFaultsPerDocument = 32;

// Thrown by the event handler below to stop yaml-cpp's recursive parser; caught in this file.
struct StopParsing {};

constexpr std::string_view kMergeKey = "<<";
constexpr std::string_view kCoreTag = "tag:yaml.org,2002:";  // !!str is "...:str"

bool is_stopped(const std::atomic<bool>* stop) {
  return stop != nullptr && stop->load(std::memory_order_relaxed);
}

// Whether the line is a document marker, `---` or `...`, followed by a blank or nothing. In YAML
// these are markers at column 0 everywhere, even inside block scalars, so splitting the text here
// never splits a value.
bool is_marker(std::string_view line, std::string_view marker) {
  if (!line.starts_with(marker)) return false;
  return line.size() == marker.size() || line[marker.size()] == ' ' ||
         line[marker.size()] == '\t' || line[marker.size()] == '\r';
}

// Reads a document's events before its tree is built: refuses what yaml.hpp lists, and notes what
// is left to put right in the tree.
class Inspector final : public YAML::EventHandler {
 public:
  explicit Inspector(const std::atomic<bool>* stop) : stop_(stop) {}

  struct Finding {
    YAML::Mark mark;
    std::string what;
  };

  const std::vector<Finding>& findings() const { return findings_; }
  const std::vector<Finding>& warnings() const { return warnings_; }
  // Whether the tree has equal keys or merge keys.
  bool needs_repair() const { return needs_repair_; }
  // Whether the document has anything except comments and null.
  bool has_content() const { return has_content_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    count(mark);
    if (anchor != 0) anchored_[anchor] = {.values = 1, .depth = 0};
    if (frames_.empty()) return;
    if (!at_key()) return value_done();
    refuse(mark, "a key is missing before \":\"");
    frames_.back().expects_key = false;
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    has_content_ = true;
    const auto target = anchored_.find(anchor);
    if (target == anchored_.end()) {
      refuse(mark, "an alias of a value that contains it");
      throw StopParsing{};
    }
    aliased_ += target->second.values;
    values_ += target->second.values;
    if (aliased_ > kMaxAliasedValues) {
      refuse(mark, "aliases stand for more than " + std::to_string(kMaxAliasedValues) + " values");
      throw StopParsing{};
    }
    check_depth(mark, frames_.size() + target->second.depth);
    for (Frame& frame : frames_) {
      frame.depth = std::max(frame.depth, frames_.size() + target->second.depth);
    }
    if (at_key()) {
      refuse(mark, "an alias as a key");
      frames_.back().expects_key = false;
    } else {
      value_done();
    }
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    has_content_ = true;
    count(mark);
    if (anchor != 0) anchored_[anchor] = {.values = 1, .depth = 0};
    refuse_tag(mark, tag);
    if (at_key()) {
      take_key(mark, tag, value);
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
    YAML::anchor_t anchor = 0;
    std::size_t values_before = 0;  // the value of values_ when it was opened
    std::size_t depth = 0;          // of the deepest value inside
  };
  // What an anchor stands for.
  struct Extent {
    std::size_t values = 0;
    std::size_t depth = 0;
  };

  bool at_key() const {
    return !frames_.empty() && frames_.back().is_map && frames_.back().expects_key;
  }

  void value_done() {
    if (!frames_.empty() && frames_.back().is_map) frames_.back().expects_key = true;
  }

  void take_key(const YAML::Mark& mark, const std::string& tag, const std::string& key) {
    const bool is_merge = key == kMergeKey && tag == "?";
    needs_repair_ = needs_repair_ || is_merge;
    if (is_merge && ++merges_ > kMaxMerges) {
      refuse(mark, "more than " + std::to_string(kMaxMerges) + " merge keys (<<)");
      throw StopParsing{};
    }
    if (!is_merge && !frames_.back().keys.insert(key).second) take_duplicate(mark, key);
    frames_.back().expects_key = false;
  }

  // Few: removing one from the tree takes time in proportion to its map.
  void take_duplicate(const YAML::Mark& mark, const std::string& key) {
    needs_repair_ = true;
    if (warnings_.size() == kMaxFaultsPerDocument) {
      refuse(mark, "more than " + std::to_string(kMaxFaultsPerDocument) + " duplicate keys");
      throw StopParsing{};
    }
    warnings_.push_back({mark, "duplicate key \"" + key + "\": the last one counts"});
  }

  void count(const YAML::Mark&) {
    ++values_;
    if (is_stopped(stop_)) throw StopParsing{};
  }
  void check_depth(const YAML::Mark& mark, std::size_t depth) {
    if (depth <= kMaxDepth) return;
    refuse(mark, "nested deeper than " + std::to_string(kMaxDepth) + " levels");
    throw StopParsing{};
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, bool is_map) {
    has_content_ = true;
    count(mark);
    refuse_tag(mark, tag);
    if (at_key()) {
      refuse(mark, "a key must be a single word or string");
      throw StopParsing{};
    }
    check_depth(mark, frames_.size() + 1);
    frames_.push_back({.is_map = is_map,
                       .expects_key = is_map,
                       .keys = {},
                       .anchor = anchor,
                       .values_before = values_ - 1,
                       .depth = frames_.size() + 1});
  }
  void close() {
    const Frame closed = std::move(frames_.back());
    frames_.pop_back();
    if (!frames_.empty()) frames_.back().depth = std::max(frames_.back().depth, closed.depth);
    if (closed.anchor != 0) {
      anchored_[closed.anchor] = {.values = values_ - closed.values_before,
                                  .depth = closed.depth - frames_.size()};
    }
    value_done();
  }

  // yaml-cpp reports "?" for an untagged plain value and "!" for an untagged quoted one. The tags
  // of YAML itself (!!str, !!int) are accepted.
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    const bool known = tag.empty() || tag == "?" || tag == "!" || tag.starts_with(kCoreTag);
    if (!known) refuse(mark, "tags (!type) are not supported");
  }
  void refuse(const YAML::Mark& mark, std::string what) {
    findings_.push_back({mark, std::move(what)});
    if (findings_.size() == kMaxFaultsPerDocument) throw StopParsing{};
  }

  const std::atomic<bool>* stop_;
  std::vector<Frame> frames_;
  std::vector<Finding> findings_;
  std::vector<Finding> warnings_;
  std::unordered_map<YAML::anchor_t, Extent> anchored_;  // complete ones
  std::size_t values_ = 0;   // so far, with those that aliases stand for
  std::size_t aliased_ = 0;  // only those
  std::size_t merges_ = 0;
  bool needs_repair_ = false;
  bool has_content_ = false;
};

// Adds to `map` what the value of a merge key has and the map has not.
void merge_into(YAML::Node map, const YAML::Node& from) {
  if (from.IsSequence()) {
    for (const YAML::Node& one : from) merge_into(map, one);
    return;
  }
  if (!from.IsMap()) return;
  std::unordered_set<std::string> known;
  for (const auto& own : map) known.insert(own.first.Scalar());
  for (const auto& pair : from) {
    if (known.insert(pair.first.Scalar()).second) map.force_insert(pair.first, pair.second);
  }
}

// Gives the tree the meaning that Go's reader finds: the last of equal keys, and merged maps. A
// node that several aliases share is repaired once; after that it has nothing to repair.
void repair(YAML::Node node) {
  if (node.IsSequence()) {
    for (const YAML::Node& element : node) repair(element);
  }
  if (!node.IsMap()) return;
  std::vector<std::pair<YAML::Node, YAML::Node>> entries;
  std::vector<YAML::Node> merges;
  for (const auto& pair : node) entries.emplace_back(pair.first, pair.second);
  std::unordered_map<std::string, std::size_t> last;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    repair(entries[i].second);
    if (entries[i].first.Scalar() == kMergeKey && !is_yaml_text(entries[i].first)) {
      merges.push_back(entries[i].second);
      node.remove(entries[i].first);
    } else if (const auto [place, is_new] = last.try_emplace(entries[i].first.Scalar(), i);
               !is_new) {
      node.remove(entries[place->second].first);
      place->second = i;
    }
  }
  for (const YAML::Node& from : merges) merge_into(node, from);
}

// Reads `text` without a copy; YAML::Load(std::string) and istringstream would each make one.
// Gives it out in pieces, so that reading can be stopped between them.
class ViewBuffer final : public std::streambuf {
 public:
  ViewBuffer(std::string_view text, const std::atomic<bool>* stop) : rest_(text), stop_(stop) {}

 private:
  int_type underflow() override {
    constexpr std::size_t kPiece = 16'384;
    if (rest_.empty() || is_stopped(stop_)) return traits_type::eof();
    // The get area is never written to: streambuf has no const form.
    char* begin = const_cast<char*>(rest_.data());
    const std::size_t size = std::min(kPiece, rest_.size());
    setg(begin, begin, begin + size);
    rest_.remove_prefix(size);
    return traits_type::to_int_type(*begin);
  }

  std::string_view rest_;
  const std::atomic<bool>* stop_;
};

// The result for one chunk.
struct ChunkOutcome {
  bool empty = false;
  std::optional<YAML::Node> root;
  std::vector<Inspector::Finding> findings;
  std::vector<Inspector::Finding> warnings;
};

// yaml-cpp skips a %YAML or %TAG line; and the split separates it from its document. What %YAML
// says changes nothing here; %TAG would.
std::optional<Inspector::Finding> find_directive(std::string_view text) {
  int line_number = 0;
  for (std::size_t at = 0; at < text.size(); ++line_number) {
    if (text[at] == '%' && !text.substr(at).starts_with("%YAML ")) {
      YAML::Mark mark;
      mark.line = line_number;
      return Inspector::Finding{mark, "directives (%TAG) are not supported"};
    }
    if (text[at] == '%') {
      const std::size_t newline = text.find('\n', at);
      if (newline == std::string_view::npos) return std::nullopt;
      at = newline + 1;
      continue;
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
ChunkOutcome parse_chunk(std::string_view text, const std::atomic<bool>* stop) {
  ChunkOutcome outcome;
  if (auto directive = find_directive(text)) {
    outcome.findings.push_back(*std::move(directive));
    return outcome;
  }
  Inspector inspector(stop);
  try {
    // If the input ends with a line break, yaml-cpp does not check that a quoted string was closed:
    // one missing quote would swallow the rest of the file. Without the line break it checks.
    ViewBuffer buffer(text.substr(0, text.find_last_not_of(" \t\r\n") + 1), stop);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    const bool found = parser.HandleNextDocument(inspector);
    outcome.empty = !found || (!inspector.has_content() && inspector.findings().empty());
    outcome.findings = inspector.findings();
    outcome.warnings = inspector.warnings();
    Inspector rest(stop);
    // yaml-cpp reads "[1] }" as two documents, and YAML::Load would drop the second silently.
    if (found && parser.HandleNextDocument(rest)) {
      YAML::Mark mark;
      mark.line = -1;
      outcome.findings.push_back({mark, "there is text after the end of the document"});
      outcome.empty = false;
    }
    if (outcome.empty || !outcome.findings.empty()) return outcome;
    ViewBuffer again(text, stop);
    std::istream second(&again);
    outcome.root = YAML::Load(second);
    if (inspector.needs_repair()) repair(*outcome.root);
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

// The finding's position in the file. One without a position is at the first line of its document.
YamlFault in_file(const std::string& name, int first_line, Inspector::Finding&& finding) {
  const int line = finding.mark.line < 0 ? 0 : finding.mark.line;
  const int column = finding.mark.column < 0 ? 0 : finding.mark.column;
  return {.file = name,
          .line = first_line + line + 1,
          .column = column + 1,
          .what = std::move(finding.what)};
}

}  // namespace

std::string YamlFault::place() const {
  if (line == 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

std::string YamlFault::text() const { return place() + ": " + what; }

bool is_yaml_text(const YAML::Node& scalar) {
  return scalar.Tag() == "!" || scalar.Tag() == std::string(kCoreTag) + "str";
}

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
    ChunkOutcome outcome = parse_chunk(chunk.text, limits.stop);
    if (is_stopped(limits.stop)) {
      file.faults.push_back(whole_file(name, "reading was stopped"));
      return file;
    }
    if (outcome.empty) continue;
    if (++index > 1 && !limits.multiple_documents) {
      file.warnings.push_back({.file = name,
                               .line = chunk.first_line + 1,
                               .column = 1,
                               .what = "a second document (---): ignored, the first one counts"});
      break;
    }
    for (Inspector::Finding& finding : outcome.findings) {
      file.faults.push_back(in_file(name, chunk.first_line, std::move(finding)));
    }
    for (Inspector::Finding& finding : outcome.warnings) {
      file.warnings.push_back(in_file(name, chunk.first_line, std::move(finding)));
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
