// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <utility>

#include "k8s/decode/decode.hpp"
#include "test/k8s/decode/encode.hpp"

namespace {

using namespace k8s;
using k8s::test::event_json;
using k8s::test::list_json;
using k8s::test::status_json;
using k8s::test::to_json;

Pod pod(const std::string& name) {
  Pod result;
  result.meta.key = {"shop", name};
  result.meta.resource_version = "5";
  result.meta.labels = {{"app", "w\xc3\xa9\"b\\"}, {"k", ""}};
  result.pod_ips = {boost::asio::ip::make_address("10.0.0.1")};
  result.ports = {{"http", Protocol::kTcp, 8080}};
  result.ready = true;
  return result;
}

struct ListResult {
  std::vector<Pod> items;
  std::vector<std::string> faults;
  bool good = false;
  std::string fault;
  std::string resource_version;
  std::string continue_token;
  std::optional<std::string> status;
  bool operator==(const ListResult&) const = default;
};

// Decodes the text in the pieces that `cut` splits it into.
template <typename Cut>
ListResult read_list(std::string_view json, Cut cut) {
  ListResult result;
  ListDecoder<Pod> decoder({
      .on_item = [&](Pod item) { result.items.push_back(std::move(item)); },
      .on_fault =
          [&](const Meta& meta, const DecodeFault& fault) {
            result.faults.push_back(meta.key.text() + "|" + fault.text());
          },
  });
  result.good = true;
  cut(json, [&](std::string_view piece) { result.good = result.good && decoder.feed(piece); });
  result.good = result.good && decoder.finish();
  result.fault = decoder.fault().text();
  result.resource_version = decoder.resource_version();
  result.continue_token = decoder.continue_token();
  if (const ApiStatus* status = decoder.status()) {
    result.status = std::to_string(status->code) + " " + status->reason + " " + status->message +
                    " " + std::to_string(status->retry_after_seconds);
  }
  return result;
}

struct WatchResult {
  std::vector<std::pair<WatchVerb, Pod>> events;
  std::vector<std::string> others;
  bool good = true;
  std::string fault;
  bool operator==(const WatchResult&) const = default;
};

template <typename Cut>
WatchResult read_watch(std::string_view json, Cut cut, std::size_t max_event_bytes = 16u << 20) {
  WatchResult result;
  WatchDecoder<Pod> decoder(
      {
          .on_event = [&](WatchVerb verb,
                          Pod item) { result.events.emplace_back(verb, std::move(item)); },
          .on_error =
              [&](const ApiStatus& status) {
                result.others.push_back(std::to_string(status.code) + " " + status.reason);
              },
          .on_fault =
              [&](WatchVerb verb, const Meta& meta, const DecodeFault& fault) {
                result.others.push_back(std::to_string(int(verb)) + "|" + meta.key.text() + "|" +
                                        meta.resource_version + "|" + fault.text());
              },
      },
      max_event_bytes);
  cut(json, [&](std::string_view piece) { result.good = result.good && decoder.feed(piece); });
  result.fault = decoder.fault().text();
  return result;
}

const auto whole = [](std::string_view text, auto feed) { feed(text); };
const auto bytewise = [](std::string_view text, auto feed) {
  for (std::size_t i = 0; i < text.size(); ++i) feed(text.substr(i, 1));
};
auto cut_at(std::size_t offset) {
  return [offset](std::string_view text, auto feed) {
    feed(text.substr(0, offset));
    feed(text.substr(offset));
  };
}

const std::string kBroken = R"({"apiVersion":"v9","metadata":{"name":"bad","namespace":"shop",)"
                            R"("resourceVersion":"8","labels":{"\u00e9\ud83d\ude00":"1"}}})";

std::string mixed_list() {
  return list_json("Pod", {to_json(pod("a")), kBroken, to_json(pod("b"))}, "100", "more\"");
}

std::string mixed_watch() {
  return event_json("ADDED", to_json(pod("a"))) + "\r\n  " + event_json("MODIFIED", kBroken) +
         R"({"object":)" + to_json(pod("b")) + R"(,"type":"DELETED"})" +
         event_json("BOOKMARK", test::bookmark_json("Pod", "777")) +
         event_json("ERROR", status_json(410, "Expired", "too old"));
}

}  // namespace

TEST_CASE("a list delivers each item, its version and its continue token") {
  const auto result = read_list(mixed_list(), whole);
  CHECK(result.good);
  CHECK(result.items == std::vector{pod("a"), pod("b")});
  CHECK(result.faults ==
        std::vector<std::string>{
            "shop/bad|Pod shop/bad: apiVersion: \"v9\" is not served by this reader"});
  CHECK(result.resource_version == "100");
  CHECK(result.continue_token == "more\"");
  CHECK_FALSE(result.status);
}

TEST_CASE("an item is delivered as soon as its last byte has arrived") {
  std::vector<std::string> names;
  ListDecoder<Pod> decoder({.on_item = [&](Pod item) { names.push_back(item.meta.key.name); },
                            .on_fault = [](const Meta&, const DecodeFault&) {}});
  REQUIRE(decoder.feed(R"({"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b")"));
  CHECK(names == std::vector<std::string>{"a"});
  REQUIRE(decoder.feed("}}"));
  CHECK(names == std::vector<std::string>{"a", "b"});
  ListDecoder<Pod> moved = std::move(decoder);
  REQUIRE(moved.feed(R"(],"metadata":{"resourceVersion":"3"},"kind":"PodList"})"));
  REQUIRE(moved.finish());
  CHECK(moved.resource_version() == "3");
}

