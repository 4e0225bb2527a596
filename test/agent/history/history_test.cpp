// SPDX-License-Identifier: Apache-2.0
//
// The history of kernel operations: its lines, its files, and the table as it was.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/history/entry.hpp"
#include "agent/history/past.hpp"
#include "agent/history/recorder.hpp"
#include "agent/history/state_text.hpp"
#include "agent/history/store.hpp"
#include "ipvs/state/record_outcome.hpp"
#include "test/agent/objects.hpp"
#include "test/fake/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using agent::HistoryEntry;
using agent::test::ip;

HistoryEntry entry(agent::UnixMilliseconds at) {
  return {.at = at,
          .command = "SET_DEST",
          .service = "default/web",
          .object = "TCP 10.96.0.1:80",
          .endpoint = "10.244.1.7:8080",
          .before = "weight 1",
          .after = "weight 0",
          .microseconds = 250,
          .cause = {.object = "Pod default/web-1",
                    .verb = "changed",
                    .resource_version = "4711",
                    .seen = at - 3}};
}

std::string line_of(const HistoryEntry& of) {
  std::string text;
  agent::append_line(text, of);
  return text;
}

constexpr agent::UnixMilliseconds kNow = 1'796'000'000'000;

ipvs::ServerKey web() { return {ip("10.96.0.1"), 80, ipvs::Protocol::kTcp}; }

ipvs::Destination destination(const std::string& address, std::uint32_t weight = 1) {
  return {.endpoint = {ip(address), 8080}, .weight = weight};
}

// A kernel in which operations are carried out as they are asked for.
class World {
 public:
  explicit World(const std::string& directory) : recorder(directory, [] { return now; }) {
    now = kNow;
  }

  void want(std::vector<ipvs::Destination> destinations) {
    ipvs::ServicePlan plan;
    plan.servers.push_back(
        {.settings = {.key = web(), .scheduler = "rr"}, .destinations = std::move(destinations)});
    plan.addresses.push_back(ip("10.96.0.1"));
    if (wants_elements) plan.elements = elements_for(plan.servers[0]);
    desired.set("default/web", std::move(plan));
    carry_out();
  }
  static std::vector<ipvs::Element> elements_for(const ipvs::Server& server) {
    using Kind = ipvs::ElementKind;
    const ipvs::ServerKey& key = server.settings.key;
    std::vector<ipvs::Element> all = {
        {.kind = Kind::kServiceIp, .address = key.address, .port = key.port},
        {.kind = Kind::kNodePort,
         .address = ip("0.0.0.0"),
         .traffic_class = ipvs::TrafficClass::kExternal,
         .port = key.port},
        {.kind = Kind::kVirtualIp, .address = key.address}};
    for (const ipvs::Destination& each : server.destinations) {
      all.push_back({.kind = Kind::kHairpin, .address = each.endpoint.address});
    }
    return all;
  }
  void remove() {
    desired.set("default/web", {});
    carry_out();
  }
  void carry_out(int error = 0, bool is_first = false) {
    const ipvs::Changes changes = ipvs::diff(desired, ledger, desired.take_dirty());
    ipvs::Outcome outcome;
    outcome.create.assign(changes.create.size(), error);
    outcome.fill.assign(changes.fill.size(), error);
    outcome.bind.assign(changes.bind.size(), error);
    outcome.release.assign(changes.release.size(), error);
    outcome.unbind.assign(changes.unbind.size(), error);
    outcome.dismantle.assign(changes.dismantle.size(), error);
    outcome.protect.assign(changes.protect.size(), error);
    outcome.unprotect.assign(changes.unprotect.size(), error);
    const agent::Causes causes = recorder.take_causes();
    recorder.record({.changes = changes,
                     .outcome = outcome,
                     .desired = desired,
                     .before = ledger,
                     .causes = causes,
                     .is_first = is_first});
    ipvs::record_outcome(ledger, desired, changes, outcome);
    now += 1000;
  }
  std::vector<HistoryEntry> entries() const {
    std::vector<HistoryEntry> all;
    agent::HistoryRecorder::Place place;
    while (
        recorder.read_some(place, [&](HistoryEntry&& each) { all.push_back(std::move(each)); })) {
    }
    return all;
  }
  // What is there now of default/web.
  using Table = std::map<agent::PastTable::Key, std::string>;
  Table table() const {
    Table now_there;
    for (const ipvs::ServerKey& key : desired.servers_of("default/web")) {
      if (ledger.holds(key.address)) now_there[{key.address.to_string(), ""}] = "bound";
      const ipvs::Server* server = ledger.server(key);
      if (!server) continue;
      now_there[{key.text(), ""}] = agent::state_text(server->settings);
      for (const ipvs::Destination& each : server->destinations) {
        now_there[{key.text(), each.endpoint.text()}] = agent::state_text(each);
      }
    }
    return now_there;
  }
  Table table_at(agent::UnixMilliseconds at) const {
    agent::PastTable past;
    for (HistoryEntry& each : entries()) {
      if (each.at > at && each.service == "default/web") CHECK(past.note(std::move(each)));
    }
    for (const auto& [key, state] : table()) past.add(key, state);
    Table then;
    const auto take = [&](const agent::PastTable::Key& key, const std::string& state) {
      then[key] = state;
    };
    while (past.take_some(1, take)) continue;
    return then;
  }

