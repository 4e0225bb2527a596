// SPDX-License-Identifier: Apache-2.0
//
// The Source that reads from an API server: one concurrent reflector per kind with a sink.
//
// Requests per kind:
//   Services        without the label service.kubernetes.io/service-proxy-name, or those whose label
//                   names us, and not headless (clusterIP: None) if the server can select that. It
//                   reports one that gets the label of another as deleted. For DNS: all
//   Pods            status.phase other than Succeeded and Failed; the server reports a Pod that
//                   reaches one of these as deleted. In `endpointslice` mode only those with the
//                   label kube-ipvs.io/weight, and none if they are forbidden
//   Nodes           our own; after watch_other_nodes() by one more reflector all others, so that
//                   what fails there does not concern our own
//   EndpointSlices  all but, unless it is for DNS, those with the label
//                   service.kubernetes.io/headless; in `selector` mode
//                   only those not made by the EndpointSlice controller (of Services without
//                   selector).
//                   discovery.k8s.io/v1, or v1beta1 from servers before 1.21
//
// With `auto` it begins as with `selector`; where Pods are forbidden all EndpointSlices take the place
// of those without selector, and Pods are asked for again from time to time (endpoint_choice.hpp).
//
// Threading: the executor's one thread. Errors: to the FaultHandler; run() ends only by
// cancellation. Metrics: counters().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "k8s/client/api_client.hpp"
#include "k8s/sink.hpp"
#include "k8s/source.hpp"
#include "k8s/watch/endpoint_choice.hpp"
#include "k8s/watch/list_end.hpp"
#include "k8s/watch/reflector.hpp"

namespace k8s {

struct ClusterOptions {
  config::EndpointSource endpoint_source = config::EndpointSource::kSelector;
  std::string node_name;
  std::string service_proxy_name = {};  // "": Services that name no proxy
  // For DNS: Services of all proxies, headless ones and their EndpointSlices included.
  bool for_dns = false;
  // Limits and injected clock for all kinds. Kind, paths and selectors are set by the source.
  ReflectorOptions reflector;
};

// The options of each kind's reflector. Pure.
ReflectorOptions service_reflector(const ClusterOptions& options);
ReflectorOptions pod_reflector(const ClusterOptions& options);
ReflectorOptions weighted_pod_reflector(const ClusterOptions& options);
ReflectorOptions own_node_reflector(const ClusterOptions& options);
ReflectorOptions other_nodes_reflector(const ClusterOptions& options);
ReflectorOptions slice_reflector(const ClusterOptions& options);

class ClusterSource final : public Source {
 public:
  // `client` and the sinks must outlive the source.
  ClusterSource(boost::asio::any_io_executor executor, ApiClient& client, const Sinks& sinks,
                const ClusterOptions& options, FaultHandler on_fault);
  ~ClusterSource() override;

  boost::asio::awaitable<void> run() override;
  std::vector<KindCounters> counters() const override;
  std::vector<boost::asio::ip::address> server_addresses() const override;
  void on_server_addresses(const std::function<void()>& changed) override;
  bool watch_other_nodes(const std::function<void(const std::string& why)>& unavailable) override;

 private:
  boost::asio::awaitable<void> run_other_nodes();
  void note_other_nodes_fault(const SourceFault& fault);

  void add_weighted_pods();

  // --- with `auto` ---
  bool chooses() const;
  void add_pods();
  boost::asio::awaitable<void> run_slices();
  void make_slices();
  void note_pods_fault(const SourceFault& fault);
  void pods_listed();
  void all_slices_listed();

  boost::asio::any_io_executor executor_;
  ApiClient& client_;
  const ClusterOptions options_;
  const FaultHandler on_fault_;
  std::vector<std::unique_ptr<ReflectorCore>> reflectors_;

  const Sinks sinks_;
  EndpointChoice choice_;
  boost::asio::steady_timer choice_changed_;
  std::unique_ptr<ListEnd<Pod>> pods_end_;
  std::unique_ptr<ListEnd<EndpointSlice>> slices_end_;
  std::unique_ptr<ReflectorCore> slices_;  // of `auto`; else it is one of reflectors_
  KindCounters past_slices_;               // of those before it
  bool unserved_said_ = false;

  Sink<Node>* const other_nodes_sink_;
  std::unique_ptr<ReflectorCore> other_nodes_;  // once they are needed
  boost::asio::steady_timer other_nodes_needed_;
  std::function<void(const std::string&)> other_nodes_unavailable_;
  unsigned other_nodes_faults_ = 0;
  bool other_nodes_forbidden_ = false;  // reported
};

}  // namespace k8s
