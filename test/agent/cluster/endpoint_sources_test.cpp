// SPDX-License-Identifier: Apache-2.0
//
// What holds for both sources of endpoints: one suite, run with each. With source `endpointslice`
// the fixture plays the slice controller: it turns the Pods into a slice by its rules.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <set>
#include <utility>

#include "agent/cluster/endpoint_table.hpp"
#include "test/agent/endpoints_text.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::EndpointSource;
using agent::EndpointTable;

// A table that gets the Pods of one Service, "web", from either source.
class World {
 public:
  explicit World(EndpointSource source)
      : source_(source),
        table_(source, kThisNode, [this](const k8s::ObjectKey& key) { dirty_.insert(key.name); }) {
    table_.add_service(service.meta.key, service.selector);
  }

  const k8s::Service service = make_service("web", {"10.96.0.1"});

  void upsert(const k8s::Pod& pod) {
    pods_.insert_or_assign(pod.meta.key.name, pod);
    if (source_ == EndpointSource::kSelector) {
      table_.pods().upsert(pod);
    } else {
      table_.slices().upsert(slice());
    }
  }
  void remove(const std::string& name) {
    pods_.erase(name);
    if (source_ == EndpointSource::kSelector) {
      table_.pods().remove(key_of(name));
    } else {
      table_.slices().upsert(slice());
    }
  }

  // A full list with nothing but `kept` (a Pod, or a slice), which cannot be decoded.
  void list_with_only_kept(const std::string& kept) {
    const auto deliver = [&](auto& sink, const std::string& name) {
      sink.list_started();
      if (!name.empty()) sink.keep(key_of(name));
      sink.list_finished();
    };
    if (source_ == EndpointSource::kSelector) {
      deliver(table_.pods(), kept);
    } else {
      deliver(table_.slices(), kept.empty() ? "" : slice().meta.key.name);
    }
  }
  // A list that breaks off before it delivers anything, and then a whole one.
  void broken_list_then_whole() {
    const auto deliver = [](auto& sink, const auto& objects) {
      sink.list_started();
      sink.list_started();
      for (const auto& object : objects) sink.upsert(object);
      sink.list_finished();
    };
    if (source_ == EndpointSource::kSelector) {
      std::vector<k8s::Pod> all;
      for (const auto& [name, pod] : pods_) all.push_back(pod);
      deliver(table_.pods(), all);
    } else {
      deliver(table_.slices(), std::vector{slice()});
    }
  }

  std::string endpoints() const { return endpoints_text(table_.endpoints_of(service)); }
  std::set<std::string> take_dirty() { return std::exchange(dirty_, {}); }
  const EndpointTable& table() const { return table_; }

 private:
  // By the rules of the slice controller (k8s.io/endpointslice utils.go, podToEndpoint).
  k8s::EndpointSlice slice() const {
    std::vector<k8s::SliceEndpoint> endpoints;
    for (const auto& [name, pod] : pods_) {
      if (pod.pod_ips.empty()) continue;
      k8s::SliceEndpoint e = make_slice_endpoint(pod.pod_ips[0].to_string(), name);
      e.serving = pod.ready;
      e.terminating = pod.meta.deletion_timestamp.has_value();
      e.ready = e.serving && !e.terminating;
      e.node_name = pod.node_name;
      endpoints.push_back(e);
    }
    return make_slice("web-abc", "web", endpoints);
  }

  const EndpointSource source_;
  std::map<std::string, k8s::Pod> pods_;
  std::set<std::string> dirty_;
  EndpointTable table_;
};

using Names = std::set<std::string>;

EndpointSource either_source() {
  return GENERATE(EndpointSource::kSelector, EndpointSource::kEndpointSlice);
}

}  // namespace

TEST_CASE(
    "either source: adding, changing and removing an endpoint reports its Service each time") {
  World world(either_source());
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  world.upsert(pod);
  CHECK(world.take_dirty() == Names{"web"});
  CHECK(world.endpoints() == "10.244.0.1:8080 ready serving local web-1\n");
  pod.ready = false;
  world.upsert(pod);
  CHECK(world.take_dirty() == Names{"web"});
  CHECK(world.endpoints() == "10.244.0.1:8080 local web-1\n");
  world.remove("web-1");
  CHECK(world.take_dirty() == Names{"web"});
  CHECK(world.endpoints().empty());
}

