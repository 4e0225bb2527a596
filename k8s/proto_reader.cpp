// SPDX-License-Identifier: Apache-2.0
#include "k8s/proto_reader.hpp"

#include <algorithm>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>

#include "k8s/values.hpp"

namespace k8s::doc {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

pbf_reader reader_of(std::string_view bytes) { return pbf_reader(bytes.data(), bytes.size()); }

std::string_view text_of(pbf_reader& message) {
  const auto view = message.get_view();
  return {view.data(), view.size()};
}

bool is_bytes(const pbf_reader& message) {
  return message.wire_type() == pbf_wire_type::length_delimited;
}
bool is_varint(const pbf_reader& message) { return message.wire_type() == pbf_wire_type::varint; }

// Runs `read`, which throws on bytes that are no protobuf.
template <typename Read>
bool guarded(std::string& why, Read read) {
  try {
    read();
    return true;
  } catch (const protozero::exception& error) {
    why = std::string("not protobuf: ") + error.what();
    return false;
  }
}

// The fields of a message that are strings, messages or bytes; others are skipped.
template <typename Take>
void each_text(pbf_reader message, Take take) {
  while (message.next()) {
    if (is_bytes(message)) {
      const unsigned tag = message.tag();  // gone with the value
      take(tag, text_of(message));
    } else {
      message.skip();
    }
  }
}

// Kubernetes' name for each wire type, in the words of the JSON reader.
std::string_view word_of(const pbf_reader& message) {
  return is_bytes(message) ? "a string or a message" : "a number";
}

// Walks a message along the path. As deep as the schema is: what no row names is skipped.
class Walk {
 public:
  explicit Walk(PathReader& path) : path_(path) {}

  void fields(pbf_reader message) {
    while (message.next()) {
      if (const Field* field = path_.field(message.tag())) {
        value(*field, message);
      } else {
        message.skip();
      }
    }
    path_.end_fields();
  }

  void string(std::string_view text, bool even_empty) {
    if (text.empty() && !even_empty) {
      path_.absent();
    } else if (text.size() > kMaxStringBytes) {
      path_.string_too_long();
    } else if (!is_utf8(text)) {
      path_.mismatch("text that is not UTF-8");
    } else {
      path_.string(text);
    }
  }

 private:
  void value(const Field& field, pbf_reader& message) {
    const bool wants_number = field.shape == Shape::kInteger || field.shape == Shape::kBoolean;
    if (wants_number ? !is_varint(message) : !is_bytes(message)) {
      path_.mismatch(word_of(message));
      message.skip();
      return;
    }
    switch (field.shape) {
      case Shape::kObject:
      case Shape::kObjects:
      case Shape::kChild:
      case Shape::kChildren:
        return object(message.get_message());
      case Shape::kMap:
        return entry(message.get_message());
      case Shape::kString:
        return string(text_of(message), false);
      case Shape::kStrings:
        return string(text_of(message), true);
      case Shape::kInteger:
        return integer(message.get_int64());
      case Shape::kBoolean:
        // Not get_bool(), which reads its byte before it looks where the message ends.
        path_.boolean(message.get_uint64() != 0);
        return;
      case Shape::kIntOrString:
        return int_or_string(message.get_message());
      case Shape::kTime:
        return time(message.get_message());
    }
  }

  void object(const pbf_reader& message) {
    if (path_.begin_object() != Next::kRead) return;
    fields(message);
    path_.end_object();
  }

  // map<string, string> is a repeated message { key = 1, value = 2 }.
  void entry(const pbf_reader& message) {
    std::string_view key;
    std::string_view text;
    each_text(message, [&](unsigned tag, std::string_view bytes) {
      if (tag == 1) key = bytes;
      if (tag == 2) text = bytes;
    });
    if (key.size() > kMaxKeyBytes) {
      path_.key_too_long();
    } else if (!is_utf8(key)) {
      path_.refuse_key("a key that is not UTF-8");
    } else if (path_.key(key) == Next::kRead) {
      string(text, true);
    }
  }

  void integer(std::int64_t value) {
    if (value == 0) {
      path_.absent();
    } else {
      path_.integer(value);
    }
  }

  // util/intstr: { type = 1 (0: int, 1: string), intVal = 2, strVal = 3 }
  void int_or_string(pbf_reader message) {
    std::int64_t type = 0;
    std::int64_t number = 0;
    std::string_view text;
    while (message.next()) {
      if (message.tag() == 1 && is_varint(message)) {
        type = message.get_int64();
      } else if (message.tag() == 2 && is_varint(message)) {
        number = message.get_int64();
      } else if (message.tag() == 3 && is_bytes(message)) {
        text = text_of(message);
      } else {
        message.skip();
      }
    }
    if (type == 0) {
      integer(number);
    } else {
      string(text, false);
    }
  }

