// SPDX-License-Identifier: Apache-2.0
//
// The Source that speaks to an API server: one reflector per kind that is wanted, side by side.
//
// What is asked of the server, per kind:
//   Services        all of them: which of them concern us is decided from live labels
//   Pods            status.phase neither Succeeded nor Failed; one that gets there arrives as a
//                   deletion
//   Nodes           all (`selector` mode: their zones make topology hints), or only our own
//   EndpointSlices  `selector` mode: those no endpoint slice controller made (the Services without
//                   selector); `endpointslice` mode: all but those of headless Services.
//                   discovery.k8s.io/v1, or v1beta1 from servers before 1.21
//
// Threading: the executor's one thread. Errors: to the FaultHandler; run() ends only by
// cancellation.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
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
  bool only_own_node = false;  // list and watch the one Node `node_name`
  ReflectorOptions
      reflector;  // limits and injected clock of all kinds; kind, paths and selectors are ours
};

// What one reflector is to ask for. Pure; in order of Sinks: services, pods, nodes, slices.
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

 private:
  boost::asio::any_io_executor executor_;
  std::vector<std::unique_ptr<ReflectorCore>> reflectors_;
};

}  // namespace k8s
