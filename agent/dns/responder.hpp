// SPDX-License-Identifier: Apache-2.0
//
// Decides what a query is answered: from the zone, by another resolver, or not. Without I/O.
//
//   the query                                              the answer
//   -----------------------------------------------------  ---------------------------------------
//   no header, or itself an answer                         none
//   not readable, several OPT records                      FORMERR
//   another opcode than QUERY; EDNS of a later version     NOTIMP; BADVERS
//   a transfer; another class than IN                      REFUSED
//   a name in the zone, or an address of a Service         from the zone, authoritative; SERVFAIL
//                                                          before the first pass
//   any other, by a client that may ask other resolvers    theirs
//   any other                                              REFUSED
//
// An ExternalName Service is a CNAME, which is followed: in the zone here, out of it by another
// resolver if the client may have one asked; else the client gets the CNAME alone. ANY gets the
// records of one type (RFC 8482).
//
// Threading: none of its own.
// Limits: a chain of 8 CNAMEs; 64 additional records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/dns/body.hpp"
#include "agent/dns/counters.hpp"
#include "agent/dns/name.hpp"
#include "agent/dns/records.hpp"
#include "agent/dns/wire.hpp"
#include "agent/dns/zone.hpp"

namespace agent::dns {

// A question for another resolver.
struct Onward {
  Query query;
  Name name;                      // to ask for: that of the query, or what the aliases lead to
  std::vector<Record> aliases{};  // that lead to it
};

class Responder {
 public:
  explicit Responder(Zone& zone) : zone_(zone) {}

  // Until then names in the zone get SERVFAIL.
  void set_ready() { is_ready_ = true; }

  enum class Verdict : std::uint8_t { kDrop, kSend, kAsk };
  // The answer in `out`, or with kAsk the question in `onward`. `may_ask`: whether this client may
  // have other resolvers asked, which each answer says (RA).
  Verdict answer(Bytes message, Transport transport, const std::function<bool()>& may_ask,
                 std::string& out, Onward& onward);
  // What they have replied, or with nothing that they have not: SERVFAIL.
  void conclude(const Onward& onward, Transport transport, Bytes reply, std::string& out);

  const Counters& counters() const { return counters_; }

 private:
  struct Walk;
  const Body* kept(Zone::Node& node, Type type) const;
  const Body& keep(Zone::Node& node, Type type, std::uint32_t serial, Body body);
  Verdict from_zone(const Query& query, Transport transport, const std::function<bool()>& may_ask,
                    std::string& out, Onward& onward);
  Verdict send(const Query& query, Transport transport, const Body& body, bool authoritative,
               bool asks, std::string& out);
  Verdict send(const Query& query, Transport transport, Rcode rcode, std::string& out);
  Walk walk(const Name& name, Type type);
  Body build(const Name& name, Type type, const Walk& walk) const;
  void add_targets(Sections& sections) const;
  Body none(const Name& name, std::string_view apex, Rcode rcode);

  Zone& zone_;
  bool is_ready_ = false;
  std::size_t turn_ = 0;
  // The SOA record without its owner, and the serial that it has.
  std::string authority_;
  std::uint32_t authority_serial_ = 0;
  Counters counters_;
};

}  // namespace agent::dns
