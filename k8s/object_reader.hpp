// SPDX-License-Identifier: Apache-2.0
//
// What the readers of the four kinds share (private to k8s/): metadata, kind and apiVersion, and
// the fields of a metav1.Status, which can stand in an object's place in a watch stream.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "k8s/decode.hpp"
#include "k8s/json_reader.hpp"

namespace k8s {

// Places of the shared part; a kind numbers its own from kFirstOwn.
enum CommonPlace : json::Place {
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

// metav1.Status. Its "status" ("Failure") is left out: `status` is an object in every other kind.
inline constexpr std::array kStatusFields{
    json::Field{json::kRoot, "code", json::Shape::kInteger, kStatusCode},
    json::Field{json::kRoot, "reason", json::Shape::kString, kStatusReason},
    json::Field{json::kRoot, "message", json::Shape::kString, kStatusMessage},
    json::Field{json::kRoot, "details", json::Shape::kObject, kStatusDetails},
    json::Field{kStatusDetails, "retryAfterSeconds", json::Shape::kInteger, kRetryAfterSeconds},
};

inline constexpr std::array kObjectFields{
    json::Field{json::kRoot, "kind", json::Shape::kString, kKind},
    json::Field{json::kRoot, "apiVersion", json::Shape::kString, kApiVersion},
    json::Field{json::kRoot, "metadata", json::Shape::kObject, kMetadata},
    json::Field{kMetadata, "name", json::Shape::kString, kName},
    json::Field{kMetadata, "namespace", json::Shape::kString, kNamespace},
    json::Field{kMetadata, "uid", json::Shape::kString, kUid},
    json::Field{kMetadata, "resourceVersion", json::Shape::kString, kResourceVersion},
    json::Field{kMetadata, "creationTimestamp", json::Shape::kString, kCreationTimestamp},
    json::Field{kMetadata, "deletionTimestamp", json::Shape::kString, kDeletionTimestamp},
    json::Field{kMetadata, "deletionGracePeriodSeconds", json::Shape::kInteger,
                kDeletionGraceSeconds},
    json::Field{kMetadata, "labels", json::Shape::kMap, kLabels},
    json::Field{kMetadata, "annotations", json::Shape::kMap, kAnnotations},
};

// The table of a kind: the shared rows and its own.
template <std::size_t N>
constexpr auto object_fields(const std::array<json::Field, N>& own) {
  return json::join(json::join(kObjectFields, kStatusFields), own);
}

// Takes a scalar at one of the Status places; false when `place` is none of them.
bool take_status_field(ApiStatus& status, json::Place place, const json::Scalar& value);

// Reads one object: kind, metadata, and through the derived class the rest.
class MetaReader : public json::Visitor {
 public:
  void open(json::Place place) final;
  void close(json::Place place) final;
  void scalar(json::Place place, const json::Scalar& value) final;
  bool wants(json::Place place, std::string_view key) final;
  void entry(json::Place place, std::string_view key, std::string_view value) final;

  const std::string& kind() const { return kind_; }
  const ApiStatus& status() const { return status_; }
  // Why the object that was just read is refused; `reason` is empty when it is good.
  DecodeFault fault() const;

  virtual Meta& meta() = 0;
  const Meta& meta() const { return const_cast<MetaReader*>(this)->meta(); }

 protected:
  // The kind to be read and the API group its versions belong to ("" for core/v1).
  MetaReader(std::string_view kind, std::string_view group) : expected_kind_(kind), group_(group) {}

  // A new object begins: forget the last one.
  virtual void start() = 0;
  // All of it has been read: defaults and the rules that concern several fields.
  virtual void complete() = 0;
  // The kind's own places.
  virtual void open_own(json::Place) {}
  virtual void close_own(json::Place) {}
  virtual void scalar_own(json::Place, const json::Scalar&) {}
  virtual void entry_own(json::Place, std::string_view /*key*/, std::string_view /*value*/) {}
  virtual bool wants_label(std::string_view /*key*/) const { return true; }
  virtual bool wants_own(json::Place, std::string_view /*key*/) const { return true; }

  // `parsed` into `to`, or a refusal of the field being read.
  template <typename Result, typename To>
  bool accept(const Result& parsed, To& to) {
    if (parsed) {
      to = *parsed;
    } else {
      refuse(parsed.reason());
    }
    return static_cast<bool>(parsed);
  }

 private:
  void check_identity();

  std::string_view expected_kind_;
  std::string_view group_;
  std::string kind_;
  std::string api_version_;
  ApiStatus status_;
};

// Reads objects of kind T, one after another; `object` is the last one and may be moved from.
template <typename T>
class ObjectReader : public MetaReader {
 public:
  T object;
  Meta& meta() final { return object.meta; }

 protected:
  using MetaReader::MetaReader;
};

// Defined for Service, Pod, Node and EndpointSlice in decode_<kind>.cpp.
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
