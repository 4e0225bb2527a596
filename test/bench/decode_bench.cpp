// SPDX-License-Identifier: Apache-2.0
//
// Speed of decoding a list of Pods. The Pods are like those of a real API server: 4 KB each, most
// of it managedFields, container and status details that we do not read.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "k8s/decode/decode.hpp"

namespace {

// The placeholders are the number of the Pod, and its app.
constexpr const char* kPodHead =
    R"({"metadata":{"name":"web-%05d","generateName":"web-6d4cf56db6-","namespace":"shop",)"
    R"("uid":"b3c0d7c8-4f0e-4a55-9d10-0000000%05d","resourceVersion":"9%05d",)"
    R"("creationTimestamp":"2026-11-20T10:11:12Z","labels":{"app":"web-%d",)"
    R"("app.kubernetes.io/instance":"prod","pod-template-hash":"6d4cf56db6"},"annotations":)"
    R"({"kubectl.kubernetes.io/restartedAt":"2026-11-20T10:11:12Z","prometheus.io/scrape":"true"},)";

constexpr std::string_view kPodManaged =
    R"("ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-6d4cf56db6",)"
    R"("uid":"0f0f0f0f-1111-2222-3333-444444444444","controller":true,"blockOwnerDeletion":true}],)"
    R"("managedFields":[{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1",)"
    R"("time":"2026-11-20T10:11:12Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":)"
    R"({"f:annotations":{".":{},"f:kubectl.kubernetes.io/restartedAt":{}},"f:generateName":{},)"
    R"("f:labels":{".":{},"f:app":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{},)"
    R"("k:{\"uid\":\"0f0f0f0f-1111-2222-3333-444444444444\"}":{}}},"f:spec":{"f:containers":)"
    R"({"k:{\"name\":\"web\"}":{".":{},"f:env":{".":{},"k:{\"name\":\"MODE\"}":{".":{},"f:name":{},)"
    R"("f:value":{}}},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},)"
    R"("k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{},)"
    R"("f:protocol":{}}},"f:resources":{},"f:terminationMessagePath":{},)"
    R"("f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:enableServiceLinks":{},)"
    R"("f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},)"
    R"("f:terminationGracePeriodSeconds":{}}}},{"manager":"kubelet","operation":"Update",)"
    R"("apiVersion":"v1","time":"2026-11-20T10:11:14Z","fieldsType":"FieldsV1","fieldsV1":)"
    R"({"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},)"
    R"("f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},)"
    R"("f:phase":{},"f:podIP":{},"f:podIPs":{".":{},"k:{\"ip\":\"10.244.1.7\"}":{".":{},"f:ip":{}}},)"
    R"("f:startTime":{}}},"subresource":"status"}]},)";

constexpr std::string_view kPodSpec =
    R"("spec":{"volumes":[{"name":"kube-api-access-x","projected":{"sources":[)"
    R"({"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":)"
    R"({"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}}],"defaultMode":420}}],)"
    R"("containers":[{"name":"web","image":"registry.example.org/team/web:v1.2.3","ports":)"
    R"([{"name":"http","containerPort":8080,"protocol":"TCP"}],"env":[{"name":"MODE",)"
    R"("value":"some value of a variable"}],"resources":{"limits":{"cpu":"1","memory":"256Mi"},)"
    R"("requests":{"cpu":"100m","memory":"128Mi"}},"volumeMounts":[{"name":"kube-api-access-x",)"
    R"("readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],)"
    R"("terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File",)"
    R"("imagePullPolicy":"IfNotPresent"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,)"
    R"("dnsPolicy":"ClusterFirst","serviceAccountName":"default","nodeName":"node-17",)"
    R"("securityContext":{},"schedulerName":"default-scheduler","tolerations":)"
    R"([{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute",)"
    R"("tolerationSeconds":300}],"priority":0,"enableServiceLinks":true},)";

