// SPDX-License-Identifier: Apache-2.0
//
// What is specific to protobuf in lists and watches. property_test.cpp checks that protobuf and
// JSON are decoded to the same objects.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <protozero/pbf_writer.hpp>

#include "k8s/decode/decode.hpp"
#include "k8s/decode/proto_reader.hpp"
#include "k8s/decode/values.hpp"
#include "test/k8s/decode/encode.hpp"
#include "test/k8s/decode/encode_proto.hpp"

namespace {

using namespace k8s;
using k8s::test::event_json;
using k8s::test::event_proto;
using k8s::test::events_to_proto;
using k8s::test::list_json;
using k8s::test::status_json;
using k8s::test::to_proto;

struct Result {
  std::vector<std::string> seen;  // objects, faults, errors
  bool good = true;
  std::string fault;
  std::string ends;  // of a list: resource version, continue token, status
  bool operator==(const Result&) const = default;
};

std::string text_of(const Pod& pod) {
  std::string text = pod.meta.key.text() + "@" + pod.meta.resource_version;
  for (const Address& ip : pod.pod_ips) text += " " + ip.to_string();
  return text + (pod.ready ? " ready" : "");
}

template <typename Decoder>
void feed(Decoder& decoder, std::string_view bytes, std::size_t piece, Result& result) {
  for (; !bytes.empty() && result.good; bytes.remove_prefix(std::min(piece, bytes.size()))) {
    result.good = decoder.feed(bytes.substr(0, piece));
  }
}

Result read_list(std::string_view bytes, std::size_t piece = 1 << 20) {
  Result result;
  ListDecoder<Pod> decoder(
      {.on_item = [&](Pod pod) { result.seen.push_back(text_of(pod)); },
       .on_fault = [&](const Meta&,
                       const DecodeFault& fault) { result.seen.push_back(fault.text()); },
       .on_left_out = [&](const DecodeFault& fault) { result.seen.push_back(fault.text()); }},
      MediaType::kProtobuf);
  feed(decoder, bytes, piece, result);
  result.good = result.good && decoder.finish();
  result.fault = decoder.fault().text();
  result.ends = decoder.resource_version() + "," + decoder.continue_token();
  if (const ApiStatus* status = decoder.status()) {
    result.ends = std::to_string(status->code) + " " + status->reason + ": " + status->message +
                  ", " + std::to_string(status->retry_after_seconds) + " s";
  }
  return result;
}

Result read_watch(std::string_view bytes, std::size_t piece = 1 << 20,
                  std::size_t max_event_bytes = 16u << 20) {
  Result result;
  WatchDecoder<Pod> decoder(
      {.on_event =
           [&](WatchVerb verb, Pod pod) {
             result.seen.push_back(std::to_string(int(verb)) + " " + text_of(pod));
           },
       .on_error =
           [&](const ApiStatus& status) {
             result.seen.push_back(std::to_string(status.code) + " " + status.reason);
           },
       .on_fault = [&](WatchVerb, const Meta&,
                       const DecodeFault& fault) { result.seen.push_back(fault.text()); }},
      max_event_bytes, MediaType::kProtobuf);
  feed(decoder, bytes, piece, result);
  result.fault = decoder.fault().text();
  CHECK(decoder.is_too_long() == result.fault.starts_with("an event of more than"));
  return result;
}

// The JSON of a Pod; `more` follows its status.
std::string pod(const std::string& name, const std::string& more = "") {
  return R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":")" + name +
         R"(","namespace":"shop","resourceVersion":"5"},"status":{"podIP":"10.0.0.1"})" + more +
         "}";
}
const std::string kBroken =
    R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"bad","namespace":"Shop"}})";

std::string list() {
  return to_proto(list_json("Pod", {pod("a"), kBroken, pod("b")}, "100", "more"));
}
std::string watch() {
  return events_to_proto(event_json("ADDED", pod("a")) + event_json("MODIFIED", kBroken) +
                         event_json("DELETED", pod("b")) +
                         event_json("BOOKMARK", test::bookmark_json("Pod", "777")) +
                         event_json("ERROR", status_json(410, "Expired", "too old")));
}

// An object in its envelope; `raw` is its message.
std::string enveloped(const std::string& kind, const std::string& raw,
                      const std::string& api_version = "v1") {
  std::string type;
  protozero::pbf_writer type_meta(type);
  type_meta.add_string(1, api_version);
  type_meta.add_string(2, kind);
  std::string bytes(doc::kProtoMagic);
  protozero::pbf_writer unknown(bytes);
  unknown.add_message(1, type);
  unknown.add_message(2, raw);
  return bytes;
}

using Write = std::function<void(protozero::pbf_writer&)>;

std::string message(const Write& write) {
  std::string bytes;
  protozero::pbf_writer to(bytes);
  write(to);
  return bytes;
}

