// SPDX-License-Identifier: Apache-2.0
//
// Lists and watches of every kind, in either encoding: any bytes must decode to the same objects
// and faults in one piece and in several.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "k8s/decode/decode.hpp"

namespace fuzz {

using namespace k8s;

template <typename T>
struct Outcome {
  std::vector<T> objects;
  std::vector<std::string> notes;
  bool operator==(const Outcome&) const = default;
};

inline void require(bool holds) {
  if (!holds) std::abort();
}

inline std::string note(const Meta& meta, const DecodeFault& fault) {
  require(!fault.reason.empty());
  return meta.key.text() + '|' + meta.resource_version + '|' + fault.text();
}

// Feeds `bytes` in pieces of `size`; false as soon as one is refused.
template <typename Decoder>
bool feed(Decoder& decoder, std::string_view bytes, std::size_t size) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
    if (!decoder.feed(bytes.substr(0, size))) return false;
  }
  return true;
}

template <typename T>
Outcome<T> read_list(std::string_view body, std::size_t size, MediaType type) {
  Outcome<T> out;
  ListDecoder<T> decoder(
      {.on_item = [&](T item) { out.objects.push_back(std::move(item)); },
       .on_fault = [&](const Meta& m, const DecodeFault& f) { out.notes.push_back(note(m, f)); },
       .on_left_out = [&](const DecodeFault& f) { out.notes.push_back(note({}, f)); }},
      type);
  const bool good = feed(decoder, body, size) && decoder.finish();
  require(good == decoder.fault().reason.empty());
  // The reason is left out: it names the byte of a JSON error, which can differ with the pieces.
  out.notes.push_back(good ? decoder.resource_version() + decoder.continue_token() : "refused");
  if (decoder.status() != nullptr) out.notes.push_back(decoder.status()->message);
  return out;
}

template <typename T>
Outcome<T> read_watch(std::string_view body, std::size_t size, MediaType type) {
  Outcome<T> out;
  WatchDecoder<T> decoder(
      {.on_event = [&](WatchVerb, T item) { out.objects.push_back(std::move(item)); },
       .on_error = [&](const ApiStatus& status) { out.notes.push_back(status.message); },
       .on_fault = [&](WatchVerb, const Meta& m,
                       const DecodeFault& f) { out.notes.push_back(note(m, f)); }},
      4096, type);
  const bool good = feed(decoder, body, size);
  require(good == decoder.fault().reason.empty());
  out.notes.push_back(good ? "good" : "refused");
  return out;
}

template <typename T>
void check_frames(unsigned frame, std::size_t size, std::string_view body, MediaType type) {
  if (frame == 0) {
    require(read_list<T>(body, body.size() + 1, type) == read_list<T>(body, size, type));
  } else {
    require(read_watch<T>(body, body.size() + 1, type) == read_watch<T>(body, size, type));
  }
}

// Calls `run` with an object of the kind that `kind` selects.
template <typename Run>
void for_kind(unsigned kind, Run run) {
  switch (kind % 4) {
    case 0:
      return run(Service());
    case 1:
      return run(Pod());
    case 2:
      return run(Node());
    default:
      return run(EndpointSlice());
  }
}

}  // namespace fuzz
