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
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/answers/endpoint_view.hpp"
#include "agent/answers/query.hpp"
#include "agent/answers/question.hpp"
#include "agent/cluster/cluster_state.hpp"
#include "agent/history/past.hpp"
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
  explicit Answers(Parts parts) : parts_(std::move(parts)) {}

  boost::json::object status() const;
  boost::json::object conditions() const;
  // The way of a packet, and the commands that look further. Throw QuestionFault.
  boost::json::object explain(const Question& question) const;
  boost::json::object next(const Question& question) const;
  // The addresses that are wanted or bound, each with the Services that need it.
  boost::asio::awaitable<void> write_vips(BodyWriter write) const;
  // Which Services: `namespace`, `name`, `selector` of the query; without them all. nullopt: there is
  // none of that name.
  boost::asio::awaitable<void> write_services(ServiceQuery query, bool with_endpoints,
                                              BodyWriter write) const;
  bool has(const ServiceQuery& query) const;
  // The operations since `since`, of one Service ("NAMESPACE/NAME") or of all, oldest first.
  boost::asio::awaitable<void> write_history(std::string service, UnixMilliseconds since,
                                             BodyWriter write) const;
  // What the kernel held of that Service at `at`.
  boost::asio::awaitable<void> write_table(std::string service, UnixMilliseconds at,
                                           BodyWriter write) const;

 private:
  template <typename Make>
  boost::json::object about_packet(const Question& question, Make make) const;
  // A Service with its virtual servers, wanted and held, and the rows of its endpoints.
  struct Item {
    boost::json::object service{};
    std::deque<EndpointRow> endpoints{};
  };
  // What the kernel holds of some virtual servers.
  struct Held {
    std::map<ipvs::ServerKey, ipvs::ServerReading> servers{};
    bool is_unread = false;  // some could not be read
  };
  // What the kernel holds of a Service.
  struct Present {
    std::vector<ipvs::Server> servers{};
    std::set<ipvs::Address> bound{};
  };
  Present present_of(const std::string& service) const;
  // What was done since a time.
  struct Past {
    PastTable table{};
    std::size_t operations = 0;
    bool is_known = false;   // there is an entry before that time
    bool is_broken = false;  // a first pass since then is one entry
    bool is_too_long = false;
  };
  // Parts of write_table(), which owns what they refer to.
  boost::asio::awaitable<Past> read_past(const std::string& service, UnixMilliseconds at) const;
  boost::asio::awaitable<void> add_present(const Present& present, PastTable& table) const;
  // Parts of item_of(), which owns what they refer to and awaits each before it goes on.
  boost::asio::awaitable<Held> read_held(const std::vector<ipvs::ServerKey>& keys) const;
  std::vector<ServerView> views_of(const k8s::Service& service, const k8s::ServicePort& port,
                                   const Held& held) const;
  boost::asio::awaitable<ServiceFacts> facts_of(const k8s::Service& service) const;
  boost::asio::awaitable<void> add_rows(EndpointRows& rows, const std::string& port,
                                        std::deque<EndpointRow>& all) const;
  boost::asio::awaitable<void> add_clocks(const std::string& owner,
                                          std::deque<EndpointRow>& rows) const;
  boost::asio::awaitable<Item> item_of(k8s::Service service) const;
  boost::asio::awaitable<void> write_item(Item item, bool with_endpoints, BodyWriter write) const;

  Parts parts_;
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
};

}  // namespace agent