// A list of one Pod named a. `meta` may add to its metadata, `more` to the Pod.
Result read_pod(const Write& more, const Write& meta = {}) {
  const std::string item = message([&](auto& to) {
    to.add_message(1, message([&](auto& own) {
                     own.add_string(1, "a");
                     if (meta) meta(own);
                   }));
    more(to);
  });
  return read_list(enveloped("PodList", message([&](auto& to) { to.add_message(2, item); })));
}
Result read_meta(const Write& meta) {
  return read_pod([](auto&) {}, meta);
}

}  // namespace

TEST_CASE("a protobuf list delivers each item, its version and its continue token") {
  const Result result = read_list(list());
  CHECK(result.good);
  CHECK(result.seen ==
        std::vector<std::string>{
            "shop/a@5 10.0.0.1",
            "Pod \"Shop/bad\": metadata.namespace: \"Shop\" is not a namespace (RFC 1123 label)",
            "shop/b@5 10.0.0.1"});
  CHECK(result.ends == "100,more");
}

TEST_CASE("protobuf is decoded to the same objects wherever its bytes are split") {
  const Result whole_list = read_list(list());
  const Result whole_watch = read_watch(watch());
  for (std::size_t piece = 1; piece < 80; ++piece) {
    INFO("pieces of " << piece);
    REQUIRE(read_list(list(), piece) == whole_list);
    REQUIRE(read_watch(watch(), piece) == whole_watch);
  }
}

TEST_CASE("a truncated protobuf list is always a fault") {
  // After the list itself the envelope has two empty strings of two bytes each.
  const std::string bytes = list();
  for (std::size_t i = 0; i + 4 < bytes.size(); ++i) {
    const Result result = read_list(std::string_view(bytes).substr(0, i));
    REQUIRE_FALSE(result.good);
    REQUIRE(result.fault == "not protobuf: it ends inside the message");
  }
}

TEST_CASE("a protobuf Status instead of a list is reported with its retry time") {
  const Result result = read_list(to_proto(status_json(429, "TooManyRequests", "slow down", 7)));
  CHECK(result.good);
  CHECK(result.ends == "429 TooManyRequests: slow down, 7 s");
  CHECK(result.seen.empty());
}

TEST_CASE("a protobuf watch delivers events, faults, bookmarks and errors in order") {
  const Result result = read_watch(watch());
  CHECK(result.good);
  CHECK(result.seen ==
        std::vector<std::string>{
            "0 shop/a@5 10.0.0.1",
            "Pod \"Shop/bad\": metadata.namespace: \"Shop\" is not a namespace (RFC 1123 label)",
            "2 shop/b@5 10.0.0.1", "3 @777", "410 Expired"});
}

TEST_CASE("a body that is not a protobuf list of this kind is a fault") {
  CHECK(read_list("<html>").fault == "not protobuf: it does not begin with \"k8s\"");
  CHECK(read_list("").fault == "not protobuf: it ends inside the message");
  CHECK(read_list(to_proto(list_json("Service", {}, "1"))).fault ==
        "kind: \"ServiceList\" where PodList belongs");
  const std::string magic(doc::kProtoMagic);
  // The list before its kind; a field that is not a message; a field longer than its message.
  CHECK(read_list(magic + "\x12\x02\x12\x00").fault == "kind: missing");
  CHECK(read_list(magic + "\x08\x01").fault == "not protobuf: invalid start of a field");
  CHECK(read_list(enveloped("PodList", std::string("\x12\x05") + "abc")).fault ==
        "not protobuf: a field exceeds its message");
  CHECK(read_list(enveloped("PodList", std::string("\x12\x02\x0a\x7f"))).fault ==
        "items[0]: not protobuf: end of buffer exception");
  CHECK(read_list(magic + "\x0a\xff\xff\xff\xff\x0f").fault ==
        "a field of more than 16777216 bytes");
}

TEST_CASE("an invalid protobuf event ends the watch with a fault, after the events before it") {
  const auto fault = [](const std::string& bytes) {
    const Result result = read_watch(events_to_proto(event_json("ADDED", pod("a"))) + bytes);
    CHECK_FALSE(result.good);
    CHECK(result.seen.size() == 1);
    return result.fault;
  };
  CHECK(fault(event_proto("MOVED", to_proto(pod("b")))) == "type: \"MOVED\" is not an event type");
  CHECK(fault(event_proto("", to_proto(pod("b")))) == "type: missing");
  CHECK(fault(std::string("\0\0\0\0", 4)) == "type: missing");
  CHECK(fault(event_proto("ADDED", pod("b"))) ==
        "object: not protobuf: it does not begin with \"k8s\"");
  CHECK(fault(std::string("\0\0\0\2\x0a\x05", 6)) == "not protobuf: end of buffer exception");
  CHECK(fault(std::string("\0\0\0\7\x0a\5ADDED", 11)) == "object: missing");
}

