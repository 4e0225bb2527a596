// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/first_list.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;

class Recorder : public k8s::Sink<k8s::Service> {
 public:
  void list_started() override { calls.push_back("started"); }
  void upsert(k8s::Service&& service) override {
    calls.push_back("upsert " + service.meta.key.name);
  }
  void remove(const k8s::ObjectKey& key) override { calls.push_back("remove " + key.name); }
  void keep(const k8s::ObjectKey& key) override { calls.push_back("keep " + key.name); }
  void list_finished() override { calls.push_back("finished"); }
  std::vector<std::string> calls;
};

}  // namespace

TEST_CASE("every call is passed on, and the end of the first list is reported once, after it") {
  Recorder next;
  agent::FirstList<k8s::Service> list(next, [&] { next.calls.push_back("delivered"); });
  list.list_started();
  list.upsert(make_service("web", {}));
  list.keep(key_of("odd"));
  list.list_finished();
  list.remove(key_of("web"));
  list.list_started();
  list.list_finished();
  CHECK(next.calls == std::vector<std::string>{"started", "upsert web", "keep odd", "finished",
                                               "delivered", "remove web", "started", "finished"});
}

TEST_CASE("an interrupted list does not count as delivered") {
  Recorder next;
  int delivered = 0;
  agent::FirstList<k8s::Service> list(next, [&] { ++delivered; });
  list.list_started();
  list.list_started();
  CHECK(delivered == 0);
  list.list_finished();
  CHECK(delivered == 1);
}