  static inline agent::UnixMilliseconds now = kNow;
  bool wants_elements = false;
  ipvs::Desired desired;
  ipvs::Ledger ledger;
  agent::HistoryRecorder recorder;
};

}  // namespace

TEST_CASE("an entry of the history is one line, and is read back as it was") {
  const HistoryEntry written = entry(kNow);
  CHECK(agent::parse_line(line_of(written)) == written);
  CHECK(agent::parse_line(line_of({})) == HistoryEntry{});
}

TEST_CASE("a hostile name in an entry makes no second line and no field") {
  HistoryEntry hostile = entry(kNow);
  hostile.service = "a\tb\nc\033[2J";
  const std::string line = line_of(hostile);
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  const auto read = agent::parse_line(line);
  REQUIRE(read);
  CHECK(read->service == "a\\tb\\nc\\x1b[2J");
  CHECK(read->object == hostile.object);
}

TEST_CASE("what is no line of the history is not read as one") {
  for (const char* text :
       {"", "x", "1\t2\t3", "\t\t\t\t\t\t\t\t\t\t\t\t", "1\tC\tS\tO\tE\tB\tA\tx\t0\tc\tv\tr\t0",
        "1\tC\tS\tO\tE\tB\tA\t0\t0\tc\tv\tr\t0\tmore"}) {
    INFO(text);
    CHECK(!agent::parse_line(text));
  }
}

TEST_CASE("the history outlives its process, and a line that was cut off does not count") {
  const fake::TemporaryFolder folder;
  const std::string directory = folder.path() + "/history";
  {
    agent::HistoryStore store(directory);
    store.append(line_of(entry(1)));
    store.append(line_of(entry(2)));
    CHECK(store.fault().empty());
  }
  std::ofstream(directory + "/current", std::ios::app) << "3\tSET_DE";
  agent::HistoryStore next(directory);
  CHECK(next.current() == line_of(entry(1)) + line_of(entry(2)));
}

TEST_CASE("what comes after a line that was cut off is whole, also for the start after the next") {
  const fake::TemporaryFolder folder;
  const std::string directory = folder.path() + "/history";
  fs::create_directories(directory);
  std::ofstream(directory + "/current") << line_of(entry(1)) << "2\tSET_DE";
  agent::HistoryStore(directory).append(line_of(entry(3)));
  CHECK(agent::HistoryStore(directory).current() == line_of(entry(1)) + line_of(entry(3)));
}

TEST_CASE("a first batch that is longer than a block, and many times so, is not lost") {
  const fake::TemporaryFolder folder;
  agent::HistoryStore store(folder.path() + "/history", {.block = 1024, .in_all = 1 << 20});
  std::string batch;
  while (batch.size() < 20 * 1024) batch += line_of(entry(kNow));
  store.append(batch);
  CHECK(store.fault().empty());
  REQUIRE(store.blocks().size() == 1);
  CHECK(store.read(store.blocks().front()) == batch);
  CHECK(store.current().empty());
}