TEST_CASE("a protobuf event larger than allowed ends the watch before it is read") {
  const std::string event = events_to_proto(event_json("ADDED", pod("a")));
  const std::size_t exact = event.size() - 4;
  CHECK(read_watch(event + event, 1 << 20, exact).seen.size() == 2);
  const Result result = read_watch(event, 1, exact - 1);
  CHECK(result.fault == "an event of more than " + std::to_string(exact - 1) + " bytes");
  CHECK(result.seen.empty());
}

TEST_CASE("elements of a repeated field need not be adjacent in protobuf") {
  const Result result = read_pod([](auto& to) {
    to.add_message(3, message([](auto& status) {
                     status.add_message(12,
                                        message([](auto& ip) { ip.add_string(1, "10.0.0.1"); }));
                     status.add_string(1, "Running");
                     status.add_message(12, message([](auto& ip) { ip.add_string(1, "fd00::1"); }));
                   }));
  });
  CHECK(result.seen == std::vector<std::string>{"a@ 10.0.0.1 fd00::1"});
}

TEST_CASE("elements of a repeated protobuf field are counted across other fields") {
  const auto address = [](const char* text) {
    return message([&](auto& ip) { ip.add_string(1, text); });
  };
  const Result named = read_pod([&](auto& to) {
    to.add_message(3, message([&](auto& status) {
                     status.add_message(12, address("10.0.0.1"));
                     status.add_string(1, "Running");
                     status.add_message(12, address("web"));
                   }));
  });
  CHECK(named.seen ==
        std::vector<std::string>{"Pod a: status.podIPs[1].ip: \"web\" is not an IP address",
                                 "a@ 10.0.0.1"});

  constexpr std::uint32_t kUnknown = 1000;
  const Result elements = read_pod([](auto& to) {
    to.add_message(2, message([](auto& spec) {
                     for (std::size_t i = 0; i <= doc::kMaxElements; ++i) {
                       spec.add_message(2, std::string());
                       spec.add_bool(kUnknown, true);
                     }
                   }));
  });
  CHECK(elements.seen ==
        std::vector<std::string>{"Pod a: spec.containers[16384]: more than 16384 elements", "a@"});

  const Result entries = read_meta([](auto& meta) {
    for (std::size_t i = 0; i <= doc::kMaxElements; ++i) {
      meta.add_message(11, message([](auto& entry) { entry.add_string(1, "k"); }));
      meta.add_bool(kUnknown, true);
    }
  });
  CHECK(entries.seen ==
        std::vector<std::string>{"Pod a: metadata.labels: more than 16384 entries", "a@"});
}

