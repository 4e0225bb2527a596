// SPDX-License-Identifier: Apache-2.0
//
// Lists, watches and single objects of every kind. The first byte picks kind and frame, the second
// the size of the pieces; whatever the rest is, it must mean the same in one piece and cut up.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/decode.hpp"

namespace {

using namespace k8s;

template <typename T>
struct Outcome {
  std::vector<T> objects;
  std::vector<std::string> notes;
  bool operator==(const Outcome&) const = default;
};

void require(bool holds) {
  if (!holds) std::abort();
}

std::string note(const Meta& meta, const DecodeFault& fault) {
  require(!fault.reason.empty());
  return meta.key.text() + '|' + meta.resource_version + '|' + fault.text();
}

// Feeds `json` in pieces of `size`, stopping at the first that is refused.
template <typename Decoder>
bool feed(Decoder& decoder, std::string_view json, std::size_t size) {
  for (; !json.empty(); json.remove_prefix(std::min(size, json.size()))) {
    if (!decoder.feed(json.substr(0, size))) return false;
  }
  return true;
}

template <typename T>
Outcome<T> read_list(std::string_view json, std::size_t size) {
  Outcome<T> out;
  ListDecoder<T> decoder(
      {.on_item = [&](T item) { out.objects.push_back(std::move(item)); },
       .on_fault = [&](const Meta& m, const DecodeFault& f) { out.notes.push_back(note(m, f)); }});
  const bool good = feed(decoder, json, size) && decoder.finish();
  require(good == decoder.fault().reason.empty());
  // Where a text breaks JSON is told by the byte; the library counts some of them differently when
  // cut.
  out.notes.push_back(good ? decoder.resource_version() + decoder.continue_token() : "refused");
  if (decoder.status() != nullptr) out.notes.push_back(decoder.status()->message);
  return out;
}

template <typename T>
Outcome<T> read_watch(std::string_view json, std::size_t size) {
  Outcome<T> out;
  WatchDecoder<T> decoder(
      {.on_event = [&](WatchVerb, T item) { out.objects.push_back(std::move(item)); },
       .on_error = [&](const ApiStatus& status) { out.notes.push_back(status.message); },
       .on_fault = [&](WatchVerb, const Meta& m,
                       const DecodeFault& f) { out.notes.push_back(note(m, f)); }},
      4096);
  const bool good = feed(decoder, json, size);
  require(good == decoder.fault().reason.empty());
  out.notes.push_back(good ? "good" : "refused");
  return out;
}

template <typename T>
void run(unsigned frame, std::size_t size, std::string_view json) {
  if (frame == 0) {
    require(read_list<T>(json, json.size() + 1) == read_list<T>(json, size));
  } else if (frame == 1) {
    require(read_watch<T>(json, json.size() + 1) == read_watch<T>(json, size));
  } else {
    const auto decoded = decode_object<T>(json);
    require(!decoded.fault.reason.empty() || !decoded.object.meta.key.name.empty());
    require(decoded.fault.text().find('\n') == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const unsigned frame = data[0] / 4 % 3;
  const std::size_t piece = std::size_t{data[1]} % 32 + 1;
  const std::string_view json(reinterpret_cast<const char*>(data) + 2, size - 2);
  switch (data[0] % 4) {
    case 0:
      run<Service>(frame, piece, json);
      break;
    case 1:
      run<Pod>(frame, piece, json);
      break;
    case 2:
      run<Node>(frame, piece, json);
      break;
    default:
      run<EndpointSlice>(frame, piece, json);
      break;
  }
  return 0;
}
