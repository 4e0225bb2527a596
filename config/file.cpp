// SPDX-License-Identifier: Apache-2.0
#include "config/file.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "config/ignored_options.hpp"
#include "config/values.hpp"

namespace config {
namespace {

// "a.b", or "b" at the top.
std::string join_path(std::string_view section, std::string_view name) {
  return section.empty() ? std::string(name) : std::string(section) + "." + std::string(name);
}

// The first word of `key` below `section`, or "" if `key` is not in that section.
std::string_view word_below(std::string_view section, std::string_view key) {
  if (!section.empty()) {
    if (key.size() <= section.size() || !key.starts_with(section) || key[section.size()] != '.')
      return {};
    key.remove_prefix(section.size() + 1);
  }
  return key.substr(0, key.find('.'));
}

bool is_plain(const YAML::Node& node) { return node.IsScalar() && !is_yaml_text(node); }

// Whether the node has only zero values as Go defines them: null, "", 0, 0s, false, or a tree of
// these. kubeadm writes them for settings that are not set.
bool is_zero(const YAML::Node& node) {
  if (node.IsScalar()) {
    const std::string& value = node.Scalar();
    return value.empty() || value == "0" || value == "0s" || value == "false";
  }
  for (const auto& child : node) {
    if (!is_zero(node.IsMap() ? child.second : child)) return false;
  }
  return true;
}

const IgnoredOption* find_ignored_key(std::string_view path) {
  for (const IgnoredOption& ignored : ignored_options()) {
    if (!ignored.key.empty() && ignored.key == path) return &ignored;
  }
  return nullptr;
}

// What is wrong with the YAML type of a scalar, or "".
std::string type_fault(ValueType type, const YAML::Node& node) {
  switch (type) {
    case ValueType::kFlag:
      if (is_plain(node)) {
        for (const std::string_view word : {"true", "True", "TRUE", "false", "False", "FALSE"}) {
          if (node.Scalar() == word) return {};
        }
      }
      return "must be true or false, not " + quoted(node.Scalar());
    case ValueType::kNumber:
      if (!is_plain(node)) return "must be a number without quotes, not " + quoted(node.Scalar());
      return {};
    case ValueType::kText:
    case ValueType::kList:
    case ValueType::kMap:
      return {};
  }
  return {};
}

class Reader {
 public:
  explicit Reader(const YamlDocument& document, std::string name)
      : name_(std::move(name)), first_line_(document.first_line) {}

  Settings read(const YAML::Node& root) {
    if (!root.IsMap()) {
      fault(root, "the file must be a map of keys");
    } else if (take_kind(root)) {
      take_section(root, "");
    }
    return std::move(settings_);
  }

 private:
  std::string place(const YAML::Node& node) const {
    const YAML::Mark mark = node.Mark();
    return name_ + ":" + std::to_string(first_line_ + mark.line + 1) + ":" +
           std::to_string(mark.column + 1);
  }
  void fault(const YAML::Node& node, std::string what) {
    settings_.faults.push_back({place(node), std::move(what)});
  }
  void warn(const YAML::Node& node, const std::string& what) {
    settings_.warnings.push_back(place(node) + ": " + what);
  }

  bool take_kind(const YAML::Node& root) {
    const auto text_of = [&root](const char* key) {
      const YAML::Node value = root[key];
      return value.IsDefined() && value.IsScalar() ? value.Scalar() : std::string();
    };
    const std::string version = text_of("apiVersion");
    const std::string kind = text_of("kind");
    ours_ = version == kOurApiVersion && kind == kOurKind;
    if (ours_ || (version == kProxyApiVersion && kind == kProxyKind)) return true;
    const auto pair = [](std::string_view a, std::string_view b) {
      return "\"apiVersion: " + std::string(a) + "\" with \"kind: " + std::string(b) + "\"";
    };
    const std::string found = version.empty() && kind.empty() ? "neither" : pair(version, kind);
    fault(root, "must have " + pair(kOurApiVersion, kOurKind) + " or " +
                    pair(kProxyApiVersion, kProxyKind) + ", but has " + found);
    return false;
  }

