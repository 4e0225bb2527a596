// SPDX-License-Identifier: Apache-2.0
//
// Makes counters that never go back out of the kernel's, which begin anew at 0 each time a virtual
// server or a destination is made again: an endpoint that was not ready for a while, a Service that
// got another node port.
//
// At each look (a scrape) the counters of every virtual server and destination are compared with
// those of the look before. What went back, or is not there any more, is added to the base of its
// series, and what is shown is the base and what the kernel counts now. So a series may show too
// little, what was counted between the last look and the end of a counter; never too much, and
// never less than before.
//
// A destination that is added again while connections to it are still known gets its old counters
// back (ip_vs_trash_get_dest in ip_vs_ctl.c; not when its virtual server is another). So what a
// destination has counted is kept aside while it is gone, and goes into the base only when it comes
// back with less. One that begins anew and has counted more than it had before, all between two
// looks, shows too little.
//
// A series is a Service port, or an endpoint of it with the Pod that has it: another Pod at the
// same address starts anew. An endpoint's base is kept while the Service has the endpoint, ready or
// not; everything is dropped with the Service port.
//
// Memory: 56 bytes per destination that has ever counted something; nothing before the first look.
//
// Threading: the agent's io_context thread. Looks may overlap (two scrapers).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/report/traffic_metrics.hpp"

namespace agent {

class TrafficHistory {
 public:
  using Look = std::uint64_t;
  Look start_look() { return ++looks_; }

  // `port` has been given all of `readings` by add_reading(); adds to its counters what went
  // before. `listed`: the endpoints the Service has for this port, with their Pods; asked for when
  // there is a base for one that is not among the destinations.
  using Listed = std::function<std::vector<EndpointTraffic>()>;
  void carry_on(Look look, PortTraffic& port,
                const std::vector<const ipvs::ServerReading*>& readings, const Listed& listed);
  // The port could not be read in this look.
  void keep(Look look, const PortTraffic& port);
  // Drops what neither this look nor a later one has met.
  void finish_look(Look look);

  std::size_t port_count() const { return ports_.size(); }

 private:
  // A hash of endpoint and Pod; kPortItself for the virtual servers' own counters.
  using Series = std::uint64_t;
  static constexpr Series kPortItself = 0;

  // What one counter of the kernel said at the last look. Only of those that are not all 0.
  struct Seen {
    Series series = kPortItself;
    std::uint64_t server = 0;  // hash of its key
    ipvs::Counters counters{};
    bool before(const Seen& other) const {
      return series != other.series ? series < other.series : server < other.server;
    }
  };
  struct Port {
    Look look = 0;
    std::vector<Seen> seen{};                 // ordered
    std::vector<Seen> gone{};                 // destinations of virtual servers that are there
    std::map<Series, ipvs::Counters> base{};  // most have none
  };

  static Series series_of(const EndpointTraffic& endpoint);
  void see(const PortTraffic& port, const std::vector<const ipvs::ServerReading*>& readings);
  void compare(Port& port) const;
  static void add_bases(Port& known, PortTraffic& port, const Listed& listed);

  std::map<std::string, Port> ports_;
  // Of the port in hand: all that is there, counters of 0 included; and its virtual servers.
  std::vector<Seen> now_;
  std::vector<std::uint64_t> servers_;
  Look looks_ = 0;
};

}  // namespace agent
