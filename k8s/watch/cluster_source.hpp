// SPDX-License-Identifier: Apache-2.0
//
// The Source that reads from an API server: one concurrent reflector per kind with a sink.
//
// Requests per kind:
//   Services        without the label service.kubernetes.io/service-proxy-name, or those whose label
//                   names us, and not headless (clusterIP: None) if the server can select that. It
//                   reports one that gets the label of another as deleted
//   Pods            status.phase other than Succeeded and Failed; the server reports a Pod that
//                   reaches one of these as deleted
//   Nodes           all (in `selector` mode their zones make topology hints), or only our own
//   EndpointSlices  all but those with the label service.kubernetes.io/headless; in `selector` mode
//                   only those not made by the EndpointSlice controller (of Services without
//                   selector).
//                   discovery.k8s.io/v1, or v1beta1 from servers before 1.21
//
// Threading: the executor's one thread. Errors: to the FaultHandler; run() ends only by
// cancellation. Metrics: counters().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "k8s/client/api_client.hpp"
#include "k8s/sink.hpp"
#include "k8s/source.hpp"
#include "k8s/watch/reflector.hpp"

namespace k8s {

struct ClusterOptions {
  config::EndpointSource endpoint_source = config::EndpointSource::kSelector;
  std::string node_name;
  std::string service_proxy_name = {};  // "": Services that name no proxy
  bool only_own_node = false;           // list and watch the one Node `node_name`
  // Limits and injected clock for all kinds. Kind, paths and selectors are set by the source.
  ReflectorOptions reflector;
};

// The options of each kind's reflector. Pure.
ReflectorOptions service_reflector(const ClusterOptions& options);
ReflectorOptions pod_reflector(const ClusterOptions& options);
ReflectorOptions node_reflector(const ClusterOptions& options);
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

 private:
  boost::asio::any_io_executor executor_;
  ApiClient& client_;
  std::vector<std::unique_ptr<ReflectorCore>> reflectors_;
};

}  // namespace k8s