  void take_section(const YAML::Node& map, const std::string& section) {
    for (const auto& entry : map) {
      const std::string& name = entry.first.Scalar();
      if (section.empty() && (name == "apiVersion" || name == "kind")) continue;
      take_entry(entry.first, entry.second, section, join_path(section, name));
    }
  }

  void take_entry(const YAML::Node& key, const YAML::Node& value, const std::string& section,
                  const std::string& path) {
    if (const Option* option = find_key(path)) return take_value(*option, key, value, path);
    if (const IgnoredOption* ignored = find_ignored_key(path);
        ignored != nullptr && takes_ignored(*ignored)) {
      return take_ignored(*ignored, key, value, path);
    }
    if (is_section(path)) {
      if (value.IsNull()) return;
      if (!value.IsMap()) return fault(value, path + ": must be a map of keys");
      return take_section(value, path);
    }
    explain_unknown(key, section, path);
  }

  void take_ignored(const IgnoredOption& ignored, const YAML::Node& key, const YAML::Node& value,
                    const std::string& path) {
    if (ignored.type != IgnoredType::kAny && !value.IsNull()) {
      const ValueType type = type_of(ignored.type);
      if (!value.IsScalar()) return fault(value, path + ": " + not_a(type, value));
      if (!value.Scalar().empty()) {
        std::string why = type_fault(type, value);
        if (why.empty() && !is_zero(value)) why = fault_of(ignored, value.Scalar());
        if (!why.empty()) return fault(value, path + ": " + why);
      }
    }
    const bool silent = is_zero(value) || (value.IsScalar() && is_silent(ignored, value.Scalar()));
    if (!silent) warn(key, path + ": ignored: " + std::string(ignored.reason));
  }

  static ValueType type_of(IgnoredType type) {
    if (type == IgnoredType::kFlag) return ValueType::kFlag;
    return type == IgnoredType::kNumber ? ValueType::kNumber : ValueType::kText;
  }

  // Ignored keys are accepted in kube-proxy's kind of file; in ours, only those below "ipvs".
  bool takes_ignored(const IgnoredOption& ignored) const {
    return !ours_ || ignored.key.starts_with("ipvs.");
  }

  const Option* find_key(std::string_view path) const {
    for (const Option& option : options()) {
      if (!option.key.empty() && option.key == path) return &option;
      if (ours_ && !option.own_key.empty() && option.own_key == path) return &option;
    }
    return nullptr;
  }

  // Calls `use` with every key that is valid in this kind of file.
  template <typename Use>
  void for_each_key(Use use) const {
    for (const Option& option : options()) {
      if (!option.key.empty()) use(option.key);
      if (ours_ && !option.own_key.empty()) use(option.own_key);
    }
    for (const IgnoredOption& ignored : ignored_options()) {
      if (!ignored.key.empty() && takes_ignored(ignored)) use(ignored.key);
    }
  }

  bool is_section(std::string_view path) const {
    bool found = false;
    for_each_key([&](std::string_view key) { found = found || !word_below(path, key).empty(); });
    return found;
  }

  void explain_unknown(const YAML::Node& key, const std::string& section, const std::string& path) {
    std::vector<std::string_view> known;
    for_each_key([&](std::string_view candidate) {
      const std::string_view word = word_below(section, candidate);
      if (!word.empty()) known.push_back(word);
    });
    std::string what = path + ": unknown key";
    if (const IgnoredOption* ignored = find_ignored_key(path)) {
      what = path + ": this key of kube-proxy does nothing here: " + std::string(ignored->reason);
    } else if (!ours_ && is_own_key(path)) {
      what += " in this kind of file: it is a key of " + std::string(kOurKind);
    } else if (const std::string_view near = nearest(key.Scalar(), known); !near.empty()) {
      what += ": did you mean \"" + std::string(near) + "\"?";
    }
    if (ours_) return fault(key, what);
    warn(key, what + "; ignored");
  }

  static bool is_own_key(std::string_view path) {
    return std::any_of(options().begin(), options().end(),
                       [&](const Option& option) { return option.own_key == path; });
  }

