// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/wire.hpp"

#include <ldns/ldns.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace agent::dns {
namespace {

// Offsets and bits of the header (RFC 1035, 4.1.1).
constexpr std::size_t kFlagsAt = 2;
constexpr std::size_t kQuestionsAt = 4;
constexpr std::size_t kAdditionalAt = 10;
constexpr std::uint16_t kIsAnswer = 0x8000;
constexpr std::uint16_t kOpcode = 0x7800;
constexpr std::uint16_t kAuthoritative = 0x0400;
constexpr std::uint16_t kTruncated = 0x0200;
constexpr std::uint16_t kRecursionDesired = 0x0100;
constexpr std::uint16_t kRecursionAvailable = 0x0080;
constexpr std::uint16_t kCheckingDisabled = 0x0010;
constexpr std::size_t kOptSize = 11;  // without options
constexpr std::uint16_t kDnssecOk = 0x8000;
constexpr std::size_t kMostRecords = 4096;  // that fit a message: each takes at least 16 bytes

struct Free {
  void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
  void operator()(ldns_rr* record) const { ldns_rr_free(record); }
  void operator()(ldns_rdf* field) const { ldns_rdf_deep_free(field); }
  void operator()(std::uint8_t* bytes) const { std::free(bytes); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// libldns reports with nullptr that there is no memory.
template <typename T>
T* checked(T* made) {
  if (!made) throw std::bad_alloc();
  return made;
}

std::uint16_t number_at(Bytes message, std::size_t at) {
  return static_cast<std::uint16_t>((message[at] << 8) | message[at + 1]);
}
void put(std::string& out, std::uint16_t number) {
  out += static_cast<char>(number >> 8);
  out += static_cast<char>(number & 0xFF);
}
void put_at(std::string& out, std::size_t at, std::uint16_t number) {
  out[at] = static_cast<char>(number >> 8);
  out[at + 1] = static_cast<char>(number & 0xFF);
}

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// --- records as libldns has them ---

ldns_rdf* name_field(const Name& name) {
  return checked(ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name.size(), name.data()));
}
void push(ldns_rr* record, ldns_rdf* field) { ldns_rr_push_rdf(record, checked(field)); }
void push(ldns_rr* record, std::uint16_t number) {
  push(record, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, number));
}
void push(ldns_rr* record, std::uint32_t number, ldns_rdf_type type) {
  push(record, ldns_native2rdf_int32(type, number));
}

struct PushData {
  ldns_rr* record;
  void operator()(const ipvs::Address& address) const {
    const auto bytes = address.bytes();
    const ldns_rdf_type type = address.is_v4() ? LDNS_RDF_TYPE_A : LDNS_RDF_TYPE_AAAA;
    push(record, ldns_rdf_new_frm_data(type, bytes.size(), bytes.data()));
  }
  void operator()(const Srv& server) const {
    push(record, server.priority);
    push(record, server.weight);
    push(record, server.port);
    push(record, name_field(server.target));
  }
  void operator()(const Target& target) const { push(record, name_field(target.name)); }
  void operator()(const Text& text) const {
    std::string counted(1, static_cast<char>(text.text.size()));
    counted += text.text;
    push(record, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, counted.size(), counted.data()));
  }
  // Times as CoreDNS has them, in seconds: refresh, retry, expire. The last is how long a name that
  // does not exist is remembered (RFC 2308).
  void operator()(const Authority& authority) const {
    push(record, name_field(authority.server));
    push(record, name_field(authority.mailbox));
    push(record, authority.serial, LDNS_RDF_TYPE_INT32);
    push(record, 7200, LDNS_RDF_TYPE_PERIOD);
    push(record, 1800, LDNS_RDF_TYPE_PERIOD);
    push(record, 86400, LDNS_RDF_TYPE_PERIOD);
    push(record, kTtl, LDNS_RDF_TYPE_PERIOD);
  }
};

Owned<ldns_rr> to_ldns(const Record& record) {
  Owned<ldns_rr> made(checked(ldns_rr_new()));
  ldns_rr_set_owner(made.get(), name_field(record.owner));
  ldns_rr_set_type(made.get(), static_cast<ldns_rr_type>(record.type));
  ldns_rr_set_class(made.get(), LDNS_RR_CLASS_IN);
  ldns_rr_set_ttl(made.get(), kTtl);
  std::visit(PushData{.record = made.get()}, record.data);
  return made;
}

