// SPDX-License-Identifier: Apache-2.0
//
// The DNS server: answers over UDP and TCP for the cluster domain, from what the Services and their
// endpoints are, as of the last pass: a name never leads to an address that is not served yet.
//
//   on_dirty --> mark()      end of a pass --> refresh() --> Zone      query --> Responder --> answer
//
// Can be moved to other addresses while it serves. An address need not be one of this host yet.
//
// Threading: the agent's io_context thread. Of each socket 32 queries are answered, which takes less
// than a millisecond, before other work has its turn.
// Errors: an address that cannot be bound is reported once and tried again every 5 s.
// Limits: TCP connections as HttpConnections says, for all addresses together; 10 s for a query to
// come and for an answer to be taken; queries as agent/dns/wire.hpp says. Nothing is kept of a client.
// Metrics: counters().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
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

#include "agent/dns/counters.hpp"
#include "agent/dns/datagrams.hpp"
#include "agent/dns/responder.hpp"
#include "agent/dns/upstream.hpp"
#include "agent/dns/zone.hpp"
#include "agent/report/http_connections.hpp"
#include "ipvs/state/desired.hpp"
#include "k8s/async/task_group.hpp"

namespace agent::dns {

class Server {
 public:
  using Place = boost::asio::ip::udp::endpoint;  // port 0: chosen by the kernel
  struct Options {
    Name zone;
    // The records of a Service; none: it is deleted, or has no name.
    std::function<std::vector<Record>(const ipvs::Owner&)> records_of;
    // Whether a client may have other resolvers asked.
    std::function<bool(const boost::asio::ip::address& client)> may_ask;
    // Called when an address cannot be bound, and with "" when it can again or is not wanted.
    std::function<void(const std::string& place, const std::string& fault)> on_bind =
        [](const std::string&, const std::string&) {};
    HttpConnections* connections = nullptr;  // must outlive this
    std::uint32_t serial = 1;                // of the zone, at the start
    std::chrono::milliseconds retry{5000};
    std::chrono::milliseconds idle{10000};
    std::chrono::milliseconds patience{2000};  // with another resolver
  };
  Server(boost::asio::any_io_executor executor, Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // From now on, or from run() on.
  void set_addresses(const std::vector<Place>& addresses);
  void set_upstreams(std::vector<Place> servers) { upstream_.set(std::move(servers)); }

  // The Service's records may be others; refresh() asks for them. The first one makes names known.
  void mark(const ipvs::Owner& service) { dirty_.insert(service); }
  void refresh();

  // Serves until cancelled. All sockets are closed when it returns.
  boost::asio::awaitable<void> run();

  const Counters& counters() const { return responder_.counters(); }
  std::size_t name_count() const { return zone_.name_count(); }
  // Where it listens; for tests.
  std::vector<Place> places() const;

 private:
  struct Listener;

  void start_and_stop();
  void stop(Listener& listener);
  bool open(Listener& listener);
  void report_bind(Listener& listener, const std::string& fault);
  boost::asio::awaitable<void> serve(std::shared_ptr<Listener> listener);
  boost::asio::awaitable<void> serve_udp(std::shared_ptr<Listener> listener);
  void answer_batch(const std::shared_ptr<Listener>& listener);
  boost::asio::awaitable<void> ask_for(std::shared_ptr<Listener> listener, Onward onward,
                                       Peer peer);
  boost::asio::awaitable<void> serve_tcp(std::shared_ptr<Listener> listener);
  boost::asio::awaitable<void> converse(boost::asio::ip::tcp::socket socket);
  bool may_ask(const boost::asio::ip::address& client) const;

  boost::asio::any_io_executor executor_;
  const Options options_;
  Zone zone_;
  Responder responder_;
  Upstream upstream_;
  HttpConnections own_connections_;
  HttpConnections& connections_;
  std::set<ipvs::Owner> dirty_;
  std::set<Place> wanted_;
  std::map<Place, std::shared_ptr<Listener>> listeners_;
  bool running_ = false;
  boost::asio::steady_timer end_;
  std::exception_ptr error_;
  TaskGroup tasks_;
};

}  // namespace agent::dns
