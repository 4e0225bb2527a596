// SPDX-License-Identifier: Apache-2.0
//
// Reads Kubernetes' protobuf messages by the tables of k8s/decode/document.hpp (private to k8s/).
// protozero knows the wire format: k8s/decode/adr-protobuf.md.
//
// Every object that stands alone has an envelope (k8s.io/apimachinery, runtime/generated.proto):
//
//   6b 38 73 00 ("k8s\0")  Unknown { typeMeta = 1 { apiVersion = 1, kind = 2 }
//                                    raw = 2: the object    contentEncoding = 3    contentType = 4
//                                    }
//
// Errors: in words. A message that breaks the wire format ends the stream it came in, as broken
// JSON does; what its fields say is the visitor's to judge.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "k8s/decode/decode.hpp"
#include "k8s/decode/proto_walk.hpp"

namespace k8s::doc {

inline constexpr std::string_view kProtoMagic{"k8s\0", 4};

// The views are into what was opened.
struct Envelope {
  std::string_view api_version;
  std::string_view kind;
  std::string_view raw;
};

// Why such a view cannot be a text that is taken, in the words for those that rows name; empty: it
// can.
std::string why_no_text(std::string_view text);

// `why` is set when the result is empty.
std::optional<Envelope> open_envelope(std::string_view bytes, std::string& why);

// apiVersion and kind; false, with `why`, where the message is broken.
bool read_type_meta(std::string_view message, Envelope& to, std::string& why);

// A metav1.Status. What it has that cannot be: a text, which is left out, or, with no field,
// broken bytes.
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

  // The object in `envelope`; its kind and version are told to the visitor where they are given, as
  // they are not for the items of a list.
  bool read(const Envelope& envelope, std::string& why);

 private:
  ProtoWalk walk_;
};

}  // namespace k8s::doc