TEST_CASE("either source: a Pod that is being deleted serves but is not ready") {
  World world(either_source());
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  pod.meta.deletion_timestamp = 1000;
  world.upsert(pod);
  CHECK(world.endpoints() == "10.244.0.1:8080 serving terminating local web-1\n");
}

TEST_CASE("either source: only what is on this node is local") {
  World world(either_source());
  k8s::Pod pod = make_pod("web-1", {"10.244.1.1"});
  pod.node_name = kOtherNode;
  world.upsert(pod);
  CHECK(world.endpoints() == "10.244.1.1:8080 ready serving web-1\n");
}

TEST_CASE("either source: an event that changes nothing reports no Service") {
  World world(either_source());
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  world.upsert(pod);
  world.take_dirty();
  pod.meta.resource_version = "77";
  world.upsert(pod);
  CHECK(world.take_dirty().empty());
}

TEST_CASE("either source: what a full list no longer contains is removed") {
  World world(either_source());
  world.upsert(make_pod("web-1", {"10.244.0.1"}));
  world.take_dirty();
  world.list_with_only_kept("");
  CHECK(world.take_dirty() == Names{"web"});
  CHECK(world.endpoints().empty());
  CHECK(world.table().pod_count() + world.table().slice_count() == 0);
}

TEST_CASE("either source: an object of a list that cannot be decoded keeps its last good state") {
  World world(either_source());
  world.upsert(make_pod("web-1", {"10.244.0.1"}));
  world.take_dirty();
  world.list_with_only_kept("web-1");
  CHECK(world.take_dirty().empty());
  CHECK(world.endpoints() == "10.244.0.1:8080 ready serving local web-1\n");
}

TEST_CASE("either source: an interrupted list removes nothing, and the next one changes nothing") {
  World world(either_source());
  world.upsert(make_pod("web-1", {"10.244.0.1"}));
  world.upsert(make_pod("web-2", {"10.244.0.2"}));
  world.take_dirty();
  world.broken_list_then_whole();
  CHECK(world.take_dirty().empty());
  CHECK(world.endpoints() ==
        "10.244.0.1:8080 ready serving local web-1\n"
        "10.244.0.2:8080 ready serving local web-2\n");
}

TEST_CASE("either source: connections may continue while the endpoint is known, ready or not") {
  World world(either_source());
  CHECK_FALSE(world.table().may_drain(ip("10.244.0.1"), 0));
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  pod.ready = false;
  world.upsert(pod);
  CHECK(world.table().may_drain(ip("10.244.0.1"), 0));
  pod.meta.deletion_timestamp = 1000;
  world.upsert(pod);
  CHECK(world.table().may_drain(ip("10.244.0.1"), 999));
  world.remove("web-1");
  CHECK_FALSE(world.table().may_drain(ip("10.244.0.1"), 0));
}

TEST_CASE("either source: the name of the Pod with an address is known") {
  World world(either_source());
  CHECK(world.table().pod_at(ip("10.244.0.1")).empty());
  world.upsert(make_pod("web-1", {"10.244.0.1"}));
  world.upsert(make_pod("web-2", {"10.244.0.2"}));
  CHECK(world.table().pod_at(ip("10.244.0.1")) == "web-1");
  CHECK(world.table().pod_at(ip("10.244.0.2")) == "web-2");
  world.remove("web-1");
  CHECK(world.table().pod_at(ip("10.244.0.1")).empty());
}

TEST_CASE("either source: a Pod that gets another address is found at the new one only") {
  World world(either_source());
  world.upsert(make_pod("web-1", {"10.244.0.1"}));
  world.upsert(make_pod("web-1", {"10.244.0.9"}));
  CHECK(world.endpoints() == "10.244.0.9:8080 ready serving local web-1\n");
  CHECK(world.table().pod_at(ip("10.244.0.1")).empty());
  CHECK_FALSE(world.table().may_drain(ip("10.244.0.1"), 0));
}
