// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/desired.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace ipvs;
using Elements = std::map<Element, Element, ElementKeyLess>;

Address address(std::uint32_t last) { return boost::asio::ip::address_v4(0x0A600000U + last); }

// Few keys with few values, so that lists have much in common.
std::vector<Element> any_elements() {
  Elements elements;
  const auto count = *rc::gen::inRange(0, 6);
  for (int i = 0; i < count; ++i) {
    Element element{};
    element.kind = *rc::gen::element(ElementKind::kServiceIp, ElementKind::kVirtualIp);
    element.address = address(*rc::gen::inRange<std::uint32_t>(0, 4));
    if (element.kind == ElementKind::kServiceIp) {
      element.port = *rc::gen::element<std::uint16_t>(80, 443);
      element.traffic_class = *rc::gen::element(TrafficClass::kClusterIp, TrafficClass::kExternal);
    }
    elements.insert_or_assign(element, element);
  }
  std::vector<Element> ordered;
  for (const auto& [key, element] : elements) ordered.push_back(element);
  return ordered;
}

Elements by_key(const std::vector<Element>& elements) {
  Elements found;
  for (const Element& element : elements) found.insert_or_assign(element, element);
  return found;
}

// The keys that one of them lacks or has another value for.
std::set<Element, ElementKeyLess> different(const Elements& a, const Elements& b) {
  std::set<Element, ElementKeyLess> keys;
  for (const auto* side : {&a, &b}) {
    for (const auto& [key, element] : *side) {
      const auto in_a = a.find(key);
      const auto in_b = b.find(key);
      if (in_a == a.end() || in_b == b.end() || !(in_a->second == in_b->second)) keys.insert(key);
    }
  }
  return keys;
}

bool same_keys(const std::set<Element, ElementKeyLess>& a,
               const std::set<Element, ElementKeyLess>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Element& x, const Element& y) { return x.same_key(y); });
}

}  // namespace

TEST_CASE("the dirty keys are those whose wanted value changed, and no others") {
  REQUIRE(rc::check("one owner", [] {
    Desired desired;
    const std::vector<Element> before = any_elements();
    const std::vector<Element> after = any_elements();
    desired.set("default/web", {.elements = before});
    (void)desired.take_dirty();
    desired.set("default/web", {.elements = after});
    RC_ASSERT(same_keys(desired.take_dirty().elements, different(by_key(before), by_key(after))));
    RC_ASSERT(desired.elements() == after);
  }));
}

TEST_CASE("an element is wanted as long as one of its owners wants it") {
  REQUIRE(rc::check("two owners", [] {
    Desired desired;
    std::map<std::string, std::vector<Element>> plans;
    for (int step = 0; step < 8; ++step) {
      const auto owner = *rc::gen::element<std::string>("default/a", "default/b");
      std::vector<Element> next = any_elements();
      // Two Services never want one element with different values: claims decide that.
      for (Element& element : next) element.traffic_class = TrafficClass::kExternal;
      plans[owner] = next;
      desired.set(owner, {.elements = next});
      Elements wanted;
      for (const auto& [name, elements] : plans) wanted.merge(by_key(elements));
      RC_ASSERT(by_key(desired.elements()) == wanted);
    }
  }));
}

TEST_CASE("after a comparison with what is held, exactly the differences are dirty") {
  REQUIRE(rc::check("comparison", [] {
    Desired desired;
    const std::vector<Element> wanted = any_elements();
    const std::vector<Element> held = any_elements();
    desired.set("default/web", {.elements = wanted});
    desired.compare_elements(held);
    RC_ASSERT(same_keys(desired.take_dirty().elements, different(by_key(wanted), by_key(held))));
  }));
}

TEST_CASE("addresses of a plan that changes are dirty if they come or go") {
  Desired desired;
  desired.set("default/a", {.addresses = {address(1), address(2)}});
  desired.set("default/b", {.addresses = {address(2)}});
  (void)desired.take_dirty();
  desired.set("default/a", {.addresses = {address(0), address(1)}});
  CHECK(desired.take_dirty().addresses == std::set<Address>{address(0)});
  desired.set("default/b", {.addresses = {address(1)}});
  CHECK(desired.take_dirty().addresses == std::set<Address>{address(2)});
  CHECK(desired.addresses() == std::vector<Address>{address(0), address(1)});
}
