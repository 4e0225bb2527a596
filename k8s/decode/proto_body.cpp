// SPDX-License-Identifier: Apache-2.0
//
// Lists and watch events in protobuf. An item, or an event, is held until it is whole; where it
// lies whole in a piece of the input, it is read from there.
//
// A list (k8s/decode/proto_reader.hpp has the envelope; the list is its `raw`, which is not held):
//
//   "k8s\0"  Unknown { typeMeta = 1, raw = 2 PodList { metadata = 1, items = 2 ... } }
//
// A watch (apimachinery: util/framer; meta/v1 WatchEvent; runtime RawExtension):
//
//   repeat:  u32 big-endian length  WatchEvent { type = 1, object = 2 { raw = 1: "k8s\0" Unknown }
//   }
#include <limits>
#include <utility>

#include "k8s/decode/proto_reader.hpp"
#include "k8s/decode/stream_body.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

constexpr std::size_t kMaxHeld = 16u << 20;

// Collects so many bytes from pieces.
class Held {
 public:
  void expect(std::size_t size) {
    wanted_ = size;
    bytes_.clear();
    if (bytes_.capacity() > kKept) bytes_.shrink_to_fit();
  }
  // The bytes, once all are there; takes them off `piece`. The view is good until the next call.
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
  static constexpr std::size_t kKept = 64u << 10;
  std::size_t wanted_ = 0;
  std::string bytes_;
};

// Why objects of this version are not read; empty: they are. The fields of v1beta1 have other
// numbers (k8s/decode/adr-protobuf.md): it is asked for in JSON, but a server may answer as it likes.
std::string why_not_version(std::string_view api_version) {
  if (!api_version.ends_with("/v1beta1")) return {};
  return quoted(api_version) + " in protobuf, which is read by the field numbers of v1";
}

// Tag and length of a length-delimited field, a byte at a time.
class FieldHead {
 public:
  enum class Took : std::uint8_t { kMore, kWhole, kBroken };

  Took take(unsigned char byte) {
    if (shift_ == 63 && byte > 1) return Took::kBroken;
    value_ |= std::uint64_t{byte & 0x7fu} << shift_;
    shift_ += 7;
    if ((byte & 0x80) != 0) return shift_ > 63 ? Took::kBroken : Took::kMore;
    shift_ = 0;
    const std::uint64_t value = std::exchange(value_, 0);
    if (has_tag_) {
      has_tag_ = false;
      length = value;
      return Took::kWhole;
    }
    // All that can stand here is a string or a message: wire type 2.
    if ((value & 7) != 2 || value > std::numeric_limits<std::uint32_t>::max()) return Took::kBroken;
    tag = static_cast<std::uint32_t>(value >> 3);
    has_tag_ = true;
    return Took::kMore;
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
    held_.expect(doc::kProtoMagic.size());
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
    const auto whole = held_.take(bytes);
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
    const auto took = head_.take(static_cast<unsigned char>(bytes.front()));
    bytes.remove_prefix(1);
    const bool inside = count(1);
    if (took == FieldHead::Took::kBroken) {
      fail("", "not protobuf: no field can begin so");
    } else if (took == FieldHead::Took::kWhole) {
      begin_field();
    } else if (!inside) {
      fail("", "not protobuf: a field passes the end of its message");
    }
  }

  // Takes `size` off what is left of the list; false at its end.
  bool count(std::size_t size) {
    if (in_list_) left_ -= size;
    return !in_list_ || left_ > 0;
  }

  void begin_field() {
    if (in_list_ && head_.length > left_) {
      fail("", "not protobuf: a field passes the end of its message");
    } else if (!in_list_ && head_.tag == kRaw && !has_kind_) {
      fail("kind", "missing");
    } else if (!in_list_ && head_.tag == kRaw && !is_status_) {
      in_list_ = has_raw_ = true;
      left_ = head_.length;
      end_list_if_done();
    } else if (head_.length > kMaxHeld) {
      fail("", "a field of more than " + std::to_string(kMaxHeld) + " bytes");
    } else {
      state_ = State::kBody;
      held_.expect(head_.length);
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
    check("kind", doc::why_no_text(type.kind));
    if (good()) check("kind", take_kind(type.kind));
    check("apiVersion", doc::why_no_text(type.api_version));
    check("apiVersion", why_not_version(type.api_version));
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
    check(field, doc::why_no_text(text));
    if (good()) to = text;
  }

  // The first that there is a reason for stands.
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
  Held held_;
  bool has_raw_ = false;
  bool in_list_ = false;
  std::uint64_t left_ = 0;  // of the list
  std::size_t items_ = 0;
};

class ProtoWatch final : public WatchBody {
 public:
  ProtoWatch(MetaReader& reader, Events events, std::size_t max_event_bytes)
      : WatchBody(reader, std::move(events), max_event_bytes), proto_(reader) {
    held_.expect(kLengthBytes);
  }

 private:
  static constexpr std::size_t kLengthBytes = 4;

  bool take(std::string_view bytes) override {
    while (good() && !bytes.empty()) {
      const auto whole = held_.take(bytes);
      if (!whole) break;
      if (in_event_) {
        in_event_ = false;
        take_event(*whole);
        held_.expect(kLengthBytes);
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
      held_.expect(size);
    }
  }

  bool take_event(std::string_view bytes) {
    doc::WatchEvent event;
    std::string why;
    if (!doc::read_event(bytes, event, why)) return fail("", std::move(why));
    if (event.type.empty()) return fail("type", "missing");
    if (!event.object) return fail("object", "missing");
    why = doc::why_no_text(event.type);
    if (!why.empty()) return fail("type", std::move(why));
    const auto type = parse_event_type(event.type, why);
    if (!type) return fail("type", std::move(why));
    const auto envelope = doc::open_envelope(*event.object, why);
    if (!envelope) return fail("object", std::move(why));
    if (type->is_error) return take_error(*envelope);
    why = why_not_version(envelope->api_version);
    if (!why.empty()) return fail("object.apiVersion", std::move(why));
    if (!proto_.read(*envelope, why)) return fail("object", std::move(why));
    events_.on_object(type->verb);
    return true;
  }

  bool take_error(const doc::Envelope& envelope) {
    ApiStatus status;
    if (envelope.kind == "Status") {
      // A text that cannot be does not count beside the code, as in JSON.
      doc::Refusal refusal = doc::read_status(envelope.raw, status);
      const bool is_broken = refusal.field.empty() && !refusal.reason.empty();
      if (is_broken) return fail("object", std::move(refusal.reason));
    }
    events_.on_error(status);
    return true;
  }

  doc::ProtoReader proto_;
  Held held_;
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