void push(ldns_pkt* packet, ldns_pkt_section section, Owned<ldns_rr> record) {
  if (!ldns_pkt_push_rr(packet, section, record.get())) throw std::bad_alloc();
  (void)record.release();
}
void push(ldns_pkt* packet, ldns_pkt_section section, const std::vector<const Record*>& records) {
  const std::size_t count = std::min(records.size(), kMostRecords);
  for (std::size_t i = 0; i < count; ++i) push(packet, section, to_ldns(*records[i]));
}

Owned<ldns_pkt> packet_with_question(const Name& name, Type type) {
  Owned<ldns_pkt> packet(checked(ldns_pkt_new()));
  Owned<ldns_rr> question(checked(ldns_rr_new()));
  ldns_rr_set_question(question.get(), true);
  ldns_rr_set_owner(question.get(), name_field(name));
  ldns_rr_set_type(question.get(), static_cast<ldns_rr_type>(type));
  ldns_rr_set_class(question.get(), LDNS_RR_CLASS_IN);
  push(packet.get(), LDNS_SECTION_QUESTION, std::move(question));
  return packet;
}

std::string wire_of(const ldns_pkt* packet) {
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  const ldns_status status = ldns_pkt2wire(&bytes, packet, &size);
  const Owned<std::uint8_t> owned(bytes);
  if (status != LDNS_STATUS_OK) throw std::bad_alloc();
  return {reinterpret_cast<const char*>(bytes), size};
}

// The end of the record that begins at `at`. Precondition: libldns wrote it.
std::size_t record_end(Bytes bytes, std::size_t at) {
  while (bytes[at] != 0 && bytes[at] < 0xC0) at += 1 + std::size_t{bytes[at]};
  at += bytes[at] == 0 ? 1 : 2;
  constexpr std::size_t kFixed = 8;  // type, class, TTL
  return at + kFixed + 2 + number_at(bytes, at + kFixed);
}

// Addresses at the end of the answer section, each of one size.
void find_run(Body& body, const std::vector<const Record*>& answers) {
  const auto is_address = [](const Record* record) {
    return record->type == Type::kA || record->type == Type::kAaaa;
  };
  std::size_t count = 0;
  while (count < std::min<std::size_t>(answers.size(), body.answers) &&
         is_address(answers[body.answers - 1 - count]) &&
         answers[body.answers - 1 - count]->type == answers[body.answers - 1u]->type) {
    ++count;
  }
  if (count < 2) return;
  const Bytes bytes = bytes_of(body.bytes);
  std::size_t at = 0;
  for (std::size_t i = 0; i + count < body.answers; ++i) at = record_end(bytes, at);
  body.run.at = at;
  body.run.size = record_end(bytes, at) - at;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t end = record_end(bytes, at);
    if (end - at != body.run.size) {  // a name written in full the first time
      body.run = {};
      return;
    }
    at = end;
  }
  body.run.count = count;
}

// What fits a message, if it is more.
void cut(std::string& bytes, std::size_t limit, std::uint16_t& answers, std::uint16_t& authorities,
         std::uint16_t& additional, bool& truncated) {
  if (bytes.size() <= limit) return;
  const Bytes all = bytes_of(bytes);
  std::size_t at = 0;
  std::size_t fit = 0;
  const std::size_t count = std::size_t{answers} + authorities + additional;
  while (fit < count) {
    const std::size_t end = record_end(all, at);
    if (end > limit) break;
    at = end;
    ++fit;
  }
  truncated = fit < std::size_t{answers} + authorities;
  const auto take = [&fit](std::uint16_t& section) {
    section = static_cast<std::uint16_t>(std::min<std::size_t>(fit, section));
    fit -= section;
  };
  take(answers);
  take(authorities);
  take(additional);
  bytes.resize(at);
}

Body body_of(const std::string& message, std::size_t name_size) {
  const Bytes bytes = bytes_of(message);
  Body body{.bytes = message.substr(kHeaderSize + name_size + 4),
            .answers = number_at(bytes, 6),
            .authorities = number_at(bytes, 8),
            .additional = number_at(bytes, 10)};
  bool ignored = false;
  cut(body.bytes, kLongestMessage - kHeaderSize - name_size - 4 - kOptSize, body.answers,
      body.authorities, body.additional, ignored);
  return body;
}

std::uint8_t low_rcode(Rcode rcode) { return static_cast<std::uint8_t>(rcode) & 0xF; }

}  // namespace

std::size_t Query::limit(Transport transport) const {
  if (transport == Transport::kTcp) return kLongestMessage;
  return edns ? std::clamp(edns->udp_size, kPlainUdpSize, kUdpSize) : kPlainUdpSize;
}

