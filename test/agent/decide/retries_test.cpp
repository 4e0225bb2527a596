// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/retries.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <string>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using namespace std::chrono_literals;
using agent::Retries;
using ipvs::Blame;
using ipvs::Failure;
using ipvs::Recorded;
using ipvs::ServerKey;

const ServerKey kWeb{ip("10.96.0.1"), 80}, kApi{ip("10.96.0.2"), 80};

Retries::Time at(std::chrono::milliseconds time) { return Retries::Time(time); }

// One failed operation on the virtual server.
void fail(Recorded& recorded, const ServerKey& key, const std::string& what, int error) {
  recorded.retry.servers.insert(key);
  recorded.failures.push_back(
      {.error_number = error, .what = what, .blame = ipvs::blame_of(error), .key = key});
}
Recorded failing(const ServerKey& key, const std::string& what, int error) {
  Recorded recorded;
  fail(recorded, key, what, error);
  return recorded;
}
std::vector<Failure> conclude(Retries& retries, Recorded recorded, std::chrono::milliseconds now) {
  return retries.conclude(recorded, {.now = at(now), .since = at(now)});
}
// Tries the server at each moment that it is due, and is refused: the pauses between.
std::vector<std::chrono::milliseconds> pauses(int error, std::size_t count) {
  Retries retries;
  std::vector<std::chrono::milliseconds> result;
  auto now = 0ms;
  while (result.size() < count) {
    conclude(retries, failing(kWeb, "op", error), now);
    const auto next = std::chrono::duration_cast<std::chrono::milliseconds>(
        retries.next().value().time_since_epoch());
    result.push_back(next - now);
    now = next;
    CHECK(retries.due(at(now - 1ms)).empty());
    const auto due = retries.due(at(now));
    CHECK(due.servers == std::set{kWeb});
    retries.attempt(due);
  }
  return result;
}

}  // namespace

TEST_CASE("what an object is to blame for is tried ever more rarely, up to ten minutes (A1)") {
  using Pauses = std::vector<std::chrono::milliseconds>;
  CHECK(pauses(EINVAL, 12) == Pauses{1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 512s, 600s, 600s});
  CHECK(pauses(ENOMEM, 7) == Pauses{1s, 2s, 4s, 8s, 16s, 30s, 30s});
  CHECK(pauses(EPERM, 7) == Pauses{1s, 2s, 4s, 8s, 16s, 30s, 30s});
}

TEST_CASE("an object that is refused for long does not delay the retry of another (A1)") {
  Retries retries;
  for (int i = 0; i < 10; ++i) {
    conclude(retries, failing(kWeb, "op", EINVAL), 0ms);
    retries.attempt({.servers = {kWeb}});
  }
  conclude(retries, failing(kWeb, "op", EINVAL), 0ms);
  REQUIRE(retries.next() == at(600s));
  conclude(retries, failing(kApi, "op", EBUSY), 5s);
  CHECK(retries.next() == at(6s));
  CHECK(retries.due(at(6s)).servers == std::set{kApi});
  CHECK(retries.next() == at(600s));
}

TEST_CASE("tries and the time since when are kept for each operation (A1)") {
  Retries retries;
  conclude(retries, failing(kWeb, "one", EINVAL), 0ms);
  retries.attempt({.servers = {kWeb}});
  Recorded both = failing(kWeb, "one", EINVAL);
  fail(both, kWeb, "two", EINVAL);
  CHECK(retries.conclude(both, {.now = at(1s), .since = at(1s)}).empty());
  CHECK(both.failures[0].tries == 2);
  CHECK(both.failures[1].tries == 1);
  const auto refusals = retries.refusals();
  REQUIRE(refusals.size() == 2);
  CHECK(refusals[0].since == at(0s));
  CHECK(refusals[1].since == at(1s));
  SECTION("a new refusal begins with the first pause") { CHECK(retries.next() == at(2s)); }
  SECTION("another errno is another refusal") {
    retries.attempt({.servers = {kWeb}});
    const auto over = conclude(retries, failing(kWeb, "one", ENOMEM), 2s);
    CHECK(over.size() == 2);
    CHECK(retries.refusals().at(0).failure.tries == 1);
  }
  SECTION("what is accepted is over") {
    retries.attempt({.servers = {kWeb}});
    const auto over = conclude(retries, failing(kWeb, "two", EINVAL), 2s);
    REQUIRE(over.size() == 1);
    CHECK(over[0].what == "one");
    retries.attempt({.servers = {kWeb}});
    CHECK(conclude(retries, {}, 3s).size() == 1);
    CHECK(retries.size() == 0);
    CHECK_FALSE(retries.next());
  }
}

TEST_CASE("a refused deletion of one destination leaves what else is refused there as it is (A1)") {
  Retries retries;
  conclude(retries, failing(kWeb, "NEW_DEST", EINVAL), 0ms);
  const auto over = conclude(retries, failing(kWeb, "DEL_DEST", EBUSY), 1ms);
  CHECK(over.empty());
  CHECK(retries.refusals().size() == 2);
}

TEST_CASE("what was not tried because of a refusal is due when anything is accepted (A1)") {
  Retries retries;
  const ipvs::Element element{.kind = ipvs::ElementKind::kVirtualIp, .address = ip("10.96.0.1")};
  const auto refused = [&](std::chrono::milliseconds now) {
    Recorded recorded;
    recorded.retry.elements.insert(element);
    recorded.retry.servers.insert(kWeb);
    recorded.failures.push_back(
        {.error_number = ENOMEM, .what = "op", .blame = Blame::kPassing, .key = element});
    conclude(retries, recorded, now);
  };
  refused(0s);
  for (int i = 0; i < 12; ++i) {
    retries.attempt(retries.all());
    refused(1s);
  }
  CHECK(retries.due(at(31s)).servers.empty());
  retries.attempt({.elements = {element}});
  conclude(retries, {}, 31s);
  CHECK(retries.due(at(31s)).servers == std::set{kWeb});
}

TEST_CASE("a number of the kernel's that is not known to be the node's blames the object (A1)") {
  for (const int error :
       {EINVAL, ERANGE, EADDRNOTAVAIL, EAFNOSUPPORT, ENOENT, ESRCH, EEXIST, 4000}) {
    CHECK(ipvs::blame_of(error) == Blame::kObject);
  }
  for (const int error : {EPERM, EACCES, ENODEV, ENOSPC, EOPNOTSUPP}) {
    CHECK(ipvs::blame_of(error) == Blame::kNode);
  }
  for (const int error : {ENOMEM, ENOBUFS, EBUSY, EAGAIN, EINTR, ipvs::kUnknownOutcome}) {
    CHECK(ipvs::blame_of(error) == Blame::kPassing);
  }
}