  void take_value(const Option& option, const YAML::Node& key, const YAML::Node& value,
                  const std::string& path) {
    if (value.IsNull()) return;
    if (!ours_ && value.IsScalar() && value.Scalar().empty()) return;
    Setting setting{.option = &option, .where = place(value), .key = path, .items = {}};
    if (value.IsScalar()) {
      take_scalar(option, value, path, setting);
    } else if (option.type == ValueType::kList && value.IsSequence()) {
      take_list(option, value, path, setting);
    } else if (option.type == ValueType::kMap && value.IsMap()) {
      take_map(value, path, setting);
    } else {
      return fault(value, path + ": " + not_a(option.type, value));
    }
    for (const Setting& earlier : settings_.given) {
      if (earlier.option == &option) {
        return fault(key, path + ": already set at " + earlier.where);
      }
    }
    settings_.given.push_back(std::move(setting));
  }

  void take_scalar(const Option& option, const YAML::Node& value, const std::string& path,
                   Setting& setting) {
    if (std::string why = type_fault(option.type, value); !why.empty()) {
      return fault(value, path + ": " + why);
    }
    if (!has_items(option.type)) {
      setting.items.push_back({value.Scalar(), setting.where});
      return;
    }
    for (std::string& item : split_list(value.Scalar())) {
      setting.items.push_back({std::move(item), setting.where});
    }
  }

  void take_list(const Option& option, const YAML::Node& list, const std::string& path,
                 Setting& setting) {
    for (const YAML::Node& item : list) {
      if (item.IsScalar()) {
        setting.items.push_back({item.Scalar(), place(item)});
      } else if (item.IsMap() && !option.item_keys[0].empty()) {
        take_map_item(option, item, path, setting);
      } else {
        fault(item, path + ": must be a list of plain values");
      }
    }
  }

  // {filePattern: A, verbosity: 4} as "A=4".
  void take_map_item(const Option& option, const YAML::Node& item, const std::string& path,
                     Setting& setting) {
    const auto& [first, second] = option.item_keys;
    std::array<std::string, 2> values;
    for (const auto& entry : item) {
      const std::string& key = entry.first.Scalar();
      if ((key != first && key != second) || !entry.second.IsScalar()) {
        return fault(entry.first, path + ": an item must be a map of " + std::string(first) +
                                      " and " + std::string(second) + ", one value each");
      }
      values[key == first ? 0 : 1] = entry.second.Scalar();
    }
    setting.items.push_back({values[0] + "=" + values[1], place(item)});
  }

  void take_map(const YAML::Node& map, const std::string& path, Setting& setting) {
    for (const auto& entry : map) {
      if (entry.second.IsScalar()) {
        setting.items.push_back(
            {entry.first.Scalar() + "=" + entry.second.Scalar(), place(entry.second)});
      } else {
        fault(entry.second, path + ": must be a map of plain values");
      }
    }
  }

  static std::string not_a(ValueType type, const YAML::Node& value) {
    const char* found = value.IsMap() ? "a map" : value.IsSequence() ? "a list" : "a plain value";
    return "must be " + describe(type) + ", not " + found;
  }

  static std::string describe(ValueType type) {
    switch (type) {
      case ValueType::kFlag:
        return "true or false";
      case ValueType::kNumber:
        return "a number";
      case ValueType::kText:
        return "one value";
      case ValueType::kList:
        return "a list";
      case ValueType::kMap:
        return "a map";
    }
    return {};
  }

  std::string name_;
  int first_line_ = 0;
  bool ours_ = false;
  Settings settings_;
};

}  // namespace

Settings read_file(const YamlFile& file, const std::string& name) {
  Settings settings;
  if (!file.documents.empty()) {
    const YamlDocument& document = file.documents.front();
    settings = Reader(document, name).read(document.root);
  } else if (file.faults.empty()) {
    settings.faults.push_back({name, "is empty: apiVersion and kind are required"});
  }
  for (const YamlFault& broken : file.faults)
    settings.faults.push_back({broken.place(), broken.what});
  for (const YamlFault& warning : file.warnings) settings.warnings.push_back(warning.text());
  return settings;
}

}  // namespace config