ReadQuery read_query(Bytes message) {
  ReadQuery read;
  if (message.size() < kHeaderSize) return read;
  const std::uint16_t flags = number_at(message, kFlagsAt);
  if ((flags & kIsAnswer) != 0) return read;
  read.is_query = true;
  read.query.id = number_at(message, 0);
  read.query.recursion_desired = (flags & kRecursionDesired) != 0;
  read.query.checking_disabled = (flags & kCheckingDisabled) != 0;
  const auto failed = [&read](Rcode why) {
    read.fault = why;
    return read;
  };
  if ((flags & kOpcode) != 0) return failed(Rcode::kNotImplemented);
  if (number_at(message, kQuestionsAt) != 1 || message.size() > kLongestQuery) {
    return failed(Rcode::kFormatError);
  }
  ldns_pkt* made = nullptr;
  const ldns_status status = ldns_wire2pkt(&made, message.data(), message.size());
  const Owned<ldns_pkt> packet(status == LDNS_STATUS_OK ? made : nullptr);
  if (!packet || ldns_pkt_ancount(packet.get()) != 0) return failed(Rcode::kFormatError);
  const ldns_rr* question = ldns_rr_list_rr(ldns_pkt_question(packet.get()), 0);
  const ldns_rdf* name = question ? ldns_rr_owner(question) : nullptr;
  // libldns takes OPT records out of the additional section; there may be one.
  const unsigned opts =
      unsigned{number_at(message, kAdditionalAt)} - ldns_pkt_arcount(packet.get());
  if (!name || opts > 1) return failed(Rcode::kFormatError);
  read.query.name.assign(reinterpret_cast<const char*>(ldns_rdf_data(name)), ldns_rdf_size(name));
  read.query.type = static_cast<Type>(ldns_rr_get_type(question));
  read.query.record_class = static_cast<std::uint16_t>(ldns_rr_get_class(question));
  if (opts == 1) {
    read.query.edns = {.udp_size = ldns_pkt_edns_udp_size(packet.get()),
                       .version = ldns_pkt_edns_version(packet.get()),
                       .dnssec_ok = ldns_pkt_edns_do(packet.get())};
  }
  return read;
}

Body write_body(const Name& name, Type type, const Sections& sections) {
  const Owned<ldns_pkt> packet = packet_with_question(name, type);
  push(packet.get(), LDNS_SECTION_ANSWER, sections.answers);
  push(packet.get(), LDNS_SECTION_AUTHORITY, sections.authorities);
  push(packet.get(), LDNS_SECTION_ADDITIONAL, sections.additional);
  Body body = body_of(wire_of(packet.get()), name.size());
  find_run(body, sections.answers);
  return body;
}

std::string write_without_owner(const Record& record) {
  const Owned<ldns_rr> made = to_ldns(record);
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  const ldns_status status = ldns_rr2wire(&bytes, made.get(), LDNS_SECTION_AUTHORITY, &size);
  const Owned<std::uint8_t> owned(bytes);
  if (status != LDNS_STATUS_OK) throw std::bad_alloc();
  return {reinterpret_cast<const char*>(bytes) + record.owner.size(), size - record.owner.size()};
}

namespace {

// The records of an answer; where several are alike, each answer begins with another one.
void put_body(const Body& body, std::size_t turn, std::string& out) {
  const auto& run = body.run;
  if (run.count <= 1) {
    out += body.bytes;
    return;
  }
  const std::string_view bytes = body.bytes;
  const std::size_t shift = turn % run.count * run.size;
  const std::size_t whole = run.count * run.size;
  out += bytes.substr(0, run.at);
  out += bytes.substr(run.at + shift, whole - shift);
  out += bytes.substr(run.at, shift);
  out += bytes.substr(run.at + whole);
}

}  // namespace