  // metav1.Time: { seconds = 1, nanos = 2 }; the zero time is written as an empty message.
  void time(pbf_reader message) {
    std::optional<std::int64_t> seconds;
    while (message.next()) {
      if (message.tag() == 1 && is_varint(message)) {
        seconds = message.get_int64();
      } else {
        message.skip();
      }
    }
    if (seconds) {
      path_.time(*seconds);
    } else {
      path_.absent();
    }
  }

  PathReader& path_;
};

}  // namespace

std::string why_no_text(std::string_view text) {
  if (text.size() > kMaxStringBytes) {
    return "a string of more than " + std::to_string(kMaxStringBytes) + " bytes";
  }
  return is_utf8(text) ? "" : "text that is not UTF-8 where a string belongs";
}

bool read_type_meta(std::string_view message, Envelope& to, std::string& why) {
  return guarded(why, [&] {
    each_text(reader_of(message), [&](unsigned tag, std::string_view text) {
      if (tag == 1) to.api_version = text;
      if (tag == 2) to.kind = text;
    });
  });
}

std::optional<Envelope> open_envelope(std::string_view bytes, std::string& why) {
  if (!bytes.starts_with(kProtoMagic)) {
    why = "not protobuf: it does not begin with \"k8s\"";
    return std::nullopt;
  }
  Envelope envelope;
  bool sound = true;
  const bool read = guarded(why, [&] {
    each_text(reader_of(bytes.substr(kProtoMagic.size())),
              [&](unsigned tag, std::string_view text) {
                if (tag == 1) sound = sound && read_type_meta(text, envelope, why);
                if (tag == 2) envelope.raw = text;
              });
  });
  return read && sound ? std::optional(envelope) : std::nullopt;
}

// { message = 3, reason = 4, details = 5 { retryAfterSeconds = 5 }, code = 6 }
Refusal read_status(std::string_view message, ApiStatus& to) {
  Refusal refusal;
  const auto take = [&](std::string_view text, const char* field, std::string& member) {
    if (std::string why = why_no_text(text); why.empty()) {
      member = text;
    } else {
      refusal = {field, std::move(why)};
    }
  };
  const auto number = [](pbf_reader& field) {
    return static_cast<int>(std::max<std::int32_t>(field.get_int32(), 0));
  };
  std::string why;
  const bool read = guarded(why, [&] {
    pbf_reader status = reader_of(message);
    while (status.next()) {
      if (status.tag() == 3 && is_bytes(status)) {
        take(text_of(status), "message", to.message);
      } else if (status.tag() == 4 && is_bytes(status)) {
        take(text_of(status), "reason", to.reason);
      } else if (status.tag() == 5 && is_bytes(status)) {
        pbf_reader details = status.get_message();
        while (details.next()) {
          if (details.tag() == 5 && is_varint(details)) {
            to.retry_after_seconds = number(details);
          } else {
            details.skip();
          }
        }
      } else if (status.tag() == 6 && is_varint(status)) {
        to.code = number(status);
      } else {
        status.skip();
      }
    }
  });
  if (!read) refusal = {.field = {}, .reason = std::move(why)};
  return refusal;
}

// { resourceVersion = 2, continue = 3 }
bool read_list_meta(std::string_view message, ListMeta& to, std::string& why) {
  return guarded(why, [&] {
    each_text(reader_of(message), [&](unsigned tag, std::string_view text) {
      if (tag == 2) to.resource_version = text;
      if (tag == 3) to.continue_token = text;
    });
  });
}

bool read_event(std::string_view message, WatchEvent& to, std::string& why) {
  return guarded(why, [&] {
    each_text(reader_of(message), [&](unsigned tag, std::string_view text) {
      if (tag == 1) to.type = text;
      if (tag != 2) return;
      each_text(reader_of(text), [&](unsigned inner, std::string_view raw) {
        if (inner == 1) to.object = raw;
      });
    });
  });
}

bool ProtoReader::read(const Envelope& envelope, std::string& why) {
  path_.reset();
  path_.begin_object();
  Walk walk(path_);
  for (const auto& [key, text] :
       {std::pair{"kind", envelope.kind}, std::pair{"apiVersion", envelope.api_version}}) {
    if (!text.empty() && path_.key(key) == Next::kRead) walk.string(text, false);
  }
  const bool read = guarded(why, [&] { walk.fields(reader_of(envelope.raw)); });
  if (read) path_.end_object();
  return read;
}

}  // namespace k8s::doc