TEST_CASE("the clock of a new endpoint is kept after many others") {
  World world("");
  constexpr int kMany = 20'001;
  for (int i = 0; i < kMany; ++i) {
    ipvs::ServicePlan plan;
    plan.servers.push_back(
        {.settings = {.key = web(), .scheduler = "rr"},
         .destinations = {
             {.endpoint = {boost::asio::ip::address_v4(0x0A000000U + static_cast<unsigned>(i)),
                           80}}}});
    world.desired.set("default/web", std::move(plan));
    world.carry_out();
  }
  CHECK(world.recorder.clock_of("default/web", "10.0.78.32:80"));
  CHECK(!world.recorder.clock_of("default/web", "10.0.0.0:80"));
}

TEST_CASE("the history keeps to its limit, and loses the oldest lines first") {
  const fake::TemporaryFolder folder;
  agent::HistoryStore store(folder.path() + "/history", {.block = 4096, .in_all = 2048});
  constexpr int kLines = 2000;
  for (int i = 0; i < kLines; ++i) store.append(line_of(entry(kNow + i)));
  CHECK(store.bytes() <= 2048);
  std::size_t files = 0;
  for (const auto& each : fs::directory_iterator(folder.path() + "/history")) {
    files += each.file_size();
  }
  CHECK(files <= 2048 + 4096);
  REQUIRE(!store.blocks().empty());
  const std::string oldest = store.read(store.blocks().front());
  CHECK(!oldest.empty());
  CHECK(agent::parse_line(oldest.substr(0, oldest.find('\n')))->at > kNow);
  const agent::HistoryStore again(folder.path() + "/history", {.block = 4096, .in_all = 2048});
  CHECK(again.blocks() == store.blocks());
  CHECK(again.current() == store.current());
}

TEST_CASE("a damaged block, and a directory that cannot be written, cost only their own lines") {
  const fake::TemporaryFolder folder;
  agent::HistoryStore store(folder.path() + "/history", {.block = 1024, .in_all = 1 << 20});
  for (int i = 0; i < 50; ++i) store.append(line_of(entry(kNow + i)));
  REQUIRE(store.blocks().size() > 1);
  std::ofstream(folder.path() + "/history/000001.z", std::ios::trunc) << "no zlib";
  CHECK(store.read(1).empty());
  CHECK(!store.read(2).empty());
  std::ofstream(folder.path() + "/file") << "x";
  agent::HistoryStore nowhere(folder.path() + "/file/history");
  nowhere.append(line_of(entry(1)));
  CHECK(!nowhere.fault().empty());
  CHECK(nowhere.current() == line_of(entry(1)));
}

TEST_CASE("each operation is in the history, with the event that led to it") {
  World world("");
  world.recorder.note_cause("default/web", {.object = "Pod default/web-2",
                                            .verb = "changed",
                                            .resource_version = "12",
                                            .seen = kNow - 5});
  world.want({destination("10.244.0.1"), destination("10.244.0.2")});
  world.want({destination("10.244.0.1")});
  const auto entries = world.entries();
  const auto of = [&](const std::string& command) {
    return std::count_if(entries.begin(), entries.end(),
                         [&](const HistoryEntry& each) { return each.command == command; });
  };
  CHECK(of("NEW_SERVICE") == 1);
  CHECK(of("NEW_DEST") == 2);
  CHECK(of("RTM_NEWADDR") == 1);
  CHECK(of("DEL_DEST") == 1);
  CHECK(entries.front().cause.object == "Pod default/web-2");
  CHECK(entries.front().cause.resource_version == "12");
  CHECK(entries.back().cause == agent::Cause{});  // the cause is of its own pass only
  CHECK(entries.back().before == "weight 1");
  CHECK(entries.back().after.empty());
  CHECK(std::all_of(entries.begin(), entries.end(),
                    [](const HistoryEntry& each) { return each.service == "default/web"; }));
}

