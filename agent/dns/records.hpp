// SPDX-License-Identifier: Apache-2.0
//
// The records of a Service, as "Kubernetes DNS-Based Service Discovery" 1.1.0 has them
// (github.com/kubernetes/dns, docs/specification.md; its sections are named beside the code). Pure.
//
// What the specification leaves open is as CoreDNS' plugin kubernetes has it: an endpoint without a
// hostname is named by its address ("10-244-1-5", "fd00-244--5"); the port in an SRV record of a
// headless Service is that of the endpoint, because its clients connect to it.
//
// A Service whose names break a limit of DNS has no records. There are no names of Pods
// ("10-244-1-5.default.pod"): 1.1.0 has dropped them.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "agent/decide/endpoints.hpp"
#include "agent/dns/name.hpp"
#include "ipvs/state/address.hpp"
#include "k8s/types.hpp"

namespace agent::dns {

// The numbers of RFC 1035, 2782, 3596, 6891 and 8482.
enum class Type : std::uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kOpt = 41,
  kIxfr = 251,
  kAxfr = 252,
  kAny = 255,
};

struct Srv {  // of a record of this type
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  Name target;
  auto operator<=>(const Srv&) const = default;
};
struct Target {  // of a CNAME, PTR or NS record
  Name name;
  auto operator<=>(const Target&) const = default;
};
struct Text {
  std::string text;
  auto operator<=>(const Text&) const = default;
};
struct Authority {  // of an SOA record; what it lacks is the same in all of them
  Name server;
  Name mailbox;
  std::uint32_t serial = 0;
  auto operator<=>(const Authority&) const = default;
};

struct Record {
  Name owner;
  Type type = Type::kA;
  std::variant<ipvs::Address, Srv, Target, Text, Authority> data;
  auto operator<=>(const Record&) const = default;
};

inline constexpr std::uint32_t kTtl = 5;  // seconds, of every record, as CoreDNS has it

// Ordered, without doubles. `zone`: the cluster domain. `endpoints`: only those of headless Services
// are read.
std::vector<Record> records_of(const k8s::Service& service,
                               const std::vector<NamedEndpoint>& endpoints, const Name& zone);

// Those of the zone itself: NS, the addresses of its name server, and the version (section 2.2).
std::vector<Record> zone_records(const Name& zone, const std::vector<ipvs::Address>& servers);

// Of the zone, or of a name of an address, which is a zone of its own. `zone`: the cluster domain.
Record authority_record(const Name& owner, const Name& zone, std::uint32_t serial);

// "web.default.svc.cluster.local. 5 IN A 10.96.0.1", for logs and tests.
std::string text_of(const Record& record);

}  // namespace agent::dns
