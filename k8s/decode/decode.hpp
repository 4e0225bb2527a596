// SPDX-License-Identifier: Apache-2.0
//
// Decodes Kubernetes JSON or protobuf into the types of k8s/types.hpp, in one streaming pass. Input
// may be split at any byte, fields that we do not use are skipped as they arrive, and a list is
// never in memory as a whole. Both encodings use the same tables and the same rules:
// k8s/decode/README.md is an example, k8s/decode/adr-json.md and adr-protobuf.md give the reasons.
//
// A Pod keeps all its labels; Services, Nodes and EndpointSlices keep those that the agent reads.
// Only Services keep their uid.
//
// Limits: nesting depth 64; 64 KiB for a string that is kept; 16,384 elements in an array that is
// kept; 1,000,000 items in a list response. What is skipped is not stored and not limited, with one
// exception: an item of a protobuf list that arrives in several pieces is buffered, up to 16 MiB.
//
// Threading: a decoder belongs to one thread. A callback must not destroy or feed the decoder that
// calls it.
//
// Errors: faults are judged by field. A value that cannot be read is left out, and a DecodeFault
// names the object and the field; all else of the object is there. What is left out has the API's
// default, with these exceptions, which never widen what a field allows:
//   * an element without the value that makes it one is dropped: a port without a number or with an
//     unknown protocol, an endpoint without an address, an address that is none;
//   * a source range that cannot be read admits nobody, a selector that cannot be read selects
//     nothing, a targetPort that cannot be read is the name of no port;
//   * an unknown ipMode is not VIP, as in kube-proxy.
// Refused as a whole is only an object that cannot be identified (name, namespace, kind). The rest
// of the list or stream is decoded in any case. Malformed JSON or protobuf ends the stream.
// Source of the defaults: field documentation of k8s.io/api core/v1 and discovery/v1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "k8s/decode/media_type.hpp"
#include "k8s/types.hpp"

namespace k8s {

// Why an object, or a whole stream, was refused, or a field of an object left out.
struct DecodeFault {
  std::string object;  // "Service default/web", "Service" if it has no name, "" for a whole stream
  std::string field;   // "spec.ports[1].port", or "" if the text itself is malformed
  std::string reason;  // "70000 is not a port number (1-65535)"
  std::string text() const;  // "object: field: reason"
};

template <typename T>
struct Decoded {
  // `object` is valid exactly if `fault.reason` is empty.
  T object;
  DecodeFault fault;
  DecodeFault left_out;  // a valid object's first field that could not be read, or empty
};

// Decodes one complete object of kind T (Service, Pod, Node, EndpointSlice) from its JSON text.
template <typename T>
Decoded<T> decode_object(std::string_view json);

// True for the annotation keys that decoders keep: "kube-ipvs.io/*",
// "kube-router.io/service.scheduler", "endpoints.kubernetes.io/last-change-trigger-time",
// "k8s.io/initial-events-end" (of bookmarks), "service.kubernetes.io/topology-mode" and its
// predecessor "service.kubernetes.io/topology-aware-hints".
bool is_known_annotation(std::string_view key);

// The fields we use of a metav1.Status.
struct ApiStatus {
  int code = 0;        // HTTP status: 410
  std::string reason;  // "Expired"
  std::string message;
  int retry_after_seconds = 0;  // 0: not given
};

// Decodes a list response that arrives in pieces. on_item is called for each item as soon as its
// last byte has arrived.
template <typename T>
class ListDecoder {
 public:
  struct Events {
    std::function<void(T&&)> on_item;
    // An item was refused. Of its metadata, what could be read is set.
    std::function<void(const Meta&, const DecodeFault&)> on_fault;
    // The item that follows lacks a field. May be empty.
    std::function<void(const DecodeFault&)> on_left_out = {};
  };
  explicit ListDecoder(Events events, MediaType type = MediaType::kJson);
  ~ListDecoder();
  ListDecoder(ListDecoder&&) noexcept;

  // The next piece of the response. False if it is malformed or exceeds a limit: see fault().
  [[nodiscard]] bool feed(std::string_view bytes);
  // The response is complete. False if it ended inside the document: see fault().
  [[nodiscard]] bool finish();

  const DecodeFault& fault() const;
  const std::string& resource_version() const;  // of the list: metadata.resourceVersion
  const std::string& continue_token() const;    // metadata.continue, "" on the last page
  const ApiStatus* status() const;              // null unless the response was a Status, not a list

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

enum class WatchVerb : std::uint8_t { kAdded, kModified, kDeleted, kBookmark };

// Decodes a watch response that arrives in pieces: a sequence of JSON documents, or of protobuf
// messages that each follow their length.
template <typename T>
class WatchDecoder {
 public:
  struct Events {
    // For kBookmark only meta.resource_version and meta.annotations are set.
    std::function<void(WatchVerb, T&&)> on_event;
    // An event of type ERROR, which carries a Status (410 Expired).
    std::function<void(const ApiStatus&)> on_error;
    // An object was refused. Of its key and resource version, what could be read is set, so that
    // the consumer can keep the object's last valid state and the watch can resume after this
    // event.
    std::function<void(WatchVerb, const Meta&, const DecodeFault&)> on_fault;
    // As in ListDecoder. Not called for kDeleted and kBookmark.
    std::function<void(const DecodeFault&)> on_left_out = {};
  };
  // An event of more than max_event_bytes ends the stream (client-go's limit is 16 MiB).
  explicit WatchDecoder(Events events, std::size_t max_event_bytes = 16u << 20,
                        MediaType type = MediaType::kJson);
  ~WatchDecoder();
  WatchDecoder(WatchDecoder&&) noexcept;

  // As ListDecoder::feed().
  [[nodiscard]] bool feed(std::string_view bytes);
  const DecodeFault& fault() const;
  // True if the fault is an event longer than max_event_bytes.
  bool is_too_long() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k8s