constexpr const char* kPodStatus =
    R"("status":{"phase":"Running","conditions":[{"type":"Initialized","status":"True",)"
    R"("lastProbeTime":null,"lastTransitionTime":"2026-11-20T10:11:13Z"},{"type":"Ready",)"
    R"("status":"True","lastProbeTime":null,"lastTransitionTime":"2026-11-20T10:11:14Z"},)"
    R"({"type":"ContainersReady","status":"True","lastProbeTime":null,)"
    R"("lastTransitionTime":"2026-11-20T10:11:14Z"},{"type":"PodScheduled","status":"True",)"
    R"("lastProbeTime":null,"lastTransitionTime":"2026-11-20T10:11:12Z"}],"hostIP":"192.168.1.7",)"
    R"("podIP":"10.244.%d.%d","podIPs":[{"ip":"10.244.%d.%d"}],"startTime":"2026-11-20T10:11:12Z",)"
    R"("containerStatuses":[{"name":"web","state":{"running":{"startedAt":"2026-11-20T10:11:13Z"}},)"
    R"("lastState":{},"ready":true,"restartCount":0,"image":"registry.example.org/team/web:v1.2.3",)"
    R"("imageID":"registry.example.org/team/web@sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f)"
    R"(3c9ee954a27460dd865","containerID":"containerd://4355a46b19d348dc2f57c046f8ef63d4538ebb936000f)"
    R"(3c9ee954a27460dd865","started":true}],"qosClass":"Burstable"}})";

std::string pod_list(int count) {
  std::string json =
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"123456"},"items":[)";
  char part[4096];
  for (int i = 0; i < count; ++i) {
    if (i > 0) json += ',';
    std::snprintf(part, sizeof part, kPodHead, i, i, i, i / 10);
    (json += part).append(kPodManaged).append(kPodSpec);
    std::snprintf(part, sizeof part, kPodStatus, i / 256, i % 256, i / 256, i % 256);
    json += part;
  }
  return json += "]}";
}

// Feeds `json` in pieces of the given size, like reads from a socket.
void decode_list(benchmark::State& state, const std::string& json) {
  const auto piece = static_cast<std::size_t>(state.range(0));
  std::size_t items = 0;
  for (auto _ : state) {
    k8s::ListDecoder<k8s::Pod> decoder({
        .on_item = [&items](k8s::Pod pod) { items += pod.ready ? 1 : 0; },
        .on_fault = [](const k8s::Meta&, const k8s::DecodeFault&) {},
    });
    for (std::string_view rest = json; !rest.empty();
         rest.remove_prefix(std::min(piece, rest.size()))) {
      if (!decoder.feed(rest.substr(0, piece))) state.SkipWithError("refused");
    }
    if (!decoder.finish()) state.SkipWithError("unfinished");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(json.size()) * state.iterations());
  state.SetItemsProcessed(static_cast<std::int64_t>(items));
}

void BM_DecodePodList(benchmark::State& state) { decode_list(state, pod_list(1000)); }
BENCHMARK(BM_DecodePodList)->Arg(1 << 16)->Arg(1 << 12)->Unit(benchmark::kMillisecond);

// The lower bound: the same bytes, in a field that the reader skips.
void BM_SkipPodList(benchmark::State& state) {
  const std::string json = R"({"kind":"PodList","unknown":)" + pod_list(1000) + R"(,"items":[]})";
  decode_list(state, json);
}
BENCHMARK(BM_SkipPodList)->Arg(1 << 16)->Unit(benchmark::kMillisecond);

void BM_DecodeWatchEvent(benchmark::State& state) {
  const std::string list = pod_list(1);
  const auto start = list.find('[') + 1;
  const std::string event =
      R"({"type":"MODIFIED","object":)" + list.substr(start, list.size() - 2 - start) + "}\n";
  std::size_t events = 0;
  k8s::WatchDecoder<k8s::Pod> decoder({
      .on_event = [&events](k8s::WatchVerb, k8s::Pod) { ++events; },
      .on_error = [](const k8s::ApiStatus&) {},
      .on_fault = [](k8s::WatchVerb, const k8s::Meta&, const k8s::DecodeFault&) {},
  });
  for (auto _ : state) {
    if (!decoder.feed(event)) state.SkipWithError("refused");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(event.size()) * state.iterations());
  state.SetItemsProcessed(static_cast<std::int64_t>(events));
}
BENCHMARK(BM_DecodeWatchEvent);

}  // namespace
