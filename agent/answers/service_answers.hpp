// SPDX-License-Identifier: Apache-2.0
//
// Answers about Services and their endpoints: what is wanted, what the kernel holds, and why. Written
// in pieces, as agent/answers/answers.hpp says.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "agent/answers/endpoint_view.hpp"
#include "agent/answers/query.hpp"
#include "agent/cluster/cluster_state.hpp"
#include "agent/history/recorder.hpp"
#include "agent/report/conditions.hpp"
#include "agent/report/http_server.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/sync_loop.hpp"

namespace agent {

class ServiceAnswers {
 public:
  struct Parts {
    ipvs::Kernel& kernel;
    KernelThread& thread;
    const ClusterState& cluster;
    const SyncLoop& sync;
    const Conditions& conditions;
    const HistoryRecorder& history;
  };
  explicit ServiceAnswers(Parts parts) : parts_(parts) {}

  // Which Services: `namespace`, `name`, `selector` of the query; without them all.
  boost::asio::awaitable<void> write(ServiceQuery query, bool with_endpoints,
                                     BodyWriter write) const;
  // False: there is none of that name.
  bool has(const ServiceQuery& query) const;

 private:
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
};

}  // namespace agent
