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
  agent::SourceEvent event;
  agent::FirstList<k8s::Service> list(next, "Service", event,
                                      [&] { next.calls.push_back("delivered"); });
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
  agent::SourceEvent event;
  agent::FirstList<k8s::Service> list(next, "Service", event, [&] { ++delivered; });
  list.list_started();
  list.list_started();
  CHECK(delivered == 0);
  list.list_finished();
  CHECK(delivered == 1);
}

TEST_CASE("while an object is passed on, it is said what it is") {
  struct Looker : Recorder {
    void upsert(k8s::Service&& service) override {
      calls.push_back(std::string(event.verb) + " " + event.kind + " " + event.key.text() + " " +
                      event.resource_version);
      const k8s::Service taken = std::move(service);
    }
    void remove(const k8s::ObjectKey&) override {
      calls.push_back(std::string(event.verb) + " " + event.key.text());
    }
    agent::SourceEvent event;
  } next;
  agent::FirstList<k8s::Service> list(next, "Service", next.event, [] {});
  k8s::Service web = make_service("web", {});
  web.meta.resource_version = "7";
  list.list_started();
  list.upsert(k8s::Service(web));
  list.list_finished();
  list.upsert(k8s::Service(web));
  list.remove(key_of("web"));
  CHECK(next.calls == std::vector<std::string>{"started", "listed Service default/web 7",
                                               "finished", "changed Service default/web 7",
                                               "deleted default/web"});
  CHECK(*next.event.kind == '\0');
}
