// SPDX-License-Identifier: Apache-2.0
//
// Answers questions about this node as JSON: collects what the parts of the agent know, and reads the
// kernel where an answer shows what it holds.
//
// Lists are collected and written in pieces of a few Services or endpoints, and other work of the event
// loop goes on between two pieces, however many there are.
//
// Threading: the agent's io_context thread; the kernel is only read through the KernelThread.
// Errors: what cannot be read of the kernel is missing in the answer, and the field "unread" says so.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <string>

#include "agent/answers/history_answers.hpp"
#include "agent/answers/question.hpp"
#include "agent/answers/service_answers.hpp"
#include "agent/cluster/cluster_state.hpp"
#include "agent/history/recorder.hpp"
#include "agent/report/conditions.hpp"
#include "agent/report/http_server.hpp"
#include "agent/report/node_digest.hpp"
#include "agent/report/sync_reporter.hpp"
#include "agent/sync/forward_guard.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/kube_proxy_guard.hpp"
#include "agent/sync/sync_loop.hpp"
#include "config/config.hpp"
#include "k8s/source.hpp"

namespace agent {

class Answers {
 public:
  struct Parts {
    const config::Config& config;
    ipvs::Kernel& kernel;
    KernelThread& thread;
    const ClusterState& cluster;
    const SyncLoop& sync;
    const SyncReporter& reporter;
    const NodeHealth& health;
    const Conditions& conditions;
    const ForwardGuard& forwarding;
    const KubeProxyGuard& kube_proxy;
    const k8s::Source& source;
    const HistoryRecorder& history;
    NodeDigest& digest;
    std::string source_name;  // "API server https://..."
  };
  explicit Answers(Parts parts);

  boost::json::object status() const;
  boost::json::object conditions() const;
  // The way of a packet, and the commands that look further. Throw QuestionFault.
  boost::json::object explain(const Question& question) const;
  boost::json::object next(const Question& question) const;
  // The addresses that are wanted or bound, each with the Services that need it.
  boost::asio::awaitable<void> write_vips(BodyWriter write) const;
  const ServiceAnswers& services() const { return services_; }
  const HistoryAnswers& history() const { return history_; }

 private:
  template <typename Make>
  boost::json::object about_packet(const Question& question, Make make) const;

  Parts parts_;
  ServiceAnswers services_;
  HistoryAnswers history_;
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
};

}  // namespace agent
