// SPDX-License-Identifier: Apache-2.0
//
// The open connections of all our HTTP servers, and which of them is closed when one more comes than
// there may be. Without I/O.
//
// Anybody who reaches a port can open connections and send nothing, so a full server must not refuse:
// the probes of kubelet and of load balancers would be among the refused. Instead another connection
// makes room: one of the client that has most of them, so that whoever opens many closes its own; of
// those one that waits for a request before one that is being answered; and of those the one that
// has waited longest.
//
// There is a limit for each server, so that the clients of one port never take the place of another's,
// and one for all of them, so that descriptors remain for the API server and the kernel.
//
// Threading: one thread; `close` of a connection is called on it.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <utility>

namespace agent {

class HttpConnections {
 public:
  struct Limits {
    std::size_t per_server = 64;
    std::size_t in_all = 4096;
  };
  HttpConnections() = default;
  explicit HttpConnections(Limits limits) : limits_(limits) {}

  // What of the process's `descriptors` its connections may take: a quarter.
  static Limits limits_for(std::size_t descriptors);

 private:
  struct Entry {
    const void* server = nullptr;
    boost::asio::ip::address client{};
    std::function<void()> close{};
    std::uint64_t since = 0;
    bool is_waiting = true;  // for a request
    bool is_closed = false;
  };

 public:
  // One connection, from its beginning to its end. To begin one may close another.
  class Place {
   public:
    Place(HttpConnections& all, const void* server, const boost::asio::ip::address& client,
          std::function<void()> close);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    void waits_for_request() { change(true); }
    void is_answered() { change(false); }  // also after each piece that was sent

   private:
    void change(bool is_waiting);

    HttpConnections& all_;
    std::list<Entry>::iterator entry_;
  };

  // Whether the process has no descriptor for another connection. True: that is news.
  bool set_starving(bool is_starving) {
    return std::exchange(is_starving_, is_starving) != is_starving;
  }
  // Closes a connection of `server`, or with nullptr of any. False: there is none.
  bool make_room(const void* server);
  // Of all servers, without those that were closed.
  std::size_t size() const { return count(nullptr); }

 private:
  std::size_t count(const void* server) const;

  Limits limits_;
  std::list<Entry> entries_;
  std::uint64_t moment_ = 0;  // counts what happens to connections: an order in time
  bool is_starving_ = false;
};

}  // namespace agent
