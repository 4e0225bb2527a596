// SPDX-License-Identifier: Apache-2.0
//
// Counters that never decrease, made from the kernel's, which start at 0 again whenever a virtual
// server or a destination is deleted and added again: an endpoint that was not ready for a while, a
// Service with a new node port.
//
// At each scrape the counters of every virtual server and destination are compared with those of
// the scrape before. The last value of a counter that decreased or disappeared is added to the base
// of its series; a series shows its base plus what the kernel counts now. It may undercount by what
// was counted between the last scrape and the reset; it never overcounts or decreases.
//
// If a destination is added again while the kernel still knows connections to it, it gets its old
// counters back (ip_vs_trash_get_dest() in ip_vs_ctl.c; only in the same virtual server). Therefore
// the last counters of a missing destination are kept aside, and added to the base only if it
// returns with smaller ones. One that is reset and passes its old value between two scrapes cannot
// be distinguished from one that was not reset: its series undercounts.
//
// A series is a Service port, or an endpoint of a Service port together with its Pod: another Pod
// at the same address starts at 0. The base of an endpoint is kept while the Service has the
// endpoint, ready or not; everything is dropped with the Service port.
//
// Memory: 56 bytes per destination that has ever counted something; nothing before the first
// scrape.
//
// Threading: the agent's io_context thread. Scrapes may overlap (two scrapers).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/report/traffic_metrics.hpp"

namespace agent {

class TrafficHistory {
 public:
  // Which series: a page without endpoints reads virtual servers only, and must not take what it has
  // not read for what is gone.
  enum class Covers : std::uint8_t { kBoth, kPorts, kEndpoints };
  explicit TrafficHistory(Covers covers = Covers::kBoth) : covers_(covers) {}

  using ScrapeId = std::uint64_t;
  ScrapeId start_scrape() { return ++scrapes_; }

  // Adds the bases to the counters of `port`, to which add_reading() has added all of `readings`.
  // `listed` returns the endpoints that the Service has for this port, with their Pods; it is
  // called if there is a base for an endpoint that is not among the destinations.
  using Listed = std::function<std::vector<EndpointTraffic>()>;
  void carry_on(ScrapeId scrape, PortTraffic& port,
                const std::vector<const ipvs::ServerReading*>& readings, const Listed& listed);
  // The port could not be read in this scrape.
  void keep(ScrapeId scrape, const PortTraffic& port);
  // Drops the ports that appeared neither in this scrape nor in a later one.
  void finish_scrape(ScrapeId scrape);
  // A part of that: of `ports` ports from `place` on, which moves; "" is the first. True: more to do.
  bool finish_part(ScrapeId scrape, std::string& place, std::size_t ports);

  std::size_t port_count() const { return ports_.size(); }

 private:
  // A hash of endpoint and Pod; kPortItself for the virtual servers' own counters.
  using Series = std::uint64_t;
  static constexpr Series kPortItself = 0;

  // The counters of one virtual server or destination at the last scrape, unless all are 0.
  struct Seen {
    Series series = kPortItself;
    std::uint64_t server = 0;  // hash of its key
    ipvs::Counters counters{};
    bool before(const Seen& other) const {
      return series != other.series ? series < other.series : server < other.server;
    }
  };
  struct Port {
    ScrapeId scrape = 0;
    std::vector<Seen> seen{};                 // ordered
    std::vector<Seen> missing{};              // destinations whose virtual servers still exist
    std::map<Series, ipvs::Counters> base{};  // most have none
  };

  static Series series_of(const EndpointTraffic& endpoint);
  void see(const PortTraffic& port, const std::vector<const ipvs::ServerReading*>& readings);
  void compare(Port& port) const;
  static void add_bases(Port& known, PortTraffic& port, const Listed& listed);

  const Covers covers_;
  std::map<std::string, Port> ports_;
  // Scratch for one port: its counters now, those of 0 included, and its virtual servers.
  std::vector<Seen> now_;
  std::vector<std::uint64_t> servers_;
  ScrapeId scrapes_ = 0;
};

}  // namespace agent
