// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/endpoint_choice.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "k8s/watch/cluster_source.hpp"
#include "test/k8s/watch/reflector_bench.hpp"

namespace {

using namespace k8s::test;
using k8s::EndpointChoice;
constexpr const char* kPods = "/api/v1/pods";
constexpr const char* kSlices = "/apis/discovery.k8s.io/v1/endpointslices";
constexpr const char* kManaged = "managed-by%21%3Dendpointslice-controller";

std::string pod_json(const std::string& name) {
  return R"({"kind":"Pod","apiVersion":"v1","metadata":{"namespace":"default","name":")" + name +
         R"("},"status":{"phase":"Running","podIP":"10.244.0.1"}})";
}

std::string slice_json(const std::string& name, const std::string& manager) {
  return R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{)"
         R"("namespace":"default","name":")" +
         name + R"(","labels":{"endpointslice.kubernetes.io/managed-by":")" + manager +
         R"(","kubernetes.io/service-name":"s0"}},"addressType":"IPv4","endpoints":[],"ports":[]})";
}

// A source that may choose; one Pod, and one slice of each kind.
struct ChoosingBench : Bench {
  ChoosingBench() {
    server.serve(kPods, "Pod");
    server.serve(kSlices, "EndpointSlice");
    server.put(kPods, pod_json("web-1"));
    server.put(kSlices, slice_json("web", "endpointslice-controller.k8s.io"));
    server.put(kSlices, slice_json("by-hand", "me"));
  }
  ~ChoosingBench() { stop(); }
  void start() { spawn(source.run()); }
  void forbid_pods() {
    server.misbehave({.on = "/api/v1/pods?", .times = -1, .status = 403, .reason = "Forbidden"});
  }
  void allow_pods() { server.forget_misbehaviours(); }
  std::vector<std::string> notes() const {
    std::vector<std::string> found;
    for (const auto& fault : faults) {
      if (fault.kind == "note") found.push_back(fault.what.substr(0, 70));
    }
    return found;
  }
  const k8s::KindCounters& counters_of(const std::string& kind) {
    counters = source.counters();
    for (const auto& each : counters) {
      if (each.kind == kind) return each;
    }
    FAIL("no counters of " << kind);
    return counters.front();
  }

  RecordingSink<k8s::Pod> pods;
  RecordingSink<k8s::EndpointSlice> slices;
  std::vector<bool> chosen;                // true: Pods
  std::vector<std::size_t> slices_chosen;  // how many were there
  std::vector<k8s::KindCounters> counters;
  k8s::ClusterSource source{
      io.get_executor(),
      client,
      {.pods = &pods,
       .slices = &slices,
       .endpoints_from_pods =
           [this](bool from_pods) {
             chosen.push_back(from_pods);
             slices_chosen.push_back(slices.versions.size());
           }},
      {.endpoint_source = config::EndpointSource::kAuto, .node_name = {}, .reflector = options()},
      [this](const k8s::SourceFault& fault) { faults.push_back(fault); }};
};

using Choices = std::vector<bool>;
using Notes = std::vector<std::string>;
const std::string kNoPods =
    "endpoints come from EndpointSlices, because Pods may not be listed: Po";
const std::string kPodsAgain = "Pods may be listed now: endpoints come from them";

}  // namespace

TEST_CASE("EndpointSlices are taken once Pods are refused, and in force once they are complete") {
  EndpointChoice choice;
  CHECK(choice.from_pods());
  CHECK_FALSE(choice.slices_listed());  // of Services without a selector
  CHECK(choice.pods_refused());
  CHECK_FALSE(choice.pods_refused());
  CHECK(choice.wants_all_slices());
  CHECK(choice.from_pods());
  CHECK(choice.slices_listed());
  CHECK_FALSE(choice.slices_listed());
  CHECK_FALSE(choice.from_pods());
  CHECK(choice.pods_listed());
  CHECK(choice.from_pods());
  CHECK_FALSE(choice.wants_all_slices());
}

TEST_CASE("after a list of Pods it takes two refusals in a row to leave them") {
  EndpointChoice choice;
  CHECK_FALSE(choice.pods_listed());
  CHECK_FALSE(choice.pods_refused());
  CHECK_FALSE(choice.pods_listed());  // it was one server's mistake
  CHECK_FALSE(choice.pods_refused());
  CHECK(choice.pods_refused());
  CHECK(choice.pods_listed());  // before the slices were complete: nothing has changed
  CHECK(choice.from_pods());
}

TEST_CASE("with auto endpoints come from Pods where they may be listed (18.1)") {
  ChoosingBench bench;
  bench.start();
  bench.run_until([&] { return bench.server.open_watches() == 2; });
  CHECK(bench.pods.lists == 1);
  CHECK(bench.slices.versions.size() == 1);
  CHECK(bench.server.count("endpointslices?") == bench.server.count(kManaged));
  CHECK(bench.chosen.empty());
  CHECK(bench.faults.empty());
}

