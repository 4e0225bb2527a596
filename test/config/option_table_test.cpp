// SPDX-License-Identifier: Apache-2.0
//
// Every option, given what it cannot be, answers with its place and with what is allowed.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/file.hpp"
#include "config/ignored_options.hpp"
#include "config/options.hpp"
#include "config/parse.hpp"
#include "config/validate.hpp"
#include "config/yaml.hpp"

namespace {

using namespace config;

const std::string kOurs = "apiVersion: kube-ipvs.io/v1alpha1\nkind: KubeIpvsConfiguration\n";
const std::string kProxys =
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

// Any text is a name or a path, without control characters.
const std::set<std::string_view> kAnyText = {"kubeconfig",
                                             "master",
                                             "manifests",
                                             "service-proxy-name",
                                             "kube-api-content-type",
                                             "run-dir",
                                             "write-config-to",
                                             "hostname-override",
                                             ""};

// Kinds of garbage: a word, empty, out of range on either side, very long, a control character,
// what YAML 1.1 reads as a number or a boolean.
std::vector<std::string> garbage() {
  return {"banana", "",     "-1", "99999999999999999999", std::string(5000, 'x'),
          "a\tb",   "0x10", "yes"};
}

// What a message says is allowed, in one of these ways.
bool says_what_is_allowed(const std::string& text) {
  constexpr std::array<std::string_view, 18> kWays{"such as",
                                                   "one of: ",
                                                   "must be ",
                                                   " from ",
                                                   "at most ",
                                                   "neither true",
                                                   "known: ",
                                                   "is not NAME=true",
                                                   "1.19 to 1.36",
                                                   "write ",
                                                   "lower-case",
                                                   "must not contain",
                                                   "0s or more",
                                                   "1-15 ",
                                                   "use h, m, s",
                                                   "prefix length must be 0-",
                                                   "a value is missing",
                                                   "(0-65535)"};
  return std::any_of(kWays.begin(), kWays.end(),
                     [&](std::string_view way) { return text.find(way) != std::string::npos; });
}

Environment node_a() {
  Environment environment;
  environment.host_name = "node-a";
  return environment;
}

// `command`: "" for none.
std::vector<Fault> faults_of_line(const std::string& word, std::string_view command = {}) {
  const std::string name(command);
  std::vector<const char*> argv{"kube-ipvs", word.c_str()};
  if (!name.empty()) argv.push_back(name.c_str());
  return parse(static_cast<int>(argv.size()), argv.data(), node_a()).faults;
}

// Without the command line, which takes most of the time.
std::vector<Fault> faults_of_file(const std::string& text) {
  const Settings settings = read_file(load_yaml_text(text, "f"), "f");
  return apply_and_validate({settings}, {.host_name = "node-a"}).faults;
}

// The key's value, in the file: "a: {b: VALUE}".
std::string entry(std::string_view key, const std::string& value) {
  const std::size_t dot = key.find('.');
  if (dot == std::string_view::npos) return std::string(key) + ": " + value;
  return std::string(key.substr(0, dot)) + ": {" + entry(key.substr(dot + 1), value) + "}";
}

std::string quoted_yaml(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '\t' ? std::string("\\t") : std::string(1, c);
  return out + "\"";
}

void check(const std::vector<Fault>& faults, const std::string& place, const std::string& name) {
  for (const Fault& fault : faults) {
    CAPTURE(fault.text());
    CHECK(fault.where.starts_with(place));
    CHECK((name.empty() || fault.what.find(name) != std::string::npos));
    CHECK(says_what_is_allowed(fault.what));
    CHECK(fault.what.size() < 400);
  }
}

}  // namespace

TEST_CASE("each flag answers garbage with its name and what is allowed (18.2)") {
  for (const Option& option : options()) {
    if (option.flag.empty() || option.set == nullptr) continue;
    const std::string name = "--" + std::string(option.flag);
    bool refuses = false;
    for (const std::string& text : garbage()) {
      const auto faults = faults_of_line(name + "=" + text, option.command);
      check(faults, "--", "");
      refuses = refuses || !faults.empty();
    }
    CAPTURE(name);
    const bool is_command = option.flag == "cleanup";  // asks for no valid configuration
    CHECK((refuses || is_command));
  }
  for (const IgnoredOption& option : ignored_options()) {
    if (option.flag.empty() || option.type == IgnoredType::kAny) continue;
    const std::string name = "--" + std::string(option.flag);
    const auto faults = faults_of_line(name + "=banana");
    REQUIRE(faults.size() == 1);
    check(faults, name, "");
  }
}

TEST_CASE("each key answers garbage with its place and what is allowed (18.2)") {
  const auto check_key = [](const std::string& kind, std::string_view key, bool is_text) {
    if (key.empty()) return;
    const std::string name(key);
    bool refuses = false;
    std::vector<std::string> values = {"[a, [b]]", "{a: {b: c}}", "!!str 5 "};
    for (const std::string& text : garbage()) values.push_back(quoted_yaml(text));
    for (const char* text : {"banana", "-1", "99999999999999999999", "0x10", "yes", "1.5"})
      values.push_back(text);
    for (const std::string& value : values) {
      const auto faults = faults_of_file(kind + entry(key, value) + "\n");
      check(faults, "f:3:", name);
      refuses = refuses || !faults.empty();
    }
    CAPTURE(name, is_text);
    CHECK(refuses);
  };
  for (const Option& option : options()) {
    const bool is_text = kAnyText.contains(option.flag);
    check_key(kProxys, option.key, is_text);
    check_key(kOurs, option.key, is_text);
    check_key(kOurs, option.own_key, is_text);
  }
  for (const IgnoredOption& option : ignored_options()) {
    if (option.type != IgnoredType::kAny) check_key(kProxys, option.key, false);
  }
}

TEST_CASE("all faults of a file are reported at once, each at its place (18.2)") {
  std::string text = kProxys;
  std::size_t expected = 0;
  std::set<std::string> sections;
  for (const Option& option : options()) {
    if (option.key.empty() || option.key.find('.') != std::string_view::npos) continue;
    if (kAnyText.contains(option.flag)) continue;
    text += entry(option.key, "{a: {b: c}}") + "\n";
    ++expected;
  }
  for (const IgnoredOption& option : ignored_options()) {
    if (option.key.empty() || option.key.find('.') != std::string_view::npos) continue;
    if (option.type == IgnoredType::kAny) continue;
    text += entry(option.key, "[]") + "\n";
    ++expected;
  }
  REQUIRE(expected >= 15);
  const auto faults = faults_of_file(text);
  CHECK(faults.size() == expected);
  std::set<std::string> places;
  for (const Fault& fault : faults) places.insert(fault.where);
  CHECK(places.size() == faults.size());
}

TEST_CASE("each value that a shell completes is accepted, and there are some (19.3)") {
  std::size_t with_values = 0;
  for (const Option& option : options()) {
    if (option.words == nullptr) continue;
    ++with_values;
    for (const std::string_view word : option.words()) {
      CAPTURE(option.flag, word);
      Config config;
      CHECK(option.set(config, word).empty());
      CHECK(option.get(config) == word);
    }
  }
  CHECK(with_values == 9);
}
