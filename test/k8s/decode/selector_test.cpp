// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/selector.hpp"

#include <rapidcheck.h>
#include <utility>

#include <catch2/catch_test_macros.hpp>

namespace {

using namespace k8s;
using Op = SelectorOperator;

LabelSelector parsed(std::string_view text) {
  auto result = LabelSelector::parse(text);
  INFO(text);
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

std::string fault(std::string_view text) {
  const auto result = LabelSelector::parse(text);
  return result ? "good: " + result->text() : result.error().text();
}

std::vector<SelectorRequirement> requirements(std::string_view text) {
  return parsed(text).requirements();
}

}  // namespace

// The cases of apimachinery's TestSelectorMatches and TestSetMatches.
TEST_CASE("a selector matches as in Kubernetes") {
  struct Row {
    const char* selector;
    Labels labels;
    bool matches;
  };
  const std::vector<Row> rows{
      {"", {{"x", "y"}}, true},
      {"x=y", {{"x", "y"}}, true},
      {"x=y,z=w", {{"x", "y"}, {"z", "w"}}, true},
      {"x!=y,z!=w", {{"x", "z"}, {"z", "a"}}, true},
      {"notin=in", {{"notin", "in"}}, true},
      {"x", {{"x", "z"}}, true},
      {"!x", {{"y", "z"}}, true},
      {"x>1", {{"x", "2"}}, true},
      {"x<1", {{"x", "0"}}, true},
      {"x=z", {}, false},
      {"x=y", {{"x", "z"}}, false},
      {"x=y,z=w", {{"x", "w"}, {"z", "w"}}, false},
      {"x!=y,z!=w", {{"x", "z"}, {"z", "w"}}, false},
      {"x", {{"y", "z"}}, false},
      {"!x", {{"x", "z"}}, false},
      {"x>1", {{"x", "0"}}, false},
      {"x<1", {{"x", "2"}}, false},
      {"x>1", {{"x", "two"}}, false},
      {"x>1", {}, false},
      {"x<1", {}, false},
      {"foo=bar", {{"foo", "bar"}, {"baz", "blah"}}, true},
      {"foo in (bar,blah)", {{"foo", "blah"}}, true},
      {"foo in (bar,blah)", {{"foo", "x"}}, false},
      {"foo in (bar)", {}, false},
      {"foo notin (bar)", {{"foo", "bar"}}, false},
      {"foo notin (bar)", {{"foo", "x"}}, true},
      {"foo notin (bar)", {}, true},
      {"foo!=bar", {}, true},
      {"foo=", {{"foo", ""}}, true},
      {"foo=", {}, false},
      {"foo in (,)", {{"foo", ""}}, true},
      {"!service.kubernetes.io/service-proxy-name", {{"app", "web"}}, true},
  };
  for (const Row& row : rows) {
    INFO(row.selector);
    CHECK(parsed(row.selector).matches(row.labels) == row.matches);
  }
}

TEST_CASE("every form of the grammar is parsed") {
  CHECK(requirements(" \t\r\n").empty());
  CHECK(requirements("a=b") == std::vector<SelectorRequirement>{{"a", Op::kEquals, {"b"}}});
  CHECK(requirements("a == b") == std::vector<SelectorRequirement>{{"a", Op::kEquals, {"b"}}});
  CHECK(requirements("a!=b") == std::vector<SelectorRequirement>{{"a", Op::kNotEquals, {"b"}}});
  CHECK(requirements("a=") == std::vector<SelectorRequirement>{{"a", Op::kEquals, {""}}});
  CHECK(requirements("a!=,b") ==
        std::vector<SelectorRequirement>{{"a", Op::kNotEquals, {""}}, {"b", Op::kExists, {}}});
  CHECK(requirements("a in(c,b,c)") ==
        std::vector<SelectorRequirement>{{"a", Op::kIn, {"b", "c"}}});
  CHECK(requirements("a notin ( b )") ==
        std::vector<SelectorRequirement>{{"a", Op::kNotIn, {"b"}}});
  CHECK(requirements("a in (b,)") == std::vector<SelectorRequirement>{{"a", Op::kIn, {"", "b"}}});
  CHECK(requirements("a in (,b)") == std::vector<SelectorRequirement>{{"a", Op::kIn, {"", "b"}}});
  CHECK(requirements("a in (b,,c)") ==
        std::vector<SelectorRequirement>{{"a", Op::kIn, {"", "b", "c"}}});
  CHECK(requirements("! a") == std::vector<SelectorRequirement>{{"a", Op::kNotExists, {}}});
  CHECK(requirements("x.io/a>7") ==
        std::vector<SelectorRequirement>{{"x.io/a", Op::kGreaterThan, {"7"}}});
  CHECK(requirements("in in (in,notin)") ==
        std::vector<SelectorRequirement>{{"in", Op::kIn, {"in", "notin"}}});
  CHECK(requirements("notin") == std::vector<SelectorRequirement>{{"notin", Op::kExists, {}}});
  CHECK(requirements("b,a") ==
        std::vector<SelectorRequirement>{{"a", Op::kExists, {}}, {"b", Op::kExists, {}}});
}

TEST_CASE("the canonical text is ordered and has no unnecessary spaces") {
  CHECK(parsed("z == 1 , !y,x notin(b,a),w!=v, u>3").text() == "u>3,w!=v,x notin (a,b),!y,z=1");
  CHECK(parsed("a in (,)").text() == "a in (,)");
  CHECK(parsed("").text().empty());
}

TEST_CASE("an invalid selector is refused with the position and what was expected") {
  CHECK(fault("x=a||y=b").starts_with("at byte 2: \"a||y\" is not a label value"));
  CHECK(fault("x==a==b") == R"t(at byte 4: found "==", expected "," or the end)t");
  CHECK(fault("!x=a") == R"t(at byte 2: found "=", expected "," or the end)t");
  CHECK(fault("x<a") == R"t(at byte 2: "a" is not an integer, which > and < compare)t");
  CHECK(fault("x>") == R"t(at byte 2: "" is not an integer, which > and < compare)t");
  CHECK(fault("x>99999999999999999999") ==
        R"t(at byte 2: "99999999999999999999" is not an integer, which > and < compare)t");
  CHECK(fault("=b") == R"t(at byte 0: found "=", expected a key or "!")t");
  CHECK(fault(",a") == R"t(at byte 0: found ",", expected a key or "!")t");
  CHECK(fault("a,") == R"t(at byte 2: found the end, expected a key or "!")t");
  CHECK(fault("a,,b") == R"t(at byte 2: found ",", expected a key or "!")t");
  CHECK(fault("!") == "at byte 1: found the end, expected a key");
  CHECK(fault("a b") == R"t(at byte 2: found "b", expected an operator )t"
                        R"t((=, ==, !=, in, notin, >, <), "," or the end)t");
  CHECK(fault("a in b") == R"t(at byte 5: found "b", expected "(")t");
  CHECK(fault("a in ()") == R"t(at byte 6: found ")", expected a value (a set has at least one))t");
  CHECK(fault("a in (b") == R"t(at byte 7: found the end, expected a value, "," or ")")t");
  CHECK(fault("a in (b c)") == R"t(at byte 8: found "c", expected "," or ")")t");
  CHECK(fault("a in (b=c)") == R"t(at byte 7: found "=", expected a value, "," or ")")t");
  CHECK(fault("a=b,c=(d)") == R"t(at byte 6: found "(", expected a value)t");
  CHECK(fault("/a").starts_with("at byte 0: \"/a\" is not a label key (the prefix"));
  CHECK(fault("a/b/c").starts_with("at byte 0: \"a/b/c\" is not a label key (the name is"));
  CHECK(fault(std::string(70'000, 'a')) == "at byte 0: a selector of more than 64 KiB");
}

TEST_CASE("label keys and values follow the API's rules") {
  const std::string most(63, 'a');
  for (const std::string& key : {std::string("a"), std::string("A_b.c-9"), std::string("x.io/a"),
                                 most, std::string(253, 'p') + "/" + most}) {
    CHECK(label_key_fault(key).empty());
  }
  for (const std::string& key :
       {std::string(), std::string("-a"), std::string("a-"), std::string("x.io/"),
        std::string("X.io/a"), std::string("a b"), most + "a", std::string(254, 'p') + "/a"}) {
    CHECK_FALSE(label_key_fault(key).empty());
  }
  for (const std::string& value : {std::string(), std::string("a"), std::string("A_b.c-9"), most}) {
    CHECK(label_value_fault(value).empty());
  }
  for (const std::string& value :
       {std::string("-a"), std::string("a."), std::string("a/b"), most + "a"}) {
    CHECK_FALSE(label_value_fault(value).empty());
  }
}

TEST_CASE("the selector of a Service requires each of its labels") {
  const auto selector = LabelSelector::from_map({{"tier", "front"}, {"app", "web"}});
  CHECK(selector.text() == "app=web,tier=front");
  CHECK(selector == parsed("tier=front,app=web"));
  CHECK(selector.matches({{"app", "web"}, {"tier", "front"}, {"x", "y"}}));
  CHECK_FALSE(selector.matches({{"app", "web"}}));
  CHECK(LabelSelector::from_map({}).empty());
}

TEST_CASE("parsing the text of a selector gives the same selector") {
  REQUIRE(rc::check("parse(text(s)) == s", [] {
    const auto value = [] {
      return *rc::gen::element<std::string>("", "a", "b-1", "in", "notin", "7");
    };
    std::string text;
    for (int i = 0, n = *rc::gen::inRange(0, 5); i < n; ++i) {
      if (i > 0) text += *rc::gen::element<std::string>(",", " , ");
      const auto key = *rc::gen::element<std::string>("a", "x.io/b", "in", "notin", "c_D.e");
      const auto space = *rc::gen::element<std::string>("", " ");
      switch (*rc::gen::inRange(0, 6)) {
        case 0:
          text += key;
          break;
        case 1:
          text += "!" + space + key;
          break;
        case 2:
          text += key + space + *rc::gen::element<std::string>("=", "==", "!=") + space + value();
          break;
        case 3:
          text += key + " in (" + value() + "," + value() + ")";
          break;
        case 4:
          text +=
              key + " notin" + space + "(" + value() + "," + space + value() + "," + value() + ")";
          break;
        default:
          text += key + *rc::gen::element<std::string>(">", "<") + "12";
          break;
      }
    }
    RC_LOG(text);
    const auto selector = LabelSelector::parse(text);
    RC_ASSERT(selector.has_value());
    const auto again = LabelSelector::parse(selector->text());
    RC_ASSERT(again.has_value());
    RC_ASSERT((*again == *selector));
    RC_ASSERT(again->text() == selector->text());
  }));
}

TEST_CASE("of two opposite requirements exactly one matches a label set") {
  REQUIRE(rc::check("x and not x", [] {
    Labels labels;
    for (const char* key : {"a", "b"}) {
      if (*rc::gen::arbitrary<bool>())
        labels[key] = *rc::gen::element<std::string>("", "1", "2", "x");
    }
    const auto matches = [&labels](const char* text) { return parsed(text).matches(labels); };
    RC_ASSERT(matches("a=1") != matches("a!=1"));
    RC_ASSERT(matches("a in (1,x)") != matches("a notin (x,1)"));
    RC_ASSERT(matches("a") != matches("!a"));
    RC_ASSERT(matches("a=1") == matches("a in (1)"));
    RC_ASSERT(!matches("a>1") || matches("a"));
    RC_ASSERT(matches("a=1,b=2") == (matches("a=1") && matches("b=2")));
  }));
}
