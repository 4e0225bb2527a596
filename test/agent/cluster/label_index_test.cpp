// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/label_index.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace {

using agent::LabelIndex;

// One Pod or Service in the index, with what it was made from.
struct Item {
  LabelIndex::Member member{};
  std::string ns{};
  k8s::Labels labels{};
};

using Found = std::multiset<const Item*>;
using Items = std::map<int, std::unique_ptr<Item>>;

std::unique_ptr<Item> make_item(const std::string& ns, const k8s::Labels& labels) {
  auto item = std::make_unique<Item>();
  item->member.id = item.get();
  item->ns = ns;
  item->labels = labels;
  return item;
}

// What the API says: every label of a selector that is not empty, in the same namespace.
bool naively_selects(const Item& service, const Item& pod) {
  return service.ns == pod.ns && !service.labels.empty() &&
         std::all_of(service.labels.begin(), service.labels.end(), [&](const auto& wanted) {
           const auto found = pod.labels.find(wanted.first);
           return found != pod.labels.end() && found->second == wanted.second;
         });
}

Found found_services(const LabelIndex& index, const Item& pod) {
  Found found;
  index.services_of(
      pod.member, [&](const auto& service) { found.insert(static_cast<const Item*>(service.id)); });
  return found;
}

Found found_pods(const LabelIndex& index, const Item& service) {
  Found found;
  index.pods_of(service.member,
                [&](const auto& pod) { found.insert(static_cast<const Item*>(pod.id)); });
  return found;
}

void assert_naive(const LabelIndex& index, const Items& pods, const Items& services) {
  for (const auto& [n, pod] : pods) {
    Found expected;
    for (const auto& [m, service] : services) {
      if (naively_selects(*service, *pod)) expected.insert(service.get());
    }
    RC_ASSERT(found_services(index, *pod) == expected);
  }
  for (const auto& [m, service] : services) {
    Found expected;
    for (const auto& [n, pod] : pods) {
      if (naively_selects(*service, *pod)) expected.insert(pod.get());
    }
    RC_ASSERT(found_pods(index, *service) == expected);
  }
}

// A small world, so that labels are shared.
k8s::Labels arbitrary_labels() {
  k8s::Labels labels;
  for (const int n : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 9))) {
    labels["k" + std::to_string(n / 3)] = "v" + std::to_string(n % 3);
  }
  return labels;
}

std::unique_ptr<Item> arbitrary_item() {
  return make_item(*rc::gen::element<std::string>("a", "b"), arbitrary_labels());
}

// How many Services a Pod event checks: those anchored at the Pod's labels.
std::size_t checked_for(const LabelIndex::Member& pod) {
  std::size_t count = 0;
  for (const auto& label : pod.labels) count += label.entry->anchored.size();
  return count;
}

}  // namespace

TEST_CASE("the index finds what naive matching finds, after additions and removals in any order") {
  REQUIRE(rc::check("index equals naive matching", [] {
    LabelIndex index;
    Items pods;
    Items services;
    const int events = *rc::gen::inRange(1, 30);
    for (int i = 0; i < events; ++i) {
      const int n = *rc::gen::inRange(0, 6);
      const bool is_pod = *rc::gen::arbitrary<bool>();
      Items& items = is_pod ? pods : services;
      // Coming again replaces; coming and going are equally likely.
      if (const auto old = items.find(n); old != items.end()) {
        if (is_pod) {
          index.remove_pod(old->second->member);
        } else {
          index.remove_service(old->second->member);
        }
        items.erase(old);
        if (*rc::gen::arbitrary<bool>()) continue;
      }
      Item& item = *(items[n] = arbitrary_item());
      if (is_pod) {
        index.add_pod(item.member, item.ns, item.labels);
      } else {
        index.add_service(item.member, item.ns, item.labels);
      }
    }
    assert_naive(index, pods, services);
    for (const auto& [n, pod] : pods) index.remove_pod(pod->member);
    for (const auto& [n, service] : services) index.remove_service(service->member);
    RC_ASSERT(index.entry_count() == 0u);
  }));
}

TEST_CASE(
    "the entry of a label is shared by all with that label and removed with the last of them") {
  LabelIndex index;
  const auto pod = make_item("a", {{"app", "web"}, {"tier", "front"}});
  const auto twin = make_item("a", {{"app", "web"}});
  const auto service = make_item("a", {{"app", "web"}});
  index.add_pod(pod->member, pod->ns, pod->labels);
  CHECK(index.entry_count() == 2);
  index.add_pod(twin->member, twin->ns, twin->labels);
  index.add_service(service->member, service->ns, service->labels);
  CHECK(index.entry_count() == 2);
  index.remove_pod(pod->member);
  CHECK(index.entry_count() == 1);
  index.remove_pod(twin->member);
  CHECK(index.entry_count() == 1);
  index.remove_service(service->member);
  CHECK(index.entry_count() == 0);
}

TEST_CASE("the same label in another namespace is another label") {
  LabelIndex index;
  const auto pod = make_item("a", {{"app", "web"}});
  const auto service = make_item("b", {{"app", "web"}});
  index.add_pod(pod->member, pod->ns, pod->labels);
  index.add_service(service->member, service->ns, service->labels);
  CHECK(index.entry_count() == 2);
  CHECK(found_services(index, *pod).empty());
  CHECK(found_pods(index, *service).empty());
}

TEST_CASE("labels that differ only in where the key ends are different labels") {
  LabelIndex index;
  const auto pod = make_item("a", {{"ab", "c"}});
  const auto service = make_item("a", {{"a", "bc"}});
  index.add_pod(pod->member, pod->ns, pod->labels);
  index.add_service(service->member, service->ns, service->labels);
  CHECK(found_services(index, *pod).empty());
}

TEST_CASE("an empty selector selects nothing") {
  LabelIndex index;
  const auto pod = make_item("a", {{"app", "web"}});
  const auto bare = make_item("a", {});
  const auto service = make_item("a", {});
  index.add_pod(pod->member, pod->ns, pod->labels);
  index.add_pod(bare->member, bare->ns, bare->labels);
  index.add_service(service->member, service->ns, service->labels);
  CHECK(found_pods(index, *service).empty());
  CHECK(found_services(index, *bare).empty());
}

TEST_CASE(
    "a Pod event checks only the Services anchored at its labels, however many others exist") {
  for (const std::size_t count : {10u, 10000u}) {
    INFO(count << " Services");
    LabelIndex index;
    std::vector<std::unique_ptr<Item>> services;
    for (std::size_t i = 0; i < count; ++i) {
      // One label all have in common, and one of their own.
      services.push_back(
          make_item("a", {{"app", "web-" + std::to_string(i)}, {"part-of", "shop"}}));
      index.add_service(services.back()->member, "a", services.back()->labels);
    }
    const auto pod = make_item("a", {{"app", "web-7"}, {"part-of", "shop"}, {"hash", "6d4c"}});
    index.add_pod(pod->member, pod->ns, pod->labels);
    CHECK(found_services(index, *pod) == Found{services[7].get()});
    CHECK(checked_for(pod->member) <= 2);  // its own, and the one that is anchored at "part-of"
  }
}
