// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/set.hpp"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "k8s/manifests/parse.hpp"

namespace {

using namespace k8s;
using Lines = std::vector<std::string>;

const AllocationRanges kRanges{{{boost::asio::ip::make_address("10.96.0.0"), 12}}};

std::string pod(const std::string& name, const std::string& ip, const std::string& spec = "") {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec: {" + spec +
         "}\nstatus: {podIP: " + ip + "}\n";
}

std::string service(const std::string& name, const std::string& spec = "") {
  return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name +
         "}\nspec: {ports: [{port: 80}], " + spec + "}\n";
}

// A set, and the state that a consumer of its changes has.
class Tester {
 public:
  void put(const std::string& file, const std::string& text) {
    set.put(file, parse_manifest(text, ManifestFormat::kYaml));
  }
  // The next changes of Pods and Services: "+kind name" and "-kind name", sorted by name.
  Lines settle(UnixSeconds now = 1000) {
    const ManifestChanges changes = set.take_changes(now);
    Lines log;
    take(changes.of<Pod>(), pods, log);
    take(changes.of<Service>(), services, log);
    take(changes.of<Node>(), nodes, log);
    faults.clear();
    for (const SourceFault& fault : changes.faults) faults.push_back(fault.what);
    return log;
  }
  const Pod& pod_named(const std::string& name) const { return pods.at({"default", name}); }

  ManifestSet set{kRanges};
  std::map<ObjectKey, Pod> pods;
  std::map<ObjectKey, Service> services;
  std::map<ObjectKey, Node> nodes;
  Lines faults;

 private:
  template <typename T>
  void take(const ManifestChange<T>& change, std::map<ObjectKey, T>& state, Lines& log) {
    for (const ObjectKey& key : change.removed) {
      REQUIRE(state.erase(key) == 1);
      log.push_back("-" + name_of<T>(key));
    }
    for (const auto& object : change.upserted) {
      state.insert_or_assign(object->meta.key, *object);
      log.push_back("+" + name_of<T>(object->meta.key));
    }
  }
};

TEST_CASE("settling returns only what has changed") {
  Tester tester;
  tester.put("a.yaml", pod("x", "10.0.0.1") + pod("w", "10.0.0.2") + service("web"));
  CHECK(tester.settle() == Lines{"+Pod default/w", "+Pod default/x", "+Service default/web"});
  CHECK(tester.settle().empty());
  tester.put("a.yaml", "# moved down a line\n" + pod("x", "10.0.0.1") + pod("w", "10.0.0.3") +
                           service("web"));
  CHECK(tester.settle() == Lines{"+Pod default/w"});
  tester.put("a.yaml", pod("x", "10.0.0.1") + pod("w", "10.0.0.3") + service("web"));
  tester.put("b.yaml", service("db"));
  CHECK(tester.settle() == Lines{"+Service default/db"});
  tester.set.drop("b.yaml");
  CHECK(tester.settle() == Lines{"-Service default/db"});
}

TEST_CASE("a Service keeps its numbers when it is edited") {
  Tester tester;
  tester.put("a.yaml", service("web", "type: NodePort"));
  tester.settle();
  const Service before = tester.services.at({"default", "web"});
  REQUIRE(before.ports[0].node_port != 0);
  tester.put("a.yaml", service("web", "type: NodePort, selector: {a: b}"));
  CHECK(tester.settle() == Lines{"+Service default/web"});
  const Service& after = tester.services.at({"default", "web"});
  CHECK(after.selector == Labels{{"a", "b"}});
  CHECK(after.cluster_ips == before.cluster_ips);
  CHECK(after.ports == before.ports);
}

TEST_CASE(
    "of two objects with one name the first file's is used, and the other replaces it later") {
  Tester tester;
  tester.put("b.yaml", pod("x", "10.0.0.2"));
  tester.settle();
  tester.put("a.yaml", "\n\n" + pod("x", "10.0.0.1"));
  CHECK(tester.settle() == Lines{"+Pod default/x"});
  CHECK(tester.pod_named("x").pod_ips[0].to_string() == "10.0.0.1");
  CHECK(tester.faults == Lines{"b.yaml:2: Pod default/x is in a.yaml:4 already: skipped"});
  tester.put("c.yaml", service("web"));
  tester.settle();
  CHECK(tester.faults.empty());
  tester.set.drop("a.yaml");
  CHECK(tester.settle() == Lines{"+Pod default/x"});
  CHECK(tester.pod_named("x").pod_ips[0].to_string() == "10.0.0.2");
}

TEST_CASE("of two objects with one name in one file the first is used") {
  Tester tester;
  tester.put("a.yaml", pod("x", "10.0.0.1") + pod("x", "10.0.0.2"));
  CHECK(tester.settle() == Lines{"+Pod default/x"});
  CHECK(tester.pod_named("x").pod_ips[0].to_string() == "10.0.0.1");
  CHECK(tester.faults == Lines{"a.yaml:8: Pod default/x is in a.yaml:2 already: skipped"});
}

TEST_CASE("objects of a broken file keep their last good state until it is fixed") {
  Tester tester;
  tester.put("a.yaml", pod("x", "10.0.0.1") + service("web"));
  tester.put("b.yaml", pod("z", "10.0.0.9"));
  tester.settle();
  tester.put("a.yaml", "{");
  CHECK(tester.settle().empty());
  REQUIRE(tester.faults.size() == 1);
  CHECK(tester.faults[0].starts_with("a.yaml:1: "));
  CHECK(tester.faults[0].ends_with(": skipped, objects the file had before stay"));
  tester.put("a.yaml", "\n{");
  CHECK(tester.settle().empty());
  CHECK(tester.faults.empty());  // reported before, on another line
  tester.put("a.yaml", service("web"));
  CHECK(tester.settle() == Lines{"+Pod default/x"});  // terminates gracefully
  CHECK(tester.pod_named("x").meta.deletion_timestamp == 1030);
  CHECK(tester.pod_named("x").meta.deletion_grace_seconds == 30);
}

TEST_CASE("a broken document's objects are kept while the valid documents are used") {
  Tester tester;
  tester.put("a.yaml", service("one") + service("two") + service("three"));
  tester.settle();
  tester.put("a.yaml", service("one", "selector: {new: \"1\"}") + "---\n{ two\n" + service("four"));
  CHECK(tester.settle() == Lines{"+Service default/four", "+Service default/one"});
  CHECK(tester.services.size() == 4);
}

TEST_CASE("a refused object keeps its last good state while the rest of its file is updated") {
  Tester tester;
  tester.put("a.yaml", service("web") + service("db"));
  tester.settle();
  tester.put("a.yaml", service("web", "clusterIP: 192.0.2.1") + pod("x", "10.0.0.1"));
  CHECK(tester.settle() == Lines{"+Pod default/x", "-Service default/db"});
  CHECK(tester.services.size() == 1);
  CHECK(tester.faults ==
        Lines{"a.yaml:2: Service default/web: spec.clusterIP: 192.0.2.1 is not an "
              "address of the range 10.96.0.0/12 (--service-cluster-ip-range): its "
              "last good state stays"});
  tester.put("b.yaml", service("new", "clusterIP: 192.0.2.1"));
  tester.settle();
  CHECK(tester.faults.at(0).ends_with("(--service-cluster-ip-range): skipped"));
}

TEST_CASE("objects of an unreadable file are kept, those of a deleted file are not") {
  Tester tester;
  tester.put("a.yaml", service("web"));
  tester.settle();
  tester.set.put_unreadable("a.yaml", "cannot be read: Permission denied");
  CHECK(tester.settle().empty());
  CHECK(tester.faults ==
        Lines{"a.yaml: cannot be read: Permission denied: skipped, objects the file "
              "had before stay"});
  tester.set.drop("a.yaml");
  CHECK(tester.settle() == Lines{"-Service default/web"});
}

TEST_CASE("a Service that lost its number to an older one is used when the number is free") {
  Tester tester;
  tester.put("a.yaml", service("b", "clusterIP: 10.96.0.10"));
  CHECK(tester.settle() == Lines{"+Service default/b"});
  tester.put("b.yaml", service("a", "clusterIP: 10.96.0.10"));
  CHECK(tester.settle() == Lines{"-Service default/b", "+Service default/a"});
  CHECK(tester.faults.size() == 1);
  tester.put("c.yaml", service("c"));
  CHECK(tester.settle() == Lines{"+Service default/c"});
  CHECK(tester.faults.empty());
  tester.set.drop("b.yaml");
  CHECK(tester.settle() == Lines{"-Service default/a", "+Service default/b"});
}

TEST_CASE("a Pod removed from its file terminates gracefully, with its readiness unchanged") {
  Tester tester;
  tester.put("a.yaml",
             pod("x", "10.0.0.1") + pod("w", "10.0.0.2", "terminationGracePeriodSeconds: 5"));
  tester.settle(1000);
  tester.set.drop("a.yaml");
  CHECK(tester.settle(1001) == Lines{"+Pod default/w", "+Pod default/x"});
  CHECK(tester.pod_named("x").meta.deletion_timestamp == 1031);
  CHECK(tester.pod_named("x").ready);
  CHECK(tester.set.next_removal() == 1006);
  CHECK(tester.settle(1005).empty());
  CHECK(tester.settle(1006) == Lines{"-Pod default/w"});
  CHECK(tester.set.next_removal() == 1031);
  CHECK(tester.settle(1040) == Lines{"-Pod default/x"});
  CHECK_FALSE(tester.set.next_removal().has_value());
}

TEST_CASE(
    "a Pod removed from its file ends within its grace period though a clock said it is deleted "
    "in an hour") {
  const auto deleted = [](const std::string& name, const std::string& at, int grace) {
    return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", deletionTimestamp: '" +
           at + "', deletionGracePeriodSeconds: " + std::to_string(grace) +
           "}\nspec: {}\nstatus: {podIP: 10.0.0.1}\n";
  };
  Tester tester;
  tester.put("a.yaml", deleted("ahead", "1970-01-01T01:16:40Z", 8) +
                           deleted("at-once", "1970-01-01T01:16:40Z", 0) +
                           deleted("behind", "1970-01-01T00:00:10Z", 8) +
                           deleted("right", "1970-01-01T00:16:45Z", 8));
  tester.settle(1000);
  tester.set.drop("a.yaml");
  CHECK(tester.settle(1001) == Lines{"-Pod default/at-once", "-Pod default/behind"});
  CHECK(tester.settle(1005) == Lines{"-Pod default/right"});
  CHECK(tester.settle(1008).empty());
  CHECK(tester.settle(1009) == Lines{"-Pod default/ahead"});
}

TEST_CASE("a Pod that returns before its deletion time is restored") {
  Tester tester;
  tester.put("a.yaml", pod("x", "10.0.0.1"));
  tester.settle();
  tester.set.drop("a.yaml");
  tester.settle(1001);
  tester.put("b.yaml", pod("x", "10.0.0.1"));
  CHECK(tester.settle(1002) == Lines{"+Pod default/x"});
  CHECK_FALSE(tester.pod_named("x").meta.deletion_timestamp.has_value());
  CHECK(tester.settle(2000).empty());
  tester.set.drop("b.yaml");
  tester.settle(2000);
  CHECK(tester.pod_named("x").meta.deletion_timestamp == 2030);
}

TEST_CASE("a Pod without a grace period, or one that has finished, is removed immediately") {
  Tester tester;
  tester.put("a.yaml", pod("x", "10.0.0.1", "terminationGracePeriodSeconds: 0") +
                           pod("w", "10.0.0.2, phase: Succeeded"));
  tester.settle();
  tester.set.drop("a.yaml");
  CHECK(tester.settle() == Lines{"-Pod default/w", "-Pod default/x"});
}

TEST_CASE("whatever the order of changes, the state is that of the current files") {
  REQUIRE(rc::check("path independence", [] {
    const Lines names{"a.yaml", "b.yaml", "c.yaml"};
    std::map<std::string, std::string> files;
    Tester walked;
    const int steps = *rc::gen::inRange(0, 12);
    UnixSeconds now = 1000;
    for (int i = 0; i < steps; ++i) {
      const std::string file = *rc::gen::elementOf(names);
      if (*rc::gen::inRange(0, 4) == 0) {
        files.erase(file);
        walked.set.drop(file);
      } else {
        std::string text;
        for (const int number : *rc::gen::container<std::set<int>>(rc::gen::inRange(0, 6))) {
          const std::string name = "o" + std::to_string(number);
          text += number % 2 == 0 ? pod(name, "10.0.0." + std::to_string(*rc::gen::inRange(1, 4)))
                                  : service(name, "clusterIP: 10.96.0.1" + std::to_string(number));
        }
        files[file] = text;
        walked.put(file, text);
      }
      if (*rc::gen::arbitrary<bool>()) walked.settle(now += 7);
    }
    walked.settle(now += 7);
    walked.settle(now + 100);  // all grace periods are over
    Tester fresh;
    for (const auto& [file, text] : files) fresh.put(file, text);
    fresh.settle(now + 100);
    RC_ASSERT(walked.pods == fresh.pods);
    RC_ASSERT(walked.services == fresh.services);
  }));
}

}  // namespace