TEST_CASE("text in the frame of a protobuf list or watch must be UTF-8 and of limited length") {
  const std::string long_text(70'000, 'x');
  const std::string too_long = "a string of more than 65536 bytes";
  const std::string not_utf8 = "text that is not UTF-8 where a string belongs";
  for (const auto& bad : {std::pair{long_text, too_long}, {"\xff", not_utf8}}) {
    const auto& text = bad.first;  // clang 14 captures no structured bindings
    const auto& why = bad.second;
    INFO(why);
    const auto with = [&](std::uint32_t field) {
      return message([&](auto& to) { to.add_string(field, text); });
    };
    const auto list_meta = [&](std::uint32_t field) {
      return read_list(
                 enveloped("PodList", message([&](auto& to) { to.add_message(1, with(field)); })))
          .fault;
    };
    CHECK(list_meta(2) == "metadata.resourceVersion: " + why);
    CHECK(list_meta(3) == "metadata.continue: " + why);
    CHECK(read_list(enveloped("Status", with(3))).fault == "message: " + why);
    CHECK(read_list(enveloped("Status", with(4))).fault == "reason: " + why);
    CHECK(read_list(enveloped(text, "")).fault == "kind: " + why);
    CHECK(read_list(enveloped("PodList", "", text)).fault == "apiVersion: " + why);

    CHECK(read_watch(event_proto(text, enveloped("Pod", ""))).fault == "type: " + why);
    // A wrong kind or version of an object refuses the object, not the watch, as in JSON.
    CHECK(read_watch(event_proto("ADDED", enveloped(text, ""))).seen ==
          std::vector<std::string>{"Pod: kind: " + why});
    CHECK(read_watch(event_proto("ADDED", enveloped("Pod", "", text))).seen ==
          std::vector<std::string>{"Pod: apiVersion: " + why});

    // The code of an error is still used if its text is refused.
    const std::string expired = message([&](auto& status) {
      status.add_string(4, text);
      status.add_int32(6, 410);
    });
    CHECK(read_watch(event_proto("ERROR", enveloped("Status", expired))).seen ==
          std::vector<std::string>{"410 "});
  }
}

TEST_CASE("a protobuf map key that is not UTF-8 is reported, even if the key is not kept") {
  const auto fault = [](std::uint32_t map) {
    return read_meta([&](auto& meta) {
             meta.add_message(map, message([](auto& entry) { entry.add_string(1, "x\xff"); }));
           })
        .seen;
  };
  using Seen = std::vector<std::string>;
  CHECK(fault(11) == Seen{"Pod a: metadata.labels: a key that is not UTF-8", "a@"});
  CHECK(fault(12) == Seen{"Pod a: metadata.annotations: a key that is not UTF-8", "a@"});
}

TEST_CASE("v1beta1 in protobuf, which is never requested, is refused in a list and in a watch") {
  const std::string refused =
      ": \"discovery.k8s.io/v1beta1\" in protobuf, which is read by the field numbers of v1";
  const std::string version = "discovery.k8s.io/v1beta1";
  CHECK(read_list(enveloped("PodList", "", version)).fault == "apiVersion" + refused);
  const Result watch = read_watch(event_proto("ADDED", enveloped("Pod", "", version)));
  CHECK(watch.fault == "object.apiVersion" + refused);
  CHECK(watch.seen.empty());
}

TEST_CASE("an invalid protobuf field is left out, by name, and the object is there") {
  const auto fault = [](const Write& write) {
    const Result result = read_pod(write);
    CHECK(result.good);
    REQUIRE_FALSE(result.seen.empty());
    return result.seen.front();
  };
  const auto spec = [&](const Write& write) {
    return fault([&](auto& to) { to.add_message(2, message(write)); });
  };
  CHECK(spec([](auto& to) { to.add_string(10, "\xff"); }) ==
        "Pod a: spec.nodeName: text that is not UTF-8 where a string belongs");
  CHECK(spec([](auto& to) { to.add_string(10, std::string(70'000, 'x')); }) ==
        "Pod a: spec.nodeName: a string of more than 65536 bytes");
  CHECK(spec([](auto& to) { to.add_uint64(2, 5); }) ==
        "Pod a: spec.containers[0]: a number where an object belongs");
  CHECK(spec([](auto& to) {
          to.add_string(10, "n");
          to.add_string(10, "n");
        }) == "Pod a: spec.nodeName: given twice");
  CHECK(spec([](auto& to) {
          for (int i = 0; i < 2; ++i) {
            to.add_message(2, message([&](auto& container) {
                             container.add_message(6, message([&](auto& port) {
                                                     port.add_int32(3, i == 0 ? 80 : 70'000);
                                                   }));
                           }));
          }
        }) ==
        "Pod a: spec.containers[1].ports[0].containerPort: 70000 is not a port number "
        "(1-65535)");
  CHECK(fault([](auto& to) { to.add_string(1, "again"); }) == "Pod a: metadata: given twice");
}

TEST_CASE("a truncated protobuf boolean is not read beyond the end of its message") {
  const std::string body =
      std::string(doc::kProtoMagic) + "\x0a\x09\x12\x07PodList" + "\x12\x05\x12\x03\x12\x01\x58";
  const std::vector<char> exact(body.begin(), body.end());  // without a terminating zero
  const Result result = read_list({exact.data(), exact.size()});
  CHECK(result.fault == "items[0]: not protobuf: end of buffer exception");
}

TEST_CASE("a protobuf time out of range is left out, and ignored without a word for a condition") {
  const auto time = [](std::int64_t seconds) {
    return message([&](auto& to) { to.add_int64(1, seconds); });
  };
  const Result result = read_meta([&](auto& meta) { meta.add_message(9, time(INT64_MIN)); });
  CHECK(result.seen ==
        std::vector<std::string>{
            "Pod a: metadata.deletionTimestamp: -9223372036854775808 s is not a time", "a@"});
  const Result pod = read_pod([&](auto& to) {
    to.add_message(3, message([&](auto& status) {
                     status.add_message(2, message([&](auto& condition) {
                                          condition.add_string(1, "Ready");
                                          condition.add_string(2, "True");
                                          condition.add_message(4, time(INT64_MAX));
                                        }));
                   }));
  });
  CHECK(pod.seen == std::vector<std::string>{"a@ ready"});
}

TEST_CASE("is_utf8 accepts all of UTF-8 and nothing else") {
  for (const char* good :
       {"", "plain text of some length", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "12345678\xc3\xa9", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    INFO(good);
    CHECK(is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xc0\xaf", "\xc3", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "abcdefgh\xff"}) {
    INFO(bad);
    CHECK_FALSE(is_utf8(bad));
  }
}
