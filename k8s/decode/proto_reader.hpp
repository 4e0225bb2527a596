// SPDX-License-Identifier: Apache-2.0
//
// Reads Kubernetes' protobuf messages with the tables of k8s/decode/document.hpp. protozero reads
// the wire format (k8s/decode/adr-protobuf.md). Private to k8s/decode.
//
// Every object that is not part of a list has an envelope (k8s.io/apimachinery,
// runtime/generated.proto):
//
//   6b 38 73 00 ("k8s\0")
//   Unknown {
//     typeMeta = 1 { apiVersion = 1, kind = 2 }
//     raw = 2                                     the object
//     contentEncoding = 3, contentType = 4        not used
//   }
//
// Errors: a text that describes the error. A message that violates the wire format ends the stream,
// as malformed JSON does. Invalid values of fields are for the visitor to refuse.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "k8s/decode/decode.hpp"
#include "k8s/decode/proto_walk.hpp"

namespace k8s::doc {

inline constexpr std::string_view kProtoMagic{"k8s\0", 4};

// The views are into the bytes passed to open_envelope() or read_type_meta().
struct Envelope {
  std::string_view api_version;
  std::string_view kind;
  std::string_view raw;
};

// Why such a view is not acceptable text (too long, not UTF-8); "" if it is. The wording is the
// same as for a string that a row names.
std::string text_fault(std::string_view text);

// Nothing, and `why` is set, if the bytes are malformed.
std::optional<Envelope> open_envelope(std::string_view bytes, std::string& why);

// Reads apiVersion and kind. False, and `why` is set, if the message is malformed.
bool read_type_meta(std::string_view message, Envelope& to, std::string& why);

// Reads a metav1.Status. The refusal names a field whose text is not acceptable (it is left out),
// or, with no field, says that the message is malformed.
Refusal read_status(std::string_view message, ApiStatus& to);

// metav1.ListMeta. The views are into the message.
struct ListMeta {
  std::string_view resource_version;
  std::string_view continue_token;
};
bool read_list_meta(std::string_view message, ListMeta& to, std::string& why);

// metav1.WatchEvent: type = 1, object = 2 (runtime.RawExtension: raw = 1, an envelope). The views
// are into the message.
struct WatchEvent {
  std::string_view type;
  std::optional<std::string_view> object;
};
bool read_event(std::string_view message, WatchEvent& to, std::string& why);

// One object after another into the same visitor.
class ProtoReader {
 public:
  explicit ProtoReader(Visitor& visitor) : walk_(visitor) {}

  // Reads the object in `envelope`. Its kind and apiVersion are passed to the visitor unless they
  // are empty, as they are for the items of a list. False, and `why` is set, if the message is
  // malformed.
  bool read(const Envelope& envelope, std::string& why);

 private:
  ProtoWalk walk_;
};

}  // namespace k8s::doc
