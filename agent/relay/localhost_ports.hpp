// SPDX-License-Identifier: Apache-2.0
//
// Node ports on 127.0.0.1 and ::1: accepts TCP connections there and relays them to a virtual server
// of the Service, so that IPVS chooses the endpoint. agent/decide/localhost_ports.hpp says which.
//
//   client --127.0.0.1:30080--> LocalhostPorts --10.96.0.1:80--> IPVS --> endpoint
//
// A connection ends when both sides have sent their end (half-closed ones go on), when one of them
// resets it, which the other side gets as a reset, or with the agent. It goes on when its Service is
// changed. A side that does not read stops the other: what is under way is at most two buffers of
// 16 KiB.
//
// Threading: the agent's io_context thread.
// Errors: a port that another process uses is reported once and tried again every 5 s; an endpoint
// that cannot be reached is a reset for the client. Connections over the limit are reset.
// Metrics: kube_ipvs_localhost_node_port* by the callback `changed`.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/localhost_ports.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/async/task_group.hpp"

namespace agent {

class LocalhostPorts {
 public:
  struct Counters {
    std::size_t listeners = 0, connections = 0;  // now
    std::uint64_t relayed = 0;                   // connections with an endpoint
    std::uint64_t refused = 0;                   // over the limit
    std::uint64_t failed = 0;                    // no endpoint, or none that answers
    std::uint64_t bind_failures = 0;             // tries included
    bool operator==(const Counters&) const = default;
  };
  struct Options {
    // The ports of a Service; none: it is deleted, or has none.
    std::function<std::vector<LocalhostPort>(const ipvs::Owner&)> ports_of;
    // Called when a port cannot be listened on, and with "" when it can again, or is not wanted.
    std::function<void(const ipvs::Owner&, const std::string& port, const std::string& fault)>
        on_bind = [](const ipvs::Owner&, const std::string&, const std::string&) {};
    std::function<void(const Counters&)> changed = [](const Counters&) {};
    std::chrono::milliseconds retry{5000};
    std::chrono::milliseconds connect{5000};
    std::size_t max_connections = 512;
  };
  LocalhostPorts(boost::asio::any_io_executor executor, Options options);
  ~LocalhostPorts();
  LocalhostPorts(const LocalhostPorts&) = delete;
  LocalhostPorts& operator=(const LocalhostPorts&) = delete;

  // The Service's ports may be others; refresh() asks for them.
  void mark(const ipvs::Owner& service) { dirty_.insert(service); }
  void refresh();

  // Serves until cancelled. All ports and connections are closed when it returns.
  boost::asio::awaitable<void> run();

  const Counters& counters() const { return counters_; }

 private:
  using Place = boost::asio::ip::tcp::endpoint;
  struct Listener;
  struct Connection;

  void start_and_stop();
  void stop(Listener& listener);
  void start(const Place& place, const ipvs::Owner& owner, const LocalhostPort& port);
  bool listen(Listener& listener);
  void report_bind(Listener& listener, const std::string& fault);
  boost::asio::awaitable<void> serve(std::shared_ptr<Listener> listener);
  boost::asio::awaitable<void> accept(std::shared_ptr<Listener> listener);
  boost::asio::awaitable<void> relay(std::shared_ptr<Connection> connection, ipvs::Endpoint target);
  boost::asio::awaitable<void> pump(std::shared_ptr<Connection> connection, bool to_client);
  void count(std::uint64_t Counters::*counter);
  void note_connections();

  boost::asio::any_io_executor executor_;
  const Options options_;
  std::set<ipvs::Owner> dirty_;
  std::map<ipvs::Owner, std::vector<LocalhostPort>> wanted_;
  std::map<Place, std::shared_ptr<Listener>> listeners_;
  std::set<Connection*> connections_;
  Counters counters_;
  bool running_ = false;
  boost::asio::steady_timer end_;
  std::exception_ptr error_;
  TaskGroup tasks_;
};

}  // namespace agent
