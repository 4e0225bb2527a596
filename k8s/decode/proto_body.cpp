// SPDX-License-Identifier: Apache-2.0
//
// Reads lists and watch events in protobuf. An item or event that arrives in several pieces is
// buffered until it is complete; one that is complete within a piece is read in place.
//
// A list, in the envelope of k8s/decode/proto_reader.hpp. The field `raw` is the list itself, and
// is never buffered as a whole:
//
//   "k8s\0"
//   Unknown {
//     typeMeta = 1
//     raw = 2 PodList { metadata = 1, items = 2, items = 2, ... }
//   }
//
// A watch (apimachinery: util/framer; meta/v1 WatchEvent; runtime RawExtension), repeated:
//
//   u32 length, big-endian
//   WatchEvent { type = 1, object = 2 { raw = 1: "k8s\0" Unknown { ... } } }
#include <limits>
#include <utility>

#include "k8s/decode/proto_reader.hpp"
#include "k8s/decode/stream_body.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

constexpr std::size_t kMaxBuffered = 16u << 20;

// Collects a given number of bytes from pieces of the input.
class PieceBuffer {
 public:
  // Begins again: take() is to return `size` bytes.
  void expect(std::size_t size) {
    wanted_ = size;
    bytes_.clear();
    if (bytes_.capacity() > kKept) bytes_.shrink_to_fit();
  }
  // Moves bytes from the front of `piece`; returns all of them once they are complete. The view is
  // valid until the next call, and no longer than `piece`.
  std::optional<std::string_view> take(std::string_view& piece) {
    const std::size_t more = wanted_ - bytes_.size();
    const std::string_view part = piece.substr(0, more);
    piece.remove_prefix(part.size());
    if (bytes_.empty() && part.size() == wanted_) return part;
    bytes_ += part;
    if (bytes_.size() < wanted_) return std::nullopt;
    return bytes_;
  }

 private:
  static constexpr std::size_t kKept = 64u << 10;  // a larger buffer is freed after use
  std::size_t wanted_ = 0;
  std::string bytes_;
};

// Why objects of this version cannot be read; "" if they can. The fields of v1beta1 have different
// numbers (k8s/decode/adr-protobuf.md). We request it in JSON, but a server may send protobuf
// anyway.
std::string version_fault(std::string_view api_version) {
  if (!api_version.ends_with("/v1beta1")) return {};
  return quoted(api_version) + " in protobuf, which is read by the field numbers of v1";
}

// Parses the tag and the length of a length-delimited field, byte by byte.
class FieldHead {
 public:
  enum class Progress : std::uint8_t { kIncomplete, kComplete, kMalformed };

  Progress take(unsigned char byte) {
    if (shift_ == 63 && byte > 1) return Progress::kMalformed;
    value_ |= std::uint64_t{byte & 0x7fu} << shift_;
    shift_ += 7;
    if ((byte & 0x80) != 0) return shift_ > 63 ? Progress::kMalformed : Progress::kIncomplete;
    shift_ = 0;
    const std::uint64_t value = std::exchange(value_, 0);
    if (has_tag_) {
      has_tag_ = false;
      length = value;
      return Progress::kComplete;
    }
    // All fields here are strings or messages: wire type 2.
    if ((value & 7) != 2 || value > std::numeric_limits<std::uint32_t>::max()) {
      return Progress::kMalformed;
    }
    tag = static_cast<std::uint32_t>(value >> 3);
    has_tag_ = true;
    return Progress::kIncomplete;
  }
  bool inside() const { return has_tag_ || shift_ != 0; }

  std::uint32_t tag = 0;
  std::uint64_t length = 0;

 private:
  std::uint64_t value_ = 0;
  unsigned shift_ = 0;
  bool has_tag_ = false;
};

class ProtoList final : public ListBody {
 public:
  ProtoList(MetaReader& reader, std::function<void()> on_item)
      : ListBody(reader), on_item_(std::move(on_item)), proto_(reader) {
    buffer_.expect(doc::kProtoMagic.size());
  }

