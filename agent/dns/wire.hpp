// SPDX-License-Identifier: Apache-2.0
//
// Messages of DNS as they are sent (RFC 1035, 4): queries are read and answers written by libldns
// (adr-ldns.md), but for the header, the question and the OPT record, which are put around a Body
// that is kept. No types of libldns here.
//
// Errors: whatever a query has, reading it is bounded by its size, and it is answered with a code, or
// not at all if it is no query.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/dns/body.hpp"
#include "agent/dns/name.hpp"
#include "agent/dns/records.hpp"

namespace agent::dns {

// A longer query is none that a client of ours has a reason to send. Reading takes time by the square
// of the size at worst, because each name may be a chain of pointers.
inline constexpr std::size_t kLongestQuery = 2048;
// Of UDP: answers are not fragmented (RFC 9715), and not larger than this without EDNS.
inline constexpr std::uint16_t kUdpSize = 1232;
inline constexpr std::uint16_t kPlainUdpSize = 512;
inline constexpr std::size_t kLongestMessage = 65'535;
inline constexpr std::size_t kHeaderSize = 12;

using Bytes = std::span<const std::uint8_t>;

enum class Transport : std::uint8_t { kUdp, kTcp };

struct Query {
  std::uint16_t id = 0;
  bool recursion_desired = false;
  bool checking_disabled = false;
  Name name;  // as the client wrote it
  Type type = Type::kA;
  std::uint16_t record_class = 1;
  struct Edns {
    std::uint16_t udp_size = 0;
    std::uint8_t version = 0;
    bool dnssec_ok = false;
  };
  std::optional<Edns> edns;

  // The largest answer that the client takes.
  std::size_t limit(Transport transport) const;
};

struct ReadQuery {
  bool is_query = false;  // else there is no answer: too short for a header, or an answer itself
  Rcode fault = Rcode::kNoError;  // of a query; then only `query.id` and its flags are set
  Query query;
};
ReadQuery read_query(Bytes message);

// The records of the sections, compressed; at most those that fit the longest message.
struct Sections {
  std::vector<const Record*> answers{};
  std::vector<const Record*> authorities{};
  std::vector<const Record*> additional{};
};
Body write_body(const Name& name, Type type, const Sections& sections);

// A record as it is sent, uncompressed, without its owner.
std::string write_without_owner(const Record& record);

struct Head {
  bool authoritative = false;
  bool recursion_available = false;
  std::size_t turn = 0;  // which record of the run is the first
};
// Into `out`. What does not fit `limit` is left out: additional records first, then, with the flag
// TC, others.
void write_answer(const Query& query, const Body& body, const Head& head, std::size_t limit,
                  std::string& out);
// Header only, for a query that could not be read.
void write_fault(const ReadQuery& read, std::string& out);

// --- other resolvers ---

// Asks for `name` what the client asks for, with the client's flags and at most its size.
std::string write_onward_query(const Query& query, const Name& name, std::uint16_t id);
// Whether it is an answer with this id to this question.
bool is_reply_to(Bytes reply, std::uint16_t id, const Name& name, Type type);
// The reply as the client's: with its id.
std::string with_id(Bytes reply, std::uint16_t id);
// The records of a reply after those of `aliases`, as the body of an answer for query.name. Nothing
// if it cannot be read.
std::optional<Body> merge_reply(const Query& query, const std::vector<Record>& aliases, Bytes reply,
                                bool& truncated);

}  // namespace agent::dns
