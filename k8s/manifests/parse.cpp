// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/parse.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "k8s/decode/decode.hpp"
#include "k8s/decode/values.hpp"
#include "k8s/manifests/json.hpp"

namespace k8s {
namespace {

namespace json = boost::json;

// A kind or version from a file, safe for a log line: quoted unless it is a plain word.
std::string shown(std::string_view word) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '/' || c == '-';
  };
  const bool plain = word.size() <= 80 && std::all_of(word.begin(), word.end(), is_plain);
  return plain ? std::string(word) : quoted(word);
}

// The value of object[field]; null if it is absent or JSON null.
const json::value* member(const json::object& object, std::string_view field) {
  const json::value* value = object.if_contains(field);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

const json::object* section_of(const json::object& object, std::string_view field) {
  const json::value* value = member(object, field);
  return value != nullptr ? value->if_object() : nullptr;
}

std::string_view text_at(const json::object& object, std::string_view field) {
  const json::value* value = member(object, field);
  const json::string* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string_view(*text) : std::string_view();
}

// A fault in a field that k8s/decode does not read. It costs that field, or the whole object.
struct FieldFault {
  std::string field;
  std::string reason;
  bool costs_object = false;
};
using FieldFaults = std::vector<FieldFault>;

// The decoder reads only the labels and annotations we use; kubectl checks the type of all of them.
void check_words(const json::object& root, FieldFaults& faults) {
  const json::object* meta = section_of(root, "metadata");
  for (const char* field : {"labels", "annotations"}) {
    const json::object* words = meta != nullptr ? section_of(*meta, field) : nullptr;
    if (words == nullptr) continue;
    for (const json::key_value_pair& word : *words) {
      if (word.value().is_string() || word.value().is_null()) continue;
      faults.push_back({"metadata." + std::string(field) + "[" + shown(word.key()) + "]",
                        shown(json::serialize(word.value())) + " is not a string (quote it)"});
    }
  }
}

json::object without_wrong_words(json::object root) {
  for (const char* field : {"labels", "annotations"}) {
    json::value* meta = root.if_contains("metadata");
    if (meta == nullptr || !meta->is_object()) continue;
    json::value* words = meta->as_object().if_contains(field);
    if (words == nullptr || !words->is_object()) continue;
    json::object right;
    for (json::key_value_pair& word : words->as_object()) {
      if (word.value().is_string()) right.emplace(word.key(), std::move(word.value()));
    }
    *words = std::move(right);
  }
  return root;
}

// ------------------------------------------------------------------ fields not in the typed object

void read_families(const json::object& spec, ManifestExtras<Service>& extras, FieldFaults& faults) {
  const json::value* families = member(spec, "ipFamilies");
  if (families == nullptr) return;
  const json::array* list = families->if_array();
  if (list == nullptr) return faults.push_back({"spec.ipFamilies", "is not a list"});
  for (const json::value& family : *list) {
    const bool is_v4 = family == "IPv4";
    const IpFamily read = is_v4 ? IpFamily::kIpv4 : IpFamily::kIpv6;
    const auto& before = extras.families;
    if (!is_v4 && family != "IPv6") {
      faults.push_back({"spec.ipFamilies", "must contain only IPv4 and IPv6"});
    } else if (std::find(before.begin(), before.end(), read) != before.end()) {
      faults.push_back({"spec.ipFamilies", "has a family twice"});
    } else {
      extras.families.push_back(read);
    }
  }
}

void complete(const json::object& root, Service&, ManifestExtras<Service>& extras,
              FieldFaults& faults) {
  const json::object* spec = section_of(root, "spec");
  if (spec == nullptr) return;
  const std::string_view policy = text_at(*spec, "ipFamilyPolicy");
  if (policy == "PreferDualStack") {
    extras.family_policy = FamilyPolicy::kPreferDualStack;
  } else if (policy == "RequireDualStack") {
    extras.family_policy = FamilyPolicy::kRequireDualStack;
  } else if (policy != "SingleStack" && member(*spec, "ipFamilyPolicy") != nullptr) {
    faults.push_back(
        {"spec.ipFamilyPolicy", "must be SingleStack, PreferDualStack or RequireDualStack"});
  }
  if (const json::value* wanted = member(*spec, "allocateLoadBalancerNodePorts")) {
    if (wanted->is_bool()) {
      extras.allocate_node_ports = wanted->get_bool();
    } else {
      faults.push_back({"spec.allocateLoadBalancerNodePorts", "must be true or false"});
    }
  }
  read_families(*spec, extras, faults);
}

void complete(const json::object& root, Pod& pod, ManifestExtras<Pod>& extras,
              FieldFaults& faults) {
  const json::object* spec = section_of(root, "spec");
  if (const json::value* grace =
          spec != nullptr ? member(*spec, "terminationGracePeriodSeconds") : nullptr) {
    const std::int64_t* seconds = grace->if_int64();
    if (seconds != nullptr && *seconds >= 0 && *seconds <= INT32_MAX) {
      extras.grace_seconds = static_cast<std::uint32_t>(*seconds);
    } else {
      faults.push_back({"spec.terminationGracePeriodSeconds", "is not a number of seconds"});
    }
  }
  if (pod.pod_ips.empty()) {
    faults.push_back({"status.podIP", "missing, and no kubelet assigns one here", true});
  }
  const json::object* status = section_of(root, "status");
  if (status == nullptr || member(*status, "phase") == nullptr) pod.phase = PodPhase::kRunning;
  if (status == nullptr || member(*status, "conditions") == nullptr) {
    pod.ready = pod.phase == PodPhase::kRunning || pod.phase == PodPhase::kUnknown;
  }
}

template <typename T>
void complete(const json::object&, T&, ManifestExtras<T>&, FieldFaults&) {}

// ------------------------------------------------------------------ one document

template <typename T>
inline constexpr std::string_view kApiVersion = "v1";
template <>
inline constexpr std::string_view kApiVersion<EndpointSlice> = "discovery.k8s.io/v1";

template <typename T>
inline constexpr bool kNamespaced = true;
template <>
inline constexpr bool kNamespaced<Node> = false;

// "discovery.k8s.io" of "discovery.k8s.io/v1", "" of "v1".
std::string_view group_of(std::string_view api_version) {
  const std::size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
}

// Of an API server such EndpointSlices are not requested (k8s/watch/cluster_source.cpp).
bool is_of_headless_service(const json::object& root) {
  const json::object* meta = section_of(root, "metadata");
  const json::object* labels = meta != nullptr ? section_of(*meta, "labels") : nullptr;
  return labels != nullptr && labels->contains("service.kubernetes.io/headless");
}

class Reader {
 public:
  explicit Reader(bool headless) : headless_(headless) {}

  void take(ManifestDocument document) {
    if (document.root.is_null()) return;
    json::object* root = document.root.if_object();
    if (root == nullptr) return lose(document.line, "this document is not an object");
    const std::string_view kind = text_at(*root, "kind");
    if (kind == "List") return take_list(*root, {}, {}, document);
    for (const ListKind& list : kListKinds) {
      if (kind == list.kind) return take_list(*root, list.item_kind, list.item_version, document);
    }
    take_object(*root, document.line);
  }

  void lose(int line, std::string what) {
    parsed_.incomplete = true;
    parsed_.faults.push_back({.kind = "manifest",
                              .line = line,
                              .what = std::move(what),
                              .object = {},
                              .hides_objects = true});
  }

  void warn(int line, std::string what) {
    parsed_.faults.push_back(
        {.kind = "manifest", .line = line, .what = std::move(what), .object = {}});
  }

  ParsedManifest finish() { return std::move(parsed_); }

 private:
  // As `kubectl get --raw` prints them: the items have no kind of their own.
  struct ListKind {
    std::string_view kind;
    std::string_view item_kind;
    std::string_view item_version;
  };
  static constexpr ListKind kListKinds[] = {
      {"ServiceList", kKindName<Service>, kApiVersion<Service>},
      {"PodList", kKindName<Pod>, kApiVersion<Pod>},
      {"NodeList", kKindName<Node>, kApiVersion<Node>},
      {"EndpointSliceList", kKindName<EndpointSlice>, kApiVersion<EndpointSlice>},
  };

  void take_list(json::object& root, std::string_view kind, std::string_view api_version,
                 const ManifestDocument& document) {
    json::value* items = root.if_contains("items");
    if (items == nullptr || items->is_null()) return;
    json::array* list = items->if_array();
    if (list == nullptr) return lose(document.line, "kind List: items: is not a list");
    for (std::size_t i = 0; i < list->size(); ++i) {
      const int line = i < document.item_lines.size() ? document.item_lines[i] : document.line;
      json::object* item = (*list)[i].if_object();
      if (item == nullptr) {
        lose(line, "items[" + std::to_string(i) + "] is not an object");
        continue;
      }
      if (!kind.empty()) {
        item->emplace("kind", kind);
        item->emplace("apiVersion", api_version);
      }
      take_object(*item, line);
      (*list)[i] = nullptr;  // free the memory of a long list progressively
    }
  }

  void take_object(json::object& root, int line) {
    const std::string_view kind = text_at(root, "kind");
    const std::string_view api_version = text_at(root, "apiVersion");
    if (kind.empty()) return lose(line, "kind: missing");
    const bool used = take_as<Service>(kind, api_version, root, line) ||
                      take_as<Pod>(kind, api_version, root, line) ||
                      take_as<Node>(kind, api_version, root, line) ||
                      take_as<EndpointSlice>(kind, api_version, root, line);
    if (used || kind == "Namespace") return;
    const std::string_view group = group_of(api_version);
    parsed_.faults.push_back({.kind = "manifest",
                              .line = line,
                              .what = "kind " + shown(kind) +
                                      (group.empty() ? "" : " of " + shown(api_version)) +
                                      " is not used here: skipped",
                              .object = {}});
  }

  // False if it is another kind, or a kind of that name in another API group.
  template <typename T>
  bool take_as(std::string_view kind, std::string_view api_version, json::object& root, int line) {
    if (kind != kKindName<T>) return false;
    if (!api_version.empty() && group_of(api_version) != group_of(kApiVersion<T>)) return false;
    const std::optional<ObjectKey> key = identify<T>(root, line);
    if (!key) return true;
    if (std::is_same_v<T, EndpointSlice> && !headless_ && is_of_headless_service(root)) return true;
    if (api_version != kApiVersion<T>) {
      refuse<T>(
          *key, line,
          "apiVersion: " + std::string(kApiVersion<T>) + " is needed, not " + quoted(api_version));
      return true;
    }
    take_known<T>(*key, root, line);
    return true;
  }

  // The object's key, with a default namespace; nullopt if it has no valid name.
  template <typename T>
  std::optional<ObjectKey> identify(json::object& root, int line) {
    json::value* meta_value = root.if_contains("metadata");
    json::object* meta = meta_value != nullptr ? meta_value->if_object() : nullptr;
    if (meta == nullptr) {
      lose(line, std::string(kKindName<T>) + ": metadata: missing");
      return std::nullopt;
    }
    const std::string_view name = text_at(*meta, "name");
    if (!is_dns_subdomain(name)) {
      const json::value* given = member(*meta, "name");
      const std::string why = given == nullptr      ? "missing"
                              : !given->is_string() ? "is not a string (quote it)"
                                                    : quoted(name) + " is not a DNS name";
      lose(line, std::string(kKindName<T>) + ": metadata.name: " + why);
      return std::nullopt;
    }
    if (!kNamespaced<T>) {
      meta->erase("namespace");
      return ObjectKey{{}, std::string(name)};
    }
    const json::value* ns = member(*meta, "namespace");
    if (ns == nullptr || (ns->is_string() && ns->get_string().empty())) {
      const std::string kept(name);  // inserting may move the text that `name` refers to
      (*meta)["namespace"] = "default";
      return ObjectKey{"default", kept};
    }
    if (!is_dns_label(text_at(*meta, "namespace"))) {
      lose(line, name_of<T>({{}, std::string(name)}) + ": metadata.namespace: is not a DNS name");
      return std::nullopt;
    }
    return ObjectKey{std::string(ns->get_string()), std::string(name)};
  }

  template <typename T>
  void take_known(const ObjectKey& key, const json::object& root, int line) {
    FieldFaults words;
    check_words(root, words);
    // The decoder reads what is left: it names one fault, and these are named each.
    Decoded<T> decoded =
        decode_object<T>(json::serialize(words.empty() ? root : without_wrong_words(root)));
    if (!decoded.fault.reason.empty()) {
      const std::string& field = decoded.fault.field;
      return refuse<T>(key, line, (field.empty() ? "" : field + ": ") + decoded.fault.reason);
    }
    FieldFaults faults;
    const DecodeFault& left_out = decoded.left_out;
    if (!left_out.reason.empty()) faults.push_back({left_out.field, left_out.reason});
    faults.insert(faults.end(), words.begin(), words.end());
    auto entry = std::make_shared<ManifestEntry<T>>();
    entry->object = std::move(decoded.object);
    entry->line = line;
    complete(root, entry->object, entry->extras, faults);
    for (const FieldFault& fault : faults) {
      const std::string what = fault.field + ": " + fault.reason;
      if (fault.costs_object) return refuse<T>(key, line, what);
    }
    for (const FieldFault& fault : faults) note<T>(key, line, fault);
    parsed_.of<T>().entries.push_back(std::move(entry));
  }

  template <typename T>
  void note(const ObjectKey& key, int line, const FieldFault& fault) {
    parsed_.faults.push_back(
        {.kind = "decode",
         .line = line,
         .what = name_of<T>(key) + ": " + fault.field + ": " + fault.reason + ": left out",
         .object = {},
         .about = name_of<T>(key)});
  }

  template <typename T>
  void refuse(const ObjectKey& key, int line, const std::string& what) {
    parsed_.of<T>().refused.push_back(key);
    parsed_.faults.push_back({.kind = "decode",
                              .line = line,
                              .what = name_of<T>(key) + ": " + what,
                              .object = name_of<T>(key),
                              .about = name_of<T>(key)});
  }

  const bool headless_;
  ParsedManifest parsed_;
};

}  // namespace

bool is_manifest_name(std::string_view file_name) {
  return !file_name.starts_with('.') &&
         (file_name.ends_with(".yaml") || file_name.ends_with(".yml") ||
          file_name.ends_with(".json"));
}

ManifestFormat format_of(std::string_view file_name) {
  return file_name.ends_with(".json") ? ManifestFormat::kJson : ManifestFormat::kYaml;
}

ParsedManifest parse_manifest(std::string_view text, ManifestFormat format,
                              const std::atomic<bool>* stop, bool headless) {
  Reader reader(headless);
  const DocumentHandlers handlers{
      .on_document =
          [&](ManifestDocument document) {
            if (stop == nullptr || !stop->load()) reader.take(std::move(document));
          },
      .on_fault = [&](DocumentFault fault) { reader.lose(fault.line, std::move(fault.what)); },
      .on_warning = [&](DocumentFault fault) { reader.warn(fault.line, std::move(fault.what)); },
      .stop = stop};
  if (format == ManifestFormat::kJson) {
    read_json_documents(text, handlers);
  } else {
    read_yaml_documents(text, handlers);
  }
  return reader.finish();
}

}  // namespace k8s
