// SPDX-License-Identifier: Apache-2.0
//
// What the readers of the four kinds share (private to k8s/): metadata, kind and apiVersion, and
// the fields of a metav1.Status, which can stand in an object's place in a watch stream.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "k8s/decode/decode.hpp"
#include "k8s/decode/document.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {

// Places of the shared part; a kind numbers its own from kFirstOwn.
enum CommonPlace : doc::Place {
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
    doc::Field{doc::kRoot, {"code"}, doc::Shape::kInteger, kStatusCode},
    doc::Field{doc::kRoot, {"reason"}, doc::Shape::kString, kStatusReason},
    doc::Field{doc::kRoot, {"message"}, doc::Shape::kString, kStatusMessage},
    doc::Field{doc::kRoot, {"details"}, doc::Shape::kObject, kStatusDetails},
    doc::Field{kStatusDetails, {"retryAfterSeconds"}, doc::Shape::kInteger, kRetryAfterSeconds},
};

// Asked for by the kinds about which Events are written.
inline constexpr doc::Field kUidField{kMetadata, {"uid", 5}, doc::Shape::kString, kUid};

inline constexpr std::array kObjectFields{
    doc::Field{doc::kRoot, {"kind"}, doc::Shape::kString, kKind},
    doc::Field{doc::kRoot, {"apiVersion"}, doc::Shape::kString, kApiVersion},
    doc::Field{doc::kRoot, {"metadata", 1}, doc::Shape::kObject, kMetadata},
    doc::Field{kMetadata, {"name", 1}, doc::Shape::kString, kName},
    doc::Field{kMetadata, {"namespace", 3}, doc::Shape::kString, kNamespace},
    doc::Field{kMetadata, {"resourceVersion", 6}, doc::Shape::kString, kResourceVersion},
    doc::Field{kMetadata, {"creationTimestamp", 8}, doc::Shape::kTime, kCreationTimestamp},
    doc::Field{kMetadata, {"deletionTimestamp", 9}, doc::Shape::kTime, kDeletionTimestamp},
    doc::Field{
        kMetadata, {"deletionGracePeriodSeconds", 10}, doc::Shape::kInteger, kDeletionGraceSeconds},
    doc::Field{kMetadata, {"labels", 11}, doc::Shape::kMap, kLabels},
    doc::Field{kMetadata, {"annotations", 12}, doc::Shape::kMap, kAnnotations},
};

// The table of a kind: the shared rows and its own.
template <std::size_t N>
constexpr auto object_fields(const std::array<doc::Field, N>& own) {
  return doc::join(doc::join(kObjectFields, kStatusFields), own);
}

// Takes a scalar at one of the Status places; false when `place` is none of them.
bool take_status_field(ApiStatus& status, doc::Place place, const doc::Scalar& value);

// Seconds since the Unix epoch, of a scalar that a row of shape kTime gave.
Parsed<UnixSeconds> time_of(const doc::Scalar& value);

// Reads one object: kind, metadata, and through the derived class the rest.
class MetaReader : public doc::Visitor {
 public:
  // A kind overrides these for its own places, and comes here with all others.
  void open(doc::Place place) override;
  void close(doc::Place place) override;
  void scalar(doc::Place place, const doc::Scalar& value) override;
  bool wants(doc::Place place, std::string_view key) final;
  void entry(doc::Place place, std::string_view key, std::string_view value) final;

  std::string_view expected_kind() const { return expected_kind_; }
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
  virtual void entry_own(doc::Place, std::string_view /*key*/, std::string_view /*value*/) {}
  virtual bool wants_label(std::string_view /*key*/) const { return true; }
  virtual bool wants_own(doc::Place, std::string_view /*key*/) const { return true; }

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