TEST_CASE("a list is decoded to the same objects wherever its bytes are split") {
  const std::string json = mixed_list();
  const auto expected = read_list(json, whole);
  CHECK(read_list(json, bytewise) == expected);
  for (std::size_t i = 0; i <= json.size(); ++i) {
    INFO("cut at " << i);
    REQUIRE(read_list(json, cut_at(i)) == expected);
  }
}

TEST_CASE("a truncated list is always a fault") {
  const std::string json = mixed_list();
  for (std::size_t i = 0; i + 2 < json.size(); ++i) {
    const auto result = read_list(std::string_view(json).substr(0, i), whole);
    REQUIRE_FALSE(result.good);
    REQUIRE(result.fault == "not JSON: it ends inside the document");
  }
}

TEST_CASE("a Status instead of a list is reported with its retry time") {
  const auto result = read_list(status_json(429, "TooManyRequests", "slow down", 7), whole);
  CHECK(result.good);
  CHECK(result.status == "429 TooManyRequests slow down 7");
  CHECK(result.items.empty());
}

TEST_CASE("a body that is not a list of this kind is a fault") {
  const auto fault = [](std::string_view json) { return read_list(json, whole).fault; };
  CHECK(fault(R"({"kind":"ServiceList","items":[]})") ==
        "kind: \"ServiceList\" where PodList belongs");
  CHECK(fault("{}") == "kind: missing");
  CHECK(fault("[]") == "an array where an object belongs");
  CHECK(fault("<html>") == "not JSON: syntax error at byte 0");
  CHECK(fault(R"({"kind":"PodList","items":[5]})") == "items[0]: a number where an object belongs");
  CHECK(fault(R"({"kind":"PodList","items":[],"items":[]})") == "items: given twice");
  CHECK(fault(R"({"kind":"PodList"}{)") == "not JSON: more text after the document");
  CHECK(fault(R"({"kind":"PodList"} )").empty());
  CHECK(fault(R"({"kind":"PodList","items":null})").empty());
}

TEST_CASE("nothing is decoded after a list has failed") {
  ListDecoder<Pod> decoder({.on_item = [](Pod) { FAIL("an item"); },
                            .on_fault = [](const Meta&, const DecodeFault&) { FAIL("a fault"); }});
  CHECK_FALSE(decoder.feed("nonsense"));
  CHECK_FALSE(decoder.feed(mixed_list()));
  CHECK_FALSE(decoder.finish());
}

TEST_CASE("a watch delivers events, faults, bookmarks and errors in order") {
  const auto result = read_watch(mixed_watch(), whole);
  CHECK(result.good);
  Pod bookmark;
  bookmark.meta.resource_version = "777";
  CHECK(result.events == std::vector<std::pair<WatchVerb, Pod>>{{WatchVerb::kAdded, pod("a")},
                                                                {WatchVerb::kDeleted, pod("b")},
                                                                {WatchVerb::kBookmark, bookmark}});
  CHECK(result.others ==
        std::vector<std::string>{
            "1|shop/bad|8|Pod shop/bad: apiVersion: \"v9\" is not served by this reader",
            "410 Expired"});
}

TEST_CASE("a watch is decoded to the same events wherever its bytes are split") {
  const std::string json = mixed_watch();
  const auto expected = read_watch(json, whole);
  CHECK(read_watch(json, bytewise) == expected);
  for (std::size_t i = 0; i <= json.size(); ++i) {
    INFO("cut at " << i);
    REQUIRE(read_watch(json, cut_at(i)) == expected);
  }
}

TEST_CASE("an event is delivered with its last byte, not with the first byte of the next event") {
  const std::string event = event_json("ADDED", to_json(pod("a")));
  const auto result = read_watch(std::string_view(event).substr(0, event.size() - 1), whole);
  CHECK(result.events.size() == 1);
}

TEST_CASE("an invalid event ends the watch with a fault, after the events before it") {
  const auto fault = [](const std::string& text) {
    const auto result = read_watch(event_json("ADDED", to_json(pod("a"))) + text, whole);
    CHECK_FALSE(result.good);
    CHECK(result.events.size() == 1);
    return result.fault;
  };
  CHECK(fault(R"({"type":"MOVED","object":{}})") == "type: \"MOVED\" is not an event type");
  CHECK(fault(R"({"object":{}})") == "type: missing");
  CHECK(fault(R"({"type":"ADDED"})") == "object: missing");
  CHECK(fault(R"({"type":"ADDED","object":null})") == "object: missing");
  CHECK(fault(R"({"type":"ADDED","object":[]})") == "object: an array where an object belongs");
  CHECK(fault("7 ") == "a number where an object belongs");
  CHECK(fault("}") == "not JSON: syntax error at byte 0");
}

TEST_CASE("an event larger than allowed ends the watch, however it is split") {
  const std::string small = event_json("ADDED", to_json(pod("a")));
  const std::string exact(small.substr(0, small.size() - 1));
  CHECK(read_watch(small + small, whole, exact.size()).events.size() == 2);
  for (const auto& result : {read_watch(small, whole, exact.size() - 1),
                             read_watch(small, bytewise, exact.size() - 1)}) {
    CHECK_FALSE(result.good);
    CHECK(result.events.empty());
    CHECK(result.fault == "an event of more than " + std::to_string(exact.size() - 1) + " bytes");
  }
}

TEST_CASE("the annotations that the agent reads are kept, others are not") {
  for (const char* key : {"kube-ipvs.io/scheduler", "kube-router.io/service.scheduler",
                          "endpoints.kubernetes.io/last-change-trigger-time",
                          "k8s.io/initial-events-end", "service.kubernetes.io/topology-mode"}) {
    CHECK(is_known_annotation(key));
  }
  CHECK_FALSE(is_known_annotation("kubectl.kubernetes.io/last-applied-configuration"));
  CHECK_FALSE(is_known_annotation("kube-ipvs.io"));
}