  bool finish() override {
    if (!good()) return false;
    const bool whole = has_raw_ && !in_list_ && state_ == State::kHead && !head_.inside();
    return whole || fail("", "not protobuf: it ends inside the message");
  }

 private:
  enum class State : std::uint8_t { kMagic, kHead, kBody };

  bool take(std::string_view bytes) override {
    while (good() && !bytes.empty()) step(bytes);
    return good();
  }

  void step(std::string_view& bytes) {
    if (state_ == State::kHead) return take_head(bytes);
    const std::size_t before = bytes.size();
    const auto whole = buffer_.take(bytes);
    if (state_ == State::kBody) count(before - bytes.size());
    if (!whole || !good()) return;
    if (state_ == State::kMagic) {
      state_ = State::kHead;
      if (*whole != doc::kProtoMagic) fail("", "not protobuf: it does not begin with \"k8s\"");
    } else {
      take_field(*whole);
    }
  }

  void take_head(std::string_view& bytes) {
    const auto progress = head_.take(static_cast<unsigned char>(bytes.front()));
    bytes.remove_prefix(1);
    const bool inside = count(1);
    if (progress == FieldHead::Progress::kMalformed) {
      fail("", "not protobuf: invalid start of a field");
    } else if (progress == FieldHead::Progress::kComplete) {
      begin_field();
    } else if (!inside) {
      fail("", "not protobuf: a field exceeds its message");
    }
  }

  // Subtracts `size` from the remaining length of the list; false at its end.
  bool count(std::size_t size) {
    if (in_list_) left_ -= size;
    return !in_list_ || left_ > 0;
  }

  void begin_field() {
    if (in_list_ && head_.length > left_) {
      fail("", "not protobuf: a field exceeds its message");
    } else if (!in_list_ && head_.tag == kRaw && !has_kind_) {
      fail("kind", "missing");
    } else if (!in_list_ && head_.tag == kRaw && !is_status_) {
      in_list_ = has_raw_ = true;
      left_ = head_.length;
      end_list_if_done();
    } else if (head_.length > kMaxBuffered) {
      fail("", "a field of more than " + std::to_string(kMaxBuffered) + " bytes");
    } else {
      state_ = State::kBody;
      buffer_.expect(head_.length);
      if (head_.length == 0) take_field({});
    }
  }

  void take_field(std::string_view bytes) {
    state_ = State::kHead;
    if (in_list_) {
      take_list_field(bytes);
      end_list_if_done();
    } else {
      take_envelope_field(bytes);
    }
  }

  void take_envelope_field(std::string_view bytes) {
    if (head_.tag == kTypeMeta) {
      take_type(bytes);
    } else if (head_.tag == kRaw) {
      has_raw_ = true;
      doc::Refusal refusal = doc::read_status(bytes, status_);
      check(std::move(refusal.field), std::move(refusal.reason));
    }
  }

  void take_type(std::string_view bytes) {
    doc::Envelope type;
    std::string why;
    if (!doc::read_type_meta(bytes, type, why)) fail("kind", std::move(why));
    check("kind", doc::text_fault(type.kind));
    if (good()) check("kind", take_kind(type.kind));
    check("apiVersion", doc::text_fault(type.api_version));
    check("apiVersion", version_fault(type.api_version));
  }

  void take_list_field(std::string_view bytes) {
    std::string why;
    if (head_.tag == kListMeta) {
      doc::ListMeta meta;
      if (!doc::read_list_meta(bytes, meta, why)) fail("metadata", std::move(why));
      take_text("metadata.resourceVersion", meta.resource_version, resource_version_);
      take_text("metadata.continue", meta.continue_token, continue_token_);
    } else if (head_.tag == kItems) {
      if (++items_ > doc::kMaxChildren) {
        fail("items", "more than " + std::to_string(doc::kMaxChildren) + " elements");
      } else if (proto_.read({.raw = bytes}, why)) {
        on_item_();
      } else {
        fail("items[" + std::to_string(items_ - 1) + "]", std::move(why));
      }
    }
  }

