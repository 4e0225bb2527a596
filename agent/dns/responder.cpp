// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/responder.hpp"

#include <algorithm>
#include <utility>

namespace agent::dns {
namespace {

constexpr std::size_t kMostAliases = 8;
constexpr std::size_t kMostAdditional = 64;
constexpr std::uint16_t kInternet = 1;

bool is_of_address(std::string_view name) {
  static const Name four = name_of("in-addr.arpa.").value_or(Name());
  static const Name six = name_of("ip6.arpa.").value_or(Name());
  return is_within(name, four) || is_within(name, six);
}

const Name& target_of(const Record& alias) { return std::get<Target>(alias.data).name; }

}  // namespace

// The way from a name over CNAMEs to what has the records, or has not.
struct Responder::Walk {
  enum class End : std::uint8_t { kFound, kNoData, kNoName, kOutside } end = End::kFound;
  std::vector<const Record*> aliases{};
  Zone::Node* node = nullptr;
  Name name;  // the last
};

// `name` is in the zone or of an address, and in lower case.
Responder::Walk Responder::walk(const Name& name, Type type) {
  Walk walk{.name = name};
  while (true) {
    walk.node = zone_.find(walk.name);
    if (!walk.node) {
      const bool inside = is_within(walk.name, zone_.apex());
      walk.end = inside ? Walk::End::kNoName : Walk::End::kOutside;
      return walk;
    }
    const auto aliases = walk.node->of(Type::kCname);
    if (aliases.empty() || type == Type::kCname) break;
    walk.aliases.push_back(aliases.front());
    walk.name = target_of(*aliases.front());
    // A circle, or nearly: what there is of it says so.
    if (walk.aliases.size() == kMostAliases) return walk;
  }
  const bool found = walk.node->has(type) || (type == Type::kSoa && walk.name == zone_.apex());
  walk.end = found ? Walk::End::kFound : Walk::End::kNoData;
  return walk;
}

const Body* Responder::kept(Zone::Node& node, Type type) const {
  for (const Zone::Kept& each : node.kept()) {
    if (each.type == type && (each.serial == 0 || each.serial == zone_.serial())) return &each.body;
  }
  return nullptr;
}

const Body& Responder::keep(Zone::Node& node, Type type, std::uint32_t serial, Body body) {
  std::vector<Zone::Kept>& all = node.kept();
  std::erase_if(all, [type](const Zone::Kept& each) { return each.type == type; });
  return all.emplace_back(Zone::Kept{.type = type, .serial = serial, .body = std::move(body)}).body;
}

// Addresses of SRV targets in the zone: the specification's "may include" (2.3.2, 2.4.2).
void Responder::add_targets(Sections& sections) const {
  std::vector<std::string_view> done;
  for (const Record* record : sections.answers) {
    const auto* server = std::get_if<Srv>(&record->data);
    if (!server || sections.additional.size() >= kMostAdditional) continue;
    if (std::find(done.begin(), done.end(), server->target) != done.end()) continue;
    done.emplace_back(server->target);
    const Zone::Node* node = zone_.find(server->target);
    if (!node) continue;
    for (const Type type : {Type::kA, Type::kAaaa}) {
      const auto addresses = node->of(type);
      sections.additional.insert(sections.additional.end(), addresses.begin(), addresses.end());
    }
  }
}

Body Responder::build(const Name& name, Type type, const Walk& walk) const {
  Sections sections{.answers = walk.aliases};
  const Record authority = authority_record(zone_.apex(), zone_.apex(), zone_.serial());
  if (walk.end == Walk::End::kFound && walk.node) {
    const auto found = walk.node->of(type);
    sections.answers.insert(sections.answers.end(), found.begin(), found.end());
    if (type == Type::kSrv) add_targets(sections);
    if (type == Type::kSoa) sections.answers.push_back(&authority);
  } else if (walk.end != Walk::End::kOutside) {
    sections.authorities.push_back(&authority);
  }
  Body body = write_body(name, type, sections);
  if (walk.end == Walk::End::kNoName) body.rcode = Rcode::kNoSuchName;
  return body;
}

// By far the most frequent answer in a cluster, where each name of the world is first searched below
// the cluster domain: so it is made by hand, of the SOA record and a pointer to the apex in the
// question.
Body Responder::none(const Name& name, std::string_view apex, Rcode rcode) {
  if (authority_.empty() || authority_serial_ != zone_.serial()) {
    authority_serial_ = zone_.serial();
    authority_ =
        write_without_owner(authority_record(zone_.apex(), zone_.apex(), authority_serial_));
  }
  const std::size_t at = kHeaderSize + name.size() - apex.size();
  Body body{.rcode = rcode, .authorities = 1};
  body.bytes.reserve(2 + authority_.size());
  body.bytes += static_cast<char>(0xC0 | (at >> 8));
  body.bytes += static_cast<char>(at & 0xFF);
  body.bytes += authority_;
  return body;
}

Responder::Verdict Responder::send(const Query& query, Transport transport, const Body& body,
                                   bool authoritative, bool asks, std::string& out) {
  write_answer(query, body,
               {.authoritative = authoritative, .recursion_available = asks, .turn = turn_++},
               query.limit(transport), out);
  counters_.count(transport, query.type, body.rcode);
  return Verdict::kSend;
}

Responder::Verdict Responder::send(const Query& query, Transport transport, Rcode rcode,
                                   std::string& out) {
  return send(query, transport, Body{.rcode = rcode}, false, false, out);
}

Responder::Verdict Responder::answer(Bytes message, Transport transport,
                                     const std::function<bool()>& may_ask, std::string& out,
                                     Onward& onward) {
  const ReadQuery read = read_query(message);
  if (!read.is_query) return Verdict::kDrop;
  const Query& query = read.query;
  if (read.fault != Rcode::kNoError) {
    write_fault(read, out);
    counters_.count(transport, Type::kOpt, read.fault);
    return Verdict::kSend;
  }
  if (query.edns && query.edns->version != 0) {
    return send(query, transport, Rcode::kBadVersion, out);
  }
  const bool is_transfer = query.type == Type::kAxfr || query.type == Type::kIxfr;
  if (query.record_class != kInternet || is_transfer) {
    return send(query, transport, Rcode::kRefused, out);
  }
  if (query.type == Type::kOpt) return send(query, transport, Rcode::kFormatError, out);
  return from_zone(query, transport, may_ask, out, onward);
}

Responder::Verdict Responder::from_zone(const Query& query, Transport transport,
                                        const std::function<bool()>& may_ask, std::string& out,
                                        Onward& onward) {
  const Name name = lower_case(query.name);
  const bool asks = may_ask();
  const bool in_zone = is_within(name, zone_.apex());
  if (!is_ready_ && (in_zone || is_of_address(name))) {
    return send(query, transport, Body{.rcode = Rcode::kServerFailure}, false, asks, out);
  }
  Zone::Node* node = zone_.find(name);
  if (!node && in_zone) {
    return send(query, transport, none(name, zone_.apex(), Rcode::kNoSuchName), true, asks, out);
  }
  if (!node) {
    if (!asks) return send(query, transport, Rcode::kRefused, out);
    onward = {.query = query, .name = query.name};
    return Verdict::kAsk;
  }
  const Type type = query.type == Type::kAny ? node->first_type() : query.type;
  if (const Body* body = kept(*node, type)) return send(query, transport, *body, true, asks, out);
  const Walk walked = walk(name, type);
  if (walked.aliases.empty() && walked.end == Walk::End::kNoData) {
    const std::string_view apex = in_zone ? zone_.apex() : name;
    return send(query, transport, none(name, apex, Rcode::kNoError), true, asks, out);
  }
  if (walked.end == Walk::End::kOutside) {
    // Depends on the client: not kept.
    if (!asks) {
      return send(query, transport, build(name, type, walked), true, asks, out);
    }
    onward = {.query = query, .name = walked.name};
    for (const Record* alias : walked.aliases) onward.aliases.push_back(*alias);
    return Verdict::kAsk;
  }
  const bool is_own = walked.aliases.empty() && type != Type::kSoa;
  const Body& body = keep(*node, type, is_own ? 0 : zone_.serial(), build(name, type, walked));
  return send(query, transport, body, true, asks, out);
}

void Responder::conclude(const Onward& onward, Transport transport, Bytes reply, std::string& out) {
  const Query& query = onward.query;
  if (!reply.empty() && onward.aliases.empty() && reply.size() <= query.limit(transport)) {
    out = with_id(reply, query.id);
    counters_.count(transport, query.type, static_cast<Rcode>(reply[3] & 0xF));
    return;
  }
  bool truncated = false;
  std::optional<Body> body;
  if (!reply.empty()) body = merge_reply(query, onward.aliases, reply, truncated);
  if (!body) body = Body{.rcode = Rcode::kServerFailure};
  (void)send(query, transport, *body, false, true, out);
  if (truncated) out[2] = static_cast<char>(out[2] | 0x02);  // TC, as in the reply
}

}  // namespace agent::dns
