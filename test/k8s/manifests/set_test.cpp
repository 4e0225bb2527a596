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

// A set with what it gave out applied, as a consumer would.
class Tester {
 public:
  void put(const std::string& file, const std::string& text) {
    set.put(file, parse_manifest(text, ManifestFormat::kYaml));
  }
  // Settles; "+kind name" and "-kind name" in order of name, of Pods and Services.
  Lines settle(UnixSeconds now = 1000) {
    const ManifestChanges changes = set.settle(now);
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

TEST_CASE("Only what has changed is given out") {
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

TEST_CASE("A Service keeps its numbers through edits of its own") {
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

TEST_CASE("Of two objects with one name the first file's counts, and the other succeeds it") {
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

TEST_CASE("Within one file the first of two objects with one name counts") {
  Tester tester;
  tester.put("a.yaml", pod("x", "10.0.0.1") + pod("x", "10.0.0.2"));
  CHECK(tester.settle() == Lines{"+Pod default/x"});
  CHECK(tester.pod_named("x").pod_ips[0].to_string() == "10.0.0.1");
  CHECK(tester.faults == Lines{"a.yaml:8: Pod default/x is in a.yaml:2 already: skipped"});
}

TEST_CASE("A broken file keeps the last good state of its objects until it is mended") {
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
  CHECK(tester.faults.empty());  // told already, if on another line
  tester.put("a.yaml", service("web"));
  CHECK(tester.settle() == Lines{"+Pod default/x"});  // ends gracefully
  CHECK(tester.pod_named("x").meta.deletion_timestamp == 1030);
}

TEST_CASE("With one broken document the good ones are taken and its objects are kept") {
  Tester tester;
  tester.put("a.yaml", service("one") + service("two") + service("three"));
  tester.settle();
  tester.put("a.yaml", service("one", "selector: {new: \"1\"}") + "---\n{ two\n" + service("four"));
  CHECK(tester.settle() == Lines{"+Service default/four", "+Service default/one"});
  CHECK(tester.services.size() == 4);
}

TEST_CASE("An object that is refused keeps its last good state, the rest of its file moves on") {
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

TEST_CASE("A file that cannot be read keeps its objects, one that is gone does not") {
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

TEST_CASE("A Service that lost its number to an older one is used when the number is free") {
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

TEST_CASE("A Pod that vanishes ends gracefully, ready as it was") {
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

TEST_CASE("A Pod that comes back before its end is there again") {
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

TEST_CASE("A Pod without grace, or one that has finished, goes at once") {
  Tester tester;
  tester.put("a.yaml", pod("x", "10.0.0.1", "terminationGracePeriodSeconds: 0") +
                           pod("w", "10.0.0.2, phase: Succeeded"));
  tester.settle();
  tester.set.drop("a.yaml");
  CHECK(tester.settle() == Lines{"-Pod default/w", "-Pod default/x"});
}

TEST_CASE("Whatever the way, the state is that of the last files") {
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
    walked.settle(now + 100);  // the Pods that were ending have ended
    Tester fresh;
    for (const auto& [file, text] : files) fresh.put(file, text);
    fresh.settle(now + 100);
    RC_ASSERT(walked.pods == fresh.pods);
    RC_ASSERT(walked.services == fresh.services);
  }));
}

}  // namespace