  void take_text(const char* field, std::string_view text, std::string& to) {
    check(field, doc::text_fault(text));
    if (good()) to = text;
  }

  // Fails if `why` is not empty. Only the first fault is kept.
  void check(std::string field, std::string why) {
    if (good() && !why.empty()) fail(std::move(field), std::move(why));
  }

  void end_list_if_done() {
    if (left_ == 0) in_list_ = false;
  }

  static constexpr std::uint32_t kTypeMeta = 1;
  static constexpr std::uint32_t kRaw = 2;
  static constexpr std::uint32_t kListMeta = 1;
  static constexpr std::uint32_t kItems = 2;

  std::function<void()> on_item_;
  doc::ProtoReader proto_;
  State state_ = State::kMagic;
  FieldHead head_;
  PieceBuffer buffer_;
  bool has_raw_ = false;
  bool in_list_ = false;
  std::uint64_t left_ = 0;  // bytes of the list still to come
  std::size_t items_ = 0;
};

class ProtoWatch final : public WatchBody {
 public:
  ProtoWatch(MetaReader& reader, Events events, std::size_t max_event_bytes)
      : WatchBody(reader, std::move(events), max_event_bytes), proto_(reader) {
    buffer_.expect(kLengthBytes);
  }

 private:
  static constexpr std::size_t kLengthBytes = 4;

  bool take(std::string_view bytes) override {
    while (good() && !bytes.empty()) {
      const auto whole = buffer_.take(bytes);
      if (!whole) break;
      if (in_event_) {
        in_event_ = false;
        take_event(*whole);
        buffer_.expect(kLengthBytes);
      } else {
        begin_event(*whole);
      }
    }
    return good();
  }

  void begin_event(std::string_view length) {
    std::size_t size = 0;
    for (const char byte : length) size = size << 8 | static_cast<unsigned char>(byte);
    if (size > max_event_bytes_) {
      fail_too_long();
    } else if (size == 0) {
      fail("type", "missing");
    } else {
      in_event_ = true;
      buffer_.expect(size);
    }
  }

  bool take_event(std::string_view bytes) {
    doc::WatchEvent event;
    std::string why;
    if (!doc::read_event(bytes, event, why)) return fail("", std::move(why));
    if (event.type.empty()) return fail("type", "missing");
    if (!event.object) return fail("object", "missing");
    why = doc::text_fault(event.type);
    if (!why.empty()) return fail("type", std::move(why));
    const auto type = parse_event_type(event.type, why);
    if (!type) return fail("type", std::move(why));
    const auto envelope = doc::open_envelope(*event.object, why);
    if (!envelope) return fail("object", std::move(why));
    if (type->is_error) return take_error(*envelope);
    why = version_fault(envelope->api_version);
    if (!why.empty()) return fail("object.apiVersion", std::move(why));
    if (!proto_.read(*envelope, why)) return fail("object", std::move(why));
    events_.on_object(type->verb);
    return true;
  }

  bool take_error(const doc::Envelope& envelope) {
    ApiStatus status;
    if (envelope.kind == "Status") {
      // An unacceptable text is left out and the code is still used, as in JSON.
      doc::Refusal refusal = doc::read_status(envelope.raw, status);
      const bool is_broken = refusal.field.empty() && !refusal.reason.empty();
      if (is_broken) return fail("object", std::move(refusal.reason));
    }
    events_.on_error(status);
    return true;
  }

  doc::ProtoReader proto_;
  PieceBuffer buffer_;
  bool in_event_ = false;
};

}  // namespace

std::unique_ptr<ListBody> make_proto_list(MetaReader& reader, std::function<void()> on_item) {
  return std::make_unique<ProtoList>(reader, std::move(on_item));
}

std::unique_ptr<WatchBody> make_proto_watch(MetaReader& reader, WatchBody::Events events,
                                            std::size_t max_event_bytes) {
  return std::make_unique<ProtoWatch>(reader, std::move(events), max_event_bytes);
}

}  // namespace k8s
