// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/memory.hpp"

#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::Memory;

// What the next agent reads.
void apply(ipvs::Notes& notes, Memory& memory) {
  for (const ipvs::Note& note : memory.take_changes()) {
    if (note.value) {
      notes[note.key] = *note.value;
    } else {
      notes.erase(note.key);
    }
  }
}

const ipvs::ServerKey kV4{ip("10.96.0.1"), 80};
const ipvs::ServerKey kV6{ip("fd00::1"), 53, ipvs::Protocol::kUdp};

}  // namespace

TEST_CASE("what one agent remembers the next one knows") {
  ipvs::Notes notes;
  Memory memory;
  memory.drains(key_of("web-1"), {.requested = 77, .grace = 30, .since = 5, .ends = 35});
  memory.drains_unready(key_of("web-2"), 88, -6);
  memory.lingers("default/a", {.seconds = 60, .since = {}, .servers = {kV4, kV6}});
  memory.lingers("default/b", {.seconds = 61, .since = 9, .servers = {}});
  apply(notes, memory);
  CHECK(notes.size() == 4);

  Memory next;
  next.load(notes, 10);
  const auto deletion = next.deletion_of(key_of("web-1"), 77);
  REQUIRE(deletion);
  CHECK(deletion->grace == 30);
  CHECK(deletion->since == 5);
  CHECK(deletion->ends == 35);
  CHECK(next.unready_since(key_of("web-2"), 88) == -6);
  const auto lingering = next.lingering();
  REQUIRE(lingering.size() == 2);
  CHECK(lingering.at("default/a").seconds == 60);
  CHECK_FALSE(lingering.at("default/a").since);
  CHECK(lingering.at("default/a").servers == std::vector<ipvs::ServerKey>{kV4, kV6});
  CHECK(lingering.at("default/b").since == 9);
}

TEST_CASE("another Pod of the same name, and a time that is yet to come, are not remembered") {
  Memory memory;
  memory.load({{"pod default/web-1", "77 30 5 35"},
               {"pod default/web-2", "77 30 11 41"},
               {"unready default/web-1", "88 11"},
               {"unready default/web-2", "88 6"},
               {"service default/a", "60 11 TCP,10.96.0.1,80"}},
              10);
  CHECK_FALSE(memory.deletion_of(key_of("web-1"), 78));
  CHECK_FALSE(memory.deletion_of(key_of("web-2"), 77));
  CHECK_FALSE(memory.unready_since(key_of("web-1"), 88));
  CHECK_FALSE(memory.unready_since(key_of("web-2"), 87));
  CHECK(memory.lingering().empty());
}

TEST_CASE("a note that is not understood is as if there were none") {
  for (const auto* bad :
       {"", "x", "1", "1 2 3", "1 2 3 ", "1 2 3 4x", "99999999999999999999 1 1 1"}) {
    Memory memory;
    memory.load({{"pod default/web-1", bad}, {"unready default/web-1", "1"}}, 10);
    CHECK_FALSE(memory.deletion_of(key_of("web-1"), 1));
    CHECK_FALSE(memory.unready_since(key_of("web-1"), 1));
  }
  for (const auto* bad :
       {"", "x -", "60", "60 x", "60 - TCP", "60 - TCP,10.96.0.1,", "60 - X,1.2.3.4,5"}) {
    Memory memory;
    memory.load({{"service default/a", bad}}, 10);
    CHECK(memory.lingering().empty());
  }
}

TEST_CASE("a note is written once, and dropped with its object") {
  Memory memory;
  const Memory::Deletion deletion{.requested = 1, .grace = 2, .since = 3, .ends = 5};
  memory.drains(key_of("web-1"), deletion);
  CHECK(memory.take_changes().size() == 1);
  memory.drains(key_of("web-1"), deletion);
  memory.forget_pod(key_of("web-2"));
  CHECK(memory.take_changes().empty());
  memory.forget_pod(key_of("web-1"));
  CHECK(memory.take_changes() == std::vector<ipvs::Note>{{"pod default/web-1", std::nullopt}});
}

TEST_CASE(
    "notes of Pods that are gone are dropped after the first list, those of Services are not") {
  Memory memory;
  memory.load({{"pod default/web-1", "1 2 3 5"},
               {"pod default/web-2", "1 2 3 5"},
               {"service default/a", "60 -"},
               {"of another version", "1"}},
              10);
  CHECK(memory.deletion_of(key_of("web-2"), 1));
  memory.forget_other_pods();
  CHECK(memory.take_changes() == std::vector<ipvs::Note>{{"of another version", std::nullopt},
                                                         {"pod default/web-1", std::nullopt}});
}