TEST_CASE("what goes for good is in the history with the Service that had it") {
  World world("");
  world.wants_elements = true;
  world.want({destination("10.244.0.1"), destination("10.244.0.2")});
  world.want({destination("10.244.0.1")});  // a hairpin element goes, and the Service stays
  world.remove();
  const auto entries = world.entries();
  std::map<std::string, int> deleted;
  for (const HistoryEntry& each : entries) {
    CHECK(each.service == "default/web");
    if (each.command == "DELSETELEM") ++deleted[each.object];
  }
  CHECK(deleted == std::map<std::string, int>{{"cluster-ips-4 10.96.0.1 . tcp . 80", 1},
                                              {"virtual-ips-4 10.96.0.1", 1},
                                              {"node-ports tcp . 80", 1},
                                              {"hairpin-4 10.244.0.1 . 10.244.0.1", 1},
                                              {"hairpin-4 10.244.0.2 . 10.244.0.2", 1}});
}

TEST_CASE("the table as it was is found for every moment of the history") {
  World world("");
  std::vector<std::pair<agent::UnixMilliseconds, World::Table>> seen;
  const auto look = [&] { seen.emplace_back(World::now - 1, world.table()); };
  look();
  world.want({destination("10.244.0.1"), destination("10.244.0.2")});
  look();
  world.want({destination("10.244.0.1", 7), destination("10.244.0.3")});
  look();
  world.remove();
  look();
  world.want({destination("10.244.0.9")});
  look();
  for (const auto& [at, table] : seen) {
    INFO(at - kNow);
    CHECK(world.table_at(at) == table);
  }
  CHECK(seen[1].second.size() == 4);
  CHECK(seen[3].second.empty());
}

TEST_CASE("of more keys than the table as it was may have, the first are kept") {
  agent::PastTable past;
  HistoryEntry each = entry(kNow);
  int kept = 0;
  for (; kept < 1'000'000; ++kept) {
    each.endpoint = std::to_string(kept);
    if (!past.note(HistoryEntry(each))) break;
  }
  CHECK(kept == 50'000);
}

TEST_CASE("what the kernel refused is in the history, and not in the table as it was") {
  World world("");
  ipvs::ServicePlan plan;
  plan.servers.push_back({.settings = {.key = web(), .scheduler = "rr"}});
  world.desired.set("default/web", plan);
  world.carry_out(EINVAL);
  REQUIRE(world.entries().size() == 1);
  CHECK(world.entries().front().error == EINVAL);
  CHECK(world.table_at(kNow - 1) == world.table());
}

TEST_CASE("an endpoint's clock says since when it is out, and how long it was") {
  World world("");
  const std::string second = "10.244.0.2:8080";
  world.want({destination("10.244.0.1"), destination("10.244.0.2")});
  world.want({destination("10.244.0.1"), destination("10.244.0.2", 0)});
  const auto* out = world.recorder.clock_of("default/web", second);
  REQUIRE(out);
  CHECK(out->out_since == kNow + 1000);
  world.want({destination("10.244.0.1"), destination("10.244.0.2")});
  const auto* back = world.recorder.clock_of("default/web", second);
  CHECK(back->out_since == 0);
  CHECK(back->out_today == 1000);
  CHECK(back->changed == kNow + 2000);
  CHECK(world.recorder.clock_of("default/web", "10.244.0.7:8080") == nullptr);
}

TEST_CASE("a first pass of many thousand operations is one entry") {
  World world("");
  ipvs::ServicePlan plan;
  ipvs::Server server{.settings = {.key = web(), .scheduler = "rr"}};
  for (int i = 0; i < 12'000; ++i) {
    server.destinations.push_back(
        {.endpoint = {boost::asio::ip::address_v4(0x0AF40000U + static_cast<unsigned>(i)), 80}});
  }
  plan.servers.push_back(server);
  world.desired.set("default/web", plan);
  world.carry_out(0, true);
  REQUIRE(world.entries().size() == 1);
  CHECK(world.entries().front().command == "START");
  CHECK(world.entries().front().object == "12001 operations");
}