TEST_CASE(
    "with auto endpoints come from EndpointSlices where Pods are forbidden, said once (18.1)") {
  ChoosingBench bench;
  bench.forbid_pods();
  bench.start();
  bench.run_until([&] { return !bench.chosen.empty() && bench.pauses.size() > 8; });
  CHECK(bench.chosen == Choices{false});
  CHECK(bench.slices_chosen == std::vector<std::size_t>{2});
  CHECK(bench.pods.lists == 0);
  CHECK(bench.notes() == Notes{kNoPods});
  CHECK(bench.faults.size() == 1);
  CHECK(bench.faults.front().what.find("403 Forbidden") != std::string::npos);
  // Asked again ever more rarely, up to every ten minutes.
  CHECK(bench.pauses.front() == milliseconds(10'000));
  CHECK(bench.pauses.back() >= milliseconds(300'000));
  CHECK(bench.counters_of("Pod").seconds_since_contact == 0);
  // What changes arrives.
  bench.server.put(kSlices, slice_json("more", "endpointslice-controller.k8s.io"));
  bench.run_until([&] { return bench.slices.versions.size() == 3; });
}

TEST_CASE(
    "with auto Pods that become forbidden stay in force until all EndpointSlices are listed "
    "(18.1)") {
  ChoosingBench bench;
  bench.start();
  bench.run_until([&] { return bench.server.open_watches() == 2; });
  const auto lists_before = bench.counters_of("EndpointSlice").lists;
  bench.forbid_pods();
  bench.server.end_watches(kPods, true);
  bench.run_until([&] { return !bench.chosen.empty(); });
  CHECK(bench.chosen == Choices{false});
  CHECK(bench.slices_chosen == std::vector<std::size_t>{2});
  CHECK(bench.pods.versions.size() == 1);  // nothing was removed
  CHECK(bench.notes() == Notes{kNoPods});
  // The counters go on over the change.
  CHECK(bench.counters_of("EndpointSlice").lists > lists_before);
}

TEST_CASE("with auto endpoints come from Pods again once they may be listed (18.1)") {
  ChoosingBench bench;
  bench.forbid_pods();
  bench.start();
  bench.run_until([&] { return bench.chosen == Choices{false}; });
  bench.allow_pods();
  bench.run_until([&] { return bench.chosen.size() == 2 && bench.slices.versions.size() == 1; });
  CHECK(bench.chosen == Choices{false, true});
  CHECK(bench.slices_chosen.back() == 2);  // they are left after that
  CHECK(bench.pods.versions.size() == 1);
  CHECK(bench.notes() == Notes{kNoPods, kPodsAgain});
  bench.run_until([&] { return bench.server.open_watches() == 2; });
}

TEST_CASE("with auto a server that refuses Pods once does not cost a list of all slices (18.1)") {
  ChoosingBench bench;
  bench.start();
  bench.run_until([&] { return bench.server.open_watches() == 2; });
  bench.server.misbehave(
      {.on = "/api/v1/pods?watch", .times = 1, .status = 403, .reason = "Forbidden"});
  bench.server.end_watches(kPods, true);
  bench.run_until([&] { return bench.pods.lists == 2 && bench.server.open_watches() == 2; });
  CHECK(bench.chosen.empty());
  CHECK(bench.notes().empty());
  CHECK(bench.faults.size() == 1);  // the refusal itself
  CHECK(bench.server.count("endpointslices?") == bench.server.count(kManaged));
}

TEST_CASE("with auto other faults of Pods are no reason to leave them (18.1)") {
  ChoosingBench bench;
  bench.server.misbehave({.on = "/api/v1/pods?", .times = 5, .status = 500});
  bench.start();
  bench.run_until([&] { return bench.pods.lists == 1; });
  CHECK(bench.chosen.empty());
  CHECK(bench.notes().empty());
}

namespace {

// With `endpointslice`: only Pods with a label for their weight are requested.
struct WeightBench : Bench {
  WeightBench() {
    server.serve(kPods, "Pod");
    server.put(kPods, pod_json("web-1"));
  }
  ~WeightBench() { stop(); }
  RecordingSink<k8s::Pod> weighted;
  k8s::ClusterSource source{io.get_executor(),
                            client,
                            {.weighted_pods = &weighted},
                            {.endpoint_source = config::EndpointSource::kEndpointSlice,
                             .node_name = {},
                             .reflector = options()},
                            [this](const k8s::SourceFault& fault) { faults.push_back(fault); }};
};

}  // namespace

TEST_CASE("with endpointslice only Pods with a label for their weight are requested (18.4)") {
  WeightBench bench;
  bench.spawn(bench.source.run());
  bench.run_until([&] { return bench.server.open_watches() == 1; });
  CHECK(bench.weighted.versions.empty());
  CHECK(bench.server.count("/pods?") == bench.server.count("labelSelector=kube-ipvs.io%2Fweight"));
  CHECK(bench.faults.empty());
}

TEST_CASE("with endpointslice Pods that are forbidden have no weights, said once (18.4)") {
  WeightBench bench;
  bench.server.misbehave(
      {.on = "/api/v1/pods?", .times = -1, .status = 403, .reason = "Forbidden"});
  bench.spawn(bench.source.run());
  bench.run_until([&] { return bench.pauses.size() > 4; });
  CHECK(bench.weighted.lists == 1);
  CHECK(bench.pauses.front() == milliseconds(10'000));
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults.front().kind == "note");
  bench.server.forget_misbehaviours();
  bench.run_until([&] { return bench.weighted.lists > 1 && bench.server.open_watches() == 1; });
}
