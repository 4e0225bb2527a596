// SPDX-License-Identifier: Apache-2.0
//
// Sources: kubernetes pkg/features/kube_features.go, staging/src/k8s.io/client-go/features and
// component-base, and the page "Feature Gates" of the documentation; and what distributions give to
// all components alike.
#include "config/feature_gates.hpp"

#include <algorithm>
#include <iterator>

namespace config {
namespace {

using enum FeatureGate::Here;

constexpr FeatureGate kGates[] = {
    {"AllAlpha", kNoMeaning},
    {"AllBeta", kNoMeaning},
    {"AllowServiceExternalIPs", kOn},
    {"AllowServiceLBStatusOnNonLB", kOn},
    {"ClientsAllowCBOR", kNoMeaning},
    {"ClientsPreferCBOR", kNoMeaning},
    {"CloudDualStackNodeIPs", kNoMeaning},
    {"ComponentFlagz", kNoMeaning},
    {"ComponentSLIs", kNoMeaning},
    {"ComponentStatusz", kNoMeaning},
    {"ContextualLogging", kNoMeaning},
    {"DefaultEndpointSliceTopologyHints", kNoMeaning},
    {"DisableNodeKubeProxyVersion", kNoMeaning},
    {"DynamicKubeletConfig", kNoMeaning},
    {"EndpointSlice", kOn},
    {"EndpointSliceNodeName", kOn},
    {"EndpointSliceProxying", kOn},
    {"EndpointSliceTerminatingCondition", kOn},
    {"ExternalPolicyForExternalIP", kOn},
    {"IPv6DualStack", kOn},
    {"InOrderInformers", kNoMeaning},
    {"InformerResourceVersion", kNoMeaning},
    {"KubeProxyDrainingTerminatingNodes", kOn},
    {"KubeProxyIPVS", kOn},
    {"KubeProxyNFTablesLocalhostNodePorts", kNoMeaning},
    {"LegacyNodeRoleBehavior", kNoMeaning},
    {"LoadBalancerIPMode", kOn},
    {"LoggingAlphaOptions", kNoMeaning},
    {"LoggingBetaOptions", kNoMeaning},
    {"MinimizeIPTablesRestore", kNoMeaning},
    {"MixedProtocolLBService", kOn},
    {"MultiCIDRServiceAllocator", kOn},
    {"NFTablesNetlink", kNoMeaning},
    {"NFTablesProxyMode", kNoMeaning},
    {"NativeHistograms", kNoMeaning},
    {"PodTopologyLabelsAdmission", kNoMeaning},
    {"PreferSameTrafficDistribution", kOn},
    {"ProxyTerminatingEndpoints", kOn},
    {"RelaxedServiceNameValidation", kOn},
    {"RotateKubeletClientCertificate", kNoMeaning},
    {"RotateKubeletServerCertificate", kNoMeaning},
    {"SCTPSupport", kOn},
    {"ServiceAccountTokenNodeBinding", kNoMeaning},
    {"ServiceIPStaticSubrange", kNoMeaning},
    {"ServiceInternalTrafficPolicy", kOn},
    {"ServiceLBNodePortControl", kOn},
    {"ServiceLoadBalancerClass", kNoMeaning},
    {"ServiceNodeExclusion", kNoMeaning},
    {"ServiceNodePortStaticSubrange", kNoMeaning},
    {"ServiceTopology", kOff},
    {"ServiceTrafficDistribution", kOn},
    {"StableLoadBalancerNodeSet", kNoMeaning},
    {"StrictIPCIDRValidation", kNoMeaning},
    {"SupportIPVSProxyMode", kOn},
    {"SupportNodePidsLimit", kNoMeaning},
    {"SupportPodPidsLimit", kNoMeaning},
    {"TopologyAwareHints", kOn},
    {"TopologyManager", kNoMeaning},
    {"WarningHeaders", kNoMeaning},
    {"WatchListClient", kNoMeaning},
    {"WinDSR", kNoMeaning},
    {"WinOverlay", kNoMeaning},
};

}  // namespace

std::span<const FeatureGate> feature_gates() { return kGates; }

std::string difference_of_gate(std::string_view name, bool enabled) {
  const auto* const gate =
      std::lower_bound(std::begin(kGates), std::end(kGates), name,
                       [](const FeatureGate& row, std::string_view key) { return row.name < key; });
  if (gate == std::end(kGates) || gate->name != name)
    return "is none that concerns a Service proxy";
  if (gate->here == kNoMeaning || enabled == (gate->here == kOn)) return {};
  return enabled ? "is not there in kube-ipvs" : "cannot be turned off in kube-ipvs";
}

}  // namespace config
