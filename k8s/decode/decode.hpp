// SPDX-License-Identifier: Apache-2.0
//
// From Kubernetes JSON or protobuf to the types of k8s/types.hpp, in one streaming pass: fields we
// do not use are skipped as they arrive, a list is never held as a document, and input may be cut
// at any byte. Both encodings are read by the same tables and judged by the same rules
// (k8s/decode/adr-json.md, k8s/decode/adr-protobuf.md).
//
// Of an object's labels, Pods keep all, Services, Nodes and EndpointSlices those the agent reads.
// The uid is kept of Services alone.
//
// Limits: depth 64, 64 KiB for a string that is kept, 16,384 elements in a list that is kept,
// 1,000,000 items in a list response; what is skipped is not stored and has no limit of its own. An
// item of a protobuf list, with what is skipped in it, is held where it is cut: at most 16 MiB.
//
// Threading: none. A callback must not destroy or feed the decoder that calls it.
//
// Errors: an object with an impossible field is refused as a whole, by a DecodeFault that names the
// object and the field; the rest of the list or stream goes on. Broken JSON or protobuf ends the
// stream.
// Source of the defaults: k8s.io/api core/v1 and discovery/v1 field documentation.
#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "k8s/decode/media_type.hpp"
#include "k8s/types.hpp"

namespace k8s {

// Why an object (or a stream) could not be taken.
struct DecodeFault {
  std::string object;  // "Service default/web", "Service" without a name, or "" for a broken stream
  std::string field;   // "spec.ports[1].port", or "" for a broken stream
  std::string reason;  // "70000 is not a port number (1-65535)"
  std::string text() const;
};

template <typename T>
struct Decoded {
  // Exactly one of them is meaningful: `fault.reason` is empty when `object` is good.
  T object;
  DecodeFault fault;
};

// One whole object of kind T (Service, Pod, Node, EndpointSlice) from its JSON text.
template <typename T>
Decoded<T> decode_object(std::string_view json);

// True for the annotation keys that decoders keep: "kube-ipvs.io/*",
// "kube-router.io/service.scheduler", "endpoints.kubernetes.io/last-change-trigger-time",
// "service.kubernetes.io/topology-mode" and its predecessor
// "service.kubernetes.io/topology-aware-hints".
bool is_known_annotation(std::string_view key);

// What a `kind: Status` body says (metav1.Status).
struct ApiStatus {
  int code = 0;
  std::string reason;
  std::string message;
  int retry_after_seconds = 0;
};

// A list response, fed in pieces. Each item goes to `on_item` as soon as its last byte has arrived.
template <typename T>
class ListDecoder {
 public:
  struct Events {
    std::function<void(T&&)> on_item;
    // That item was skipped; its key is set as far as it was read.
    std::function<void(const Meta&, const DecodeFault&)> on_fault;
  };
  explicit ListDecoder(Events events, MediaType type = MediaType::kJson);
  ~ListDecoder();
  ListDecoder(ListDecoder&&) noexcept;

  // Takes the next piece; false when it is not of that type or passes a limit (see fault()).
  [[nodiscard]] bool feed(std::string_view bytes);
  // Ends the input; false when it ended inside the document.
  [[nodiscard]] bool finish();

  const DecodeFault& fault() const;
  const std::string& resource_version() const;  // of the list: metadata.resourceVersion
  const std::string& continue_token() const;    // metadata.continue, "" on the last page
  const ApiStatus* status() const;              // set when the body was a Status, not a list

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

enum class WatchVerb : std::uint8_t { kAdded, kModified, kDeleted, kBookmark };

// A watch response: JSON documents one after another, or protobuf messages each with its length
// before it; cut anywhere.
template <typename T>
class WatchDecoder {
 public:
  struct Events {
    // For kBookmark only meta.resource_version is set.
    std::function<void(WatchVerb, T&&)> on_event;
    std::function<void(const ApiStatus&)>
        on_error;  // type ERROR: a Status inside the stream (410 Expired)
    // That object was skipped; its key and resource version are set as far as they were read, so
    // that a consumer can keep the last good state and the stream can resume after it.
    std::function<void(WatchVerb, const Meta&, const DecodeFault&)> on_fault;
  };
  // max_event_bytes: a longer event ends the stream (client-go's limit is 16 MiB).
  explicit WatchDecoder(Events events, std::size_t max_event_bytes = 16u << 20,
                        MediaType type = MediaType::kJson);
  ~WatchDecoder();
  WatchDecoder(WatchDecoder&&) noexcept;

  [[nodiscard]] bool feed(std::string_view bytes);
  const DecodeFault& fault() const;
  // Whether the fault is an event longer than max_event_bytes.
  bool is_too_long() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k8s