void write_answer(const Query& query, const Body& body, const Head& head, std::size_t limit,
                  std::string& out) {
  out.clear();
  put(out, query.id);
  put(out, 0);  // flags, once it is known whether all fits
  for (const std::uint16_t count : {std::uint16_t{1}, body.answers, body.authorities,
                                    static_cast<std::uint16_t>(body.additional)}) {
    put(out, count);
  }
  out += query.name;
  put(out, static_cast<std::uint16_t>(query.type));
  put(out, query.record_class);
  const std::size_t begin = out.size();
  put_body(body, head.turn, out);
  bool truncated = false;
  const std::size_t own = query.edns ? kOptSize : 0;
  if (out.size() + own > limit) {
    std::uint16_t answers = body.answers;
    std::uint16_t authorities = body.authorities;
    std::uint16_t additional = body.additional;
    std::string rest = out.substr(begin);
    cut(rest, limit - own - begin, answers, authorities, additional, truncated);
    out.resize(begin);
    out += rest;
    put_at(out, 6, answers);
    put_at(out, 8, authorities);
    put_at(out, kAdditionalAt, additional);
  }
  std::uint16_t flags = kIsAnswer | low_rcode(body.rcode);
  if (head.authoritative) flags |= kAuthoritative;
  if (truncated) flags |= kTruncated;
  if (query.recursion_desired) flags |= kRecursionDesired;
  if (head.recursion_available) flags |= kRecursionAvailable;
  put_at(out, kFlagsAt, flags);
  if (!query.edns) return;
  put_at(out, kAdditionalAt,
         static_cast<std::uint16_t>(number_at(bytes_of(out), kAdditionalAt) + 1));
  out += '\0';
  put(out, static_cast<std::uint16_t>(Type::kOpt));
  put(out, kUdpSize);
  out += static_cast<char>(static_cast<std::uint8_t>(body.rcode) >> 4);
  out += '\0';  // version
  put(out, query.edns->dnssec_ok ? kDnssecOk : std::uint16_t{0});
  put(out, 0);
}

void write_fault(const ReadQuery& read, std::string& out) {
  out.clear();
  put(out, read.query.id);
  std::uint16_t flags = kIsAnswer | low_rcode(read.fault);
  if (read.query.recursion_desired) flags |= kRecursionDesired;
  put(out, flags);
  out.append(kHeaderSize - out.size(), '\0');
}

std::string write_onward_query(const Query& query, const Name& name, std::uint16_t id) {
  const Owned<ldns_pkt> packet = packet_with_question(name, query.type);
  ldns_pkt_set_id(packet.get(), id);
  ldns_pkt_set_rd(packet.get(), query.recursion_desired);
  ldns_pkt_set_cd(packet.get(), query.checking_disabled);
  if (query.edns) {
    ldns_pkt_set_edns_udp_size(packet.get(),
                               static_cast<std::uint16_t>(query.limit(Transport::kUdp)));
    ldns_pkt_set_edns_do(packet.get(), query.edns->dnssec_ok);
  }
  return wire_of(packet.get());
}

bool is_reply_to(Bytes reply, std::uint16_t id, const Name& name, Type type) {
  const std::size_t end = kHeaderSize + name.size() + 4;
  if (reply.size() < end || number_at(reply, 0) != id ||
      (number_at(reply, kFlagsAt) & kIsAnswer) == 0 || number_at(reply, kQuestionsAt) != 1) {
    return false;
  }
  const std::string_view asked(reinterpret_cast<const char*>(reply.data()) + kHeaderSize,
                               name.size());
  return lower_case(asked) == lower_case(name) &&
         number_at(reply, end - 4) == static_cast<std::uint16_t>(type);
}

std::string with_id(Bytes reply, std::uint16_t id) {
  std::string out(reinterpret_cast<const char*>(reply.data()), reply.size());
  put_at(out, 0, id);
  return out;
}

std::optional<Body> merge_reply(const Query& query, const std::vector<Record>& aliases, Bytes reply,
                                bool& truncated) {
  ldns_pkt* made = nullptr;
  const ldns_status status = ldns_wire2pkt(&made, reply.data(), reply.size());
  const Owned<ldns_pkt> read(status == LDNS_STATUS_OK ? made : nullptr);
  if (!read) return std::nullopt;
  truncated = ldns_pkt_tc(read.get());
  const Owned<ldns_pkt> packet = packet_with_question(query.name, query.type);
  for (const Record& alias : aliases) push(packet.get(), LDNS_SECTION_ANSWER, to_ldns(alias));
  for (const auto& [section, records] :
       {std::pair{LDNS_SECTION_ANSWER, ldns_pkt_answer(read.get())},
        std::pair{LDNS_SECTION_AUTHORITY, ldns_pkt_authority(read.get())}}) {
    for (std::size_t i = 0; i < ldns_rr_list_rr_count(records); ++i) {
      push(packet.get(), section,
           Owned<ldns_rr>(checked(ldns_rr_clone(ldns_rr_list_rr(records, i)))));
    }
  }
  Body body = body_of(wire_of(packet.get()), query.name.size());
  body.rcode = static_cast<Rcode>(ldns_pkt_get_rcode(read.get()));
  return body;
}

}  // namespace agent::dns
