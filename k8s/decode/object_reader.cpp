// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/object_reader.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

int clamped(std::int64_t value) {
  return static_cast<int>(std::clamp<std::int64_t>(value, 0, std::numeric_limits<int>::max()));
}

bool is_version_of(std::string_view api_version, std::string_view group) {
  if (group.empty()) return api_version == "v1";
  const auto slash = api_version.find('/');
  if (slash == api_version.npos || api_version.substr(0, slash) != group) return false;
  const auto version = api_version.substr(slash + 1);
  return version == "v1" || version == "v1beta1";
}

}  // namespace

std::string DecodeFault::text() const {
  std::string line = object;
  for (const auto& part : {field, reason}) {
    if (part.empty()) continue;
    if (!line.empty()) line += ": ";
    line += part;
  }
  return line;
}

bool is_known_annotation(std::string_view key) {
  return key.starts_with("kube-ipvs.io/") || key == "kube-router.io/service.scheduler" ||
         key == "endpoints.kubernetes.io/last-change-trigger-time" ||
         key == "k8s.io/initial-events-end" || key == "service.kubernetes.io/topology-mode" ||
         key == "service.kubernetes.io/topology-aware-hints" || key == "service.cilium.io/weight";
}

void take_status_field(ApiStatus& status, SchemaNode node, const Scalar& value) {
  switch (node) {
    case kStatusCode:
      status.code = clamped(value.integer);
      return;
    case kStatusReason:
      status.reason = value.text;
      return;
    case kStatusMessage:
      status.message = value.text;
      return;
    case kRetryAfterSeconds:
      status.retry_after_seconds = clamped(value.integer);
      return;
    default:
      return;
  }
}

Parsed<UnixSeconds> time_of(const Scalar& value) {
  if (value.is_text) return parse_time(value.text);
  // The years 0000 to 9999, as in RFC 3339. Sums with values beyond them could overflow.
  constexpr std::int64_t kFirst = -62'167'219'200;
  constexpr std::int64_t kLast = 253'402'300'799;
  if (value.integer >= kFirst && value.integer <= kLast) return value.integer;
  return Parsed<UnixSeconds>::failed(std::to_string(value.integer) + " s is not a time");
}

void MetaReader::open(SchemaNode node) {
  if (node != doc::kRoot) return;
  clear_refusal();
  kind_.clear();
  api_version_.clear();
  status_ = {};
  start();
}

void MetaReader::close(SchemaNode node) {
  if (node != doc::kRoot) return;
  check_identity();
  complete();
}

void MetaReader::scalar(SchemaNode node, const Scalar& value) {
  Meta& m = meta();
  switch (node) {
    case kKind:
      kind_ = value.text;
      return;
    case kApiVersion:
      api_version_ = value.text;
      return;
    case kName:
      m.key.name = value.text;
      return;
    case kNamespace:
      m.key.ns = value.text;
      return;
    case kUid:
      m.uid = value.text;
      return;
    case kResourceVersion:
      m.resource_version = value.text;
      return;
    case kCreationTimestamp:
      accept(time_of(value), m.creation_timestamp);
      return;
    case kDeletionTimestamp:
      accept(time_of(value), m.deletion_timestamp);
      return;
    case kDeletionGraceSeconds:
      m.deletion_grace_seconds =
          static_cast<std::uint32_t>(std::clamp<std::int64_t>(value.integer, 0, UINT32_MAX));
      return;
    default:
      take_status_field(status_, node, value);
      return;
  }
}

bool MetaReader::wants(SchemaNode node, std::string_view key) {
  if (node == kLabels) return wants_label(key);
  if (node == kAnnotations) return is_known_annotation(key);
  return wants_own(node, key);
}

void MetaReader::entry(SchemaNode node, std::string_view key, std::string_view value) {
  if (node >= kFirstOwn) return entry_own(node, key, value);
  Labels& map = node == kLabels ? meta().labels : meta().annotations;
  if (map.empty()) map.reserve(4);  // most have two to four; growing step by step costs more time
  map.insert_or_assign(std::string(key), std::string(value));
}

// Without these, nobody can say which object it is.
void MetaReader::unreadable(SchemaNode node, const std::string& reason) {
  const bool identifies = node == kKind || node == kApiVersion || node == kMetadata ||
                          node == kName || node == kNamespace;
  if (identifies) refuse(reason);
}

void MetaReader::check_identity() {
  const ObjectKey& key = meta().key;
  if (!kind_.empty() && kind_ != expected_kind_) {
    refuse_field("kind", quoted(kind_) + " where " + std::string(expected_kind_) + " belongs");
  }
  if (!api_version_.empty() && !is_version_of(api_version_, group_)) {
    refuse_field("apiVersion", quoted(api_version_) + " is not served by this reader");
  }
  if (key.name.empty()) {
    refuse_field("metadata.name", "missing");
  } else if (!is_dns_subdomain(key.name)) {
    refuse_field("metadata.name", quoted(key.name) + " is not an object name (RFC 1123 subdomain)");
  }
  if (!key.ns.empty() && !is_dns_label(key.ns)) {
    refuse_field("metadata.namespace", quoted(key.ns) + " is not a namespace (RFC 1123 label)");
  }
}

DecodeFault MetaReader::fault() const { return fault_in(refusal()); }

DecodeFault MetaReader::left_out_fault() const {
  if (!refusal().reason.empty()) return {};
  DecodeFault fault = fault_in(left_out().first);
  if (left_out().count > 1) {
    fault.reason += " (and " + std::to_string(left_out().count - 1) + " more)";
  }
  return fault;
}

DecodeFault MetaReader::fault_in(const doc::Refusal& refusal) const {
  if (refusal.reason.empty()) return {};
  std::string object(expected_kind_);
  const ObjectKey& key = meta().key;
  if (!key.name.empty()) {
    // An invalid name is quoted, so that it is always one line in a log.
    const bool sound = is_dns_subdomain(key.name) && (key.ns.empty() || is_dns_label(key.ns));
    object += ' ' + (sound ? key.text() : quoted(key.text()));
  }
  return {std::move(object), refusal.field, refusal.reason};
}

}  // namespace k8s
