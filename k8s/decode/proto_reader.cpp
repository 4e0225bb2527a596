// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/proto_reader.hpp"

#include <algorithm>
#include <protozero/exception.hpp>

#include "k8s/decode/proto_wire.hpp"
#include "k8s/decode/values.hpp"

namespace k8s::doc {
namespace {

using protozero::pbf_reader;

pbf_reader reader_of(std::string_view bytes) { return pbf_reader(bytes.data(), bytes.size()); }

// Runs `read`. False, and `why` is set, if it throws because of malformed protobuf.
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

// Calls `take` for each field that is a string, a message or bytes, and skips all others.
template <typename Take>
void each_text(pbf_reader message, Take take) {
  while (message.next()) {
    if (is_bytes(message)) {
      const unsigned tag = message.tag();  // not available once the value has been read
      take(tag, text_of(message));
    } else {
      message.skip();
    }
  }
}

}  // namespace

std::string text_fault(std::string_view text) {
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
    if (std::string why = text_fault(text); why.empty()) {
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
  walk_.begin();
  walk_.root_text("kind", envelope.kind);
  walk_.root_text("apiVersion", envelope.api_version);
  const bool read = guarded(why, [&] { walk_.message(reader_of(envelope.raw)); });
  if (read) walk_.end();
  return read;
}

}  // namespace k8s::doc
