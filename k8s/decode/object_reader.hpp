// SPDX-License-Identifier: Apache-2.0
//
// The common part of the readers of the four kinds: kind, apiVersion and metadata, and the fields
// of a metav1.Status, which a watch may contain in place of an object. Private to k8s/decode.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "k8s/decode/decode.hpp"
#include "k8s/decode/document.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {

using doc::Field;
using doc::FieldType;
using doc::Scalar;
using doc::Schema;
using doc::SchemaNode;

// Nodes of the common part. Each kind numbers its own nodes from kFirstOwn.
enum CommonNode : SchemaNode {
  kKind = 1,
  kApiVersion,
  kMetadata,
  kName,
  kNamespace,
  kUid,
  kResourceVersion,
  kContinue,
  kCreationTimestamp,
  kDeletionTimestamp,
  kDeletionGraceSeconds,
  kLabels,
  kAnnotations,
  kStatusCode,
  kStatusReason,
  kStatusMessage,
  kStatusDetails,
  kRetryAfterSeconds,
  kFirstOwn,
};

// metav1.Status. Its field "status" ("Failure") is left out, because it is an object in all other
// kinds.
inline constexpr std::array kStatusFields{
    Field{doc::kRoot, {"code"}, FieldType::kInteger, kStatusCode},
    Field{doc::kRoot, {"reason"}, FieldType::kString, kStatusReason},
    Field{doc::kRoot, {"message"}, FieldType::kString, kStatusMessage},
    Field{doc::kRoot, {"details"}, FieldType::kObject, kStatusDetails},
    Field{kStatusDetails, {"retryAfterSeconds"}, FieldType::kInteger, kRetryAfterSeconds},
};

// For the kinds about which we write Kubernetes Events.
inline constexpr Field kUidField{kMetadata, {"uid", 5}, FieldType::kString, kUid};

inline constexpr std::array kObjectFields{
    Field{doc::kRoot, {"kind"}, FieldType::kString, kKind},
    Field{doc::kRoot, {"apiVersion"}, FieldType::kString, kApiVersion},
    Field{doc::kRoot, {"metadata", 1}, FieldType::kObject, kMetadata},
    Field{kMetadata, {"name", 1}, FieldType::kString, kName},
    Field{kMetadata, {"namespace", 3}, FieldType::kString, kNamespace},
    Field{kMetadata, {"resourceVersion", 6}, FieldType::kString, kResourceVersion},
    Field{kMetadata, {"creationTimestamp", 8}, FieldType::kTime, kCreationTimestamp},
    Field{kMetadata, {"deletionTimestamp", 9}, FieldType::kTime, kDeletionTimestamp},
    Field{
        kMetadata, {"deletionGracePeriodSeconds", 10}, FieldType::kInteger, kDeletionGraceSeconds},
    Field{kMetadata, {"labels", 11}, FieldType::kMap, kLabels},
    Field{kMetadata, {"annotations", 12}, FieldType::kMap, kAnnotations},
};

// The table of a kind: the common rows and its own.
template <std::size_t N>
constexpr auto object_fields(const std::array<Field, N>& own) {
  return doc::join(doc::join(kObjectFields, kStatusFields), own);
}

// Stores a field of a Status; does nothing at other nodes.
void take_status_field(ApiStatus& status, SchemaNode node, const Scalar& value);

// Seconds since the Unix epoch, from the scalar of a kTime row.
Parsed<UnixSeconds> time_of(const Scalar& value);

// Reads one object: kind, apiVersion and metadata here, the rest in the derived class.
class MetaReader : public doc::Visitor {
 public:
  // A derived class overrides these for its own nodes, and calls these for all others.
  void open(SchemaNode node) override;
  void close(SchemaNode node) override;
  void scalar(SchemaNode node, const Scalar& value) override;
  bool wants(SchemaNode node, std::string_view key) final;
  void entry(SchemaNode node, std::string_view key, std::string_view value) final;
  void unreadable(SchemaNode node, const std::string& reason) override;

  std::string_view expected_kind() const { return expected_kind_; }
  const ApiStatus& status() const { return status_; }
  // Why the last object was refused; an empty `reason` if it was not.
  DecodeFault fault() const;
  // The first of its fields that could not be read, if it was not refused; else an empty `reason`.
  DecodeFault left_out_fault() const;

  virtual Meta& meta() = 0;
  const Meta& meta() const { return const_cast<MetaReader*>(this)->meta(); }

 protected:
  // The kind to read, and its API group ("" for core/v1).
  MetaReader(std::string_view kind, std::string_view group) : expected_kind_(kind), group_(group) {}

  // A new object begins: reset what is left of the last one.
  virtual void start() = 0;
  // The object has been read: apply defaults, check the rules about several fields.
  virtual void complete() = 0;
  virtual void entry_own(SchemaNode, std::string_view /*key*/, std::string_view /*value*/) {}
  virtual bool wants_label(std::string_view /*key*/) const { return true; }
  virtual bool wants_own(SchemaNode, std::string_view /*key*/) const { return true; }

  // Stores `parsed` in `to`, or leaves the current field out.
  template <typename Result, typename To>
  bool accept(const Result& parsed, To& to) {
    if (parsed) {
      to = *parsed;
    } else {
      leave_out(parsed.reason());
    }
    return static_cast<bool>(parsed);
  }

 private:
  void check_identity();
  DecodeFault fault_in(const doc::Refusal& refusal) const;

  std::string_view expected_kind_;
  std::string_view group_;
  std::string kind_;
  std::string api_version_;
  ApiStatus status_;
};

// Reads objects of kind T, one after another. `object` is the last one and may be moved from.
template <typename T>
class ObjectReader : public MetaReader {
 public:
  T object;
  Meta& meta() final { return object.meta; }

 protected:
  using MetaReader::MetaReader;
};

// Defined in service.cpp, pod.cpp, node.cpp and slice.cpp.
template <typename T>
std::unique_ptr<ObjectReader<T>> make_reader();
template <>
std::unique_ptr<ObjectReader<Service>> make_reader();
template <>
std::unique_ptr<ObjectReader<Pod>> make_reader();
template <>
std::unique_ptr<ObjectReader<Node>> make_reader();
template <>
std::unique_ptr<ObjectReader<EndpointSlice>> make_reader();

}  // namespace k8s
