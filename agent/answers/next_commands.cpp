// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/next_commands.hpp"

#include <boost/json/array.hpp>
#include <utility>

#include "agent/answers/entrance_names.hpp"
#include "agent/answers/service_targets.hpp"
#include "agent/answers/step_words.hpp"
#include "ipvs/nftables/table.hpp"

namespace agent {
namespace {

using ipvs::Element;
using ipvs::ElementKind;
using ipvs::Protocol;

constexpr std::size_t kMostHosts = 8;  // in a filter of tcpdump

struct ProtocolWords {
  std::string_view name;     // of nft, conntrack and libpcap
  std::string_view ipvsadm;  // option
  std::string_view ss;       // option
};

ProtocolWords words_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return {"tcp", "-t", "-t"};
    case Protocol::kUdp:
      return {"udp", "-u", "-u"};
    case Protocol::kSctp:
      return {"sctp", "--sctp-service", "-S"};
  }
  return {"tcp", "-t", "-t"};
}

// Brackets of IPv6 addresses mean something to a shell.
std::string quoted(const std::string& text) { return "'" + text + "'"; }

class Commands {
 public:
  Commands(const Target& target, const ExplainView& view)
      : to_(target.to), protocol_(target.protocol), view_(view), words_(words_of(protocol_)) {}

  std::vector<NextCommand> take() {
    add_ipvsadm();
    add_nft();
    add_conntrack();
    add_ss();
    add_tcpdump();
    add_pwru();
    return std::move(commands_);
  }

 private:
  void add(std::string tool, std::string line, std::string shows) {
    commands_.push_back(
        {.tool = std::move(tool), .line = std::move(line), .shows = std::move(shows)});
  }
  std::string name() const { return std::string(words_.name); }
  const ipvs::Server* server() const {
    return view_.ledger.server({to_.address, to_.port, protocol_});
  }

  void add_ipvsadm() {
    const std::string which = std::string(words_.ipvsadm) + " " + quoted(to_.text());
    add("ipvsadm", "ipvsadm -Ln " + which, "endpoints with their weights and connections");
    add("ipvsadm", "ipvsadm -Ln --stats " + which, "connections and bytes since the start");
    add("ipvsadm", "ipvsadm -Lnc | grep -F " + quoted(to_.text()),
        "each connection: client, endpoint, state, and how long it stays");
  }

  // The elements that hold for this address and port.
  void add_nft() {
    const ipvs::Family family = ipvs::family_of(to_.address);
    for (const ipvs::TableSet& set : ipvs::table_sets()) {
      if (set.family && *set.family != family) continue;
      if (!set.key.port && set.kind != ElementKind::kVirtualIp &&
          set.kind != ElementKind::kNodeAddress)
        continue;
      if (set.kind == ElementKind::kAllowedSource) continue;
      if (set.key.port && !set.key.address && !is_node_address()) continue;
      Element key{.kind = set.kind, .traffic_class = set.traffic_class};
      key.address = set.key.address ? to_.address
                    : set.family    ? ipvs::unspecified(*set.family)
                                    : ipvs::Address{};
      if (set.key.port) {
        key.protocol = protocol_;
        key.port = to_.port;
      }
      const Element* held = view_.ledger.element(key);
      if (held && ipvs::set_of(*held) == &set) add_element(set, *held);
    }
    add_class_chain();
  }

  bool is_node_address() const {
    return view_.ledger.element({.kind = ElementKind::kNodeAddress, .address = to_.address}) !=
           nullptr;
  }

  void add_element(const ipvs::TableSet& set, const Element& element) {
    const std::string text = key_text(element);
    const std::string key = text.substr(0, text.find(" : "));
    add("nft",
        "nft get element inet " + std::string(ipvs::kTableName) + " " + std::string(set.name) +
            " " + quoted("{ " + key + " }"),
        what_it_means(element));
  }

  static std::string what_it_means(const Element& element) {
    switch (element.kind) {
      case ElementKind::kServiceIp:
      case ElementKind::kNodePort:
        return "of which class its traffic is: whether it is masqueraded";
      case ElementKind::kNodeAddress:
        return "node ports are served on this address";
      case ElementKind::kVirtualIp:
        return "host ports are closed on this address";
      case ElementKind::kGuardedIp:
      case ElementKind::kGuardedNodePort:
        return element.traffic_class == ipvs::TrafficClass::kElsewhere
                   ? "new connections are dropped: no endpoint on this node"
                   : "new connections are refused: no endpoint";
      case ElementKind::kShortCutIp:
      case ElementKind::kShortCutNodePort:
        return "clients in the cluster are led to the cluster IP";
      case ElementKind::kLimitedIp:
        return "loadBalancerSourceRanges hold here";
      case ElementKind::kHealthCheckIp:
        return "the agent answers health checks here";
      default:
        return "an element of our table";
    }
  }

  // The rules that decide on masquerading, of the class that the address and port have.
  void add_class_chain() {
    std::string_view chain = "cluster-ip";
    Element key{.kind = ElementKind::kServiceIp,
                .address = to_.address,
                .protocol = protocol_,
                .port = to_.port};
    const Element* held = view_.ledger.element(key);
    if (!held && is_node_address()) {
      key.kind = ElementKind::kNodePort;
      key.address = ipvs::Address{};
      held = view_.ledger.element(key);
    }
    if (!held) return;
    if (held->traffic_class == ipvs::TrafficClass::kExternal) chain = "external";
    if (held->traffic_class == ipvs::TrafficClass::kExternalLocal) chain = "external-local";
    add("nft", "nft list chain inet " + std::string(ipvs::kTableName) + " " + std::string(chain),
        "the rules that decide whether it is masqueraded");
  }

  void add_conntrack() {
    const std::string family = to_.address.is_v6() ? "-f ipv6 " : "";
    add("conntrack",
        "conntrack -L " + family + "-p " + name() + " --orig-dst " + to_.address.to_string() +
            " --orig-port-dst " + std::to_string(to_.port),
        "its flows: what the client wrote, and who answers it");
  }

  void add_ss() {
    add("ss", "ss -n " + std::string(words_.ss) + " dst " + quoted(to_.text()),
        "connections that programs on this host have to it");
  }

  std::string filter(const ipvs::Endpoint& at) const {
    return "host " + at.address.to_string() + " and " + name() + " port " + std::to_string(at.port);
  }

  void add_tcpdump() {
    std::string text = filter(to_);
    std::size_t hosts = 0;
    if (const ipvs::Server* held = server()) {
      for (const ipvs::Destination& each : held->destinations) {
        if (hosts++ == kMostHosts) break;
        text += " or (" + filter(each.endpoint) + ")";
      }
    }
    add("tcpdump", "tcpdump -n -i any " + quoted(text),
        hosts > kMostHosts ? "its packets, before and after translation; the first 8 endpoints"
                           : "its packets, before and after translation");
  }

  void add_pwru() {
    add("pwru",
        "pwru --output-tuple " + quoted("dst host " + to_.address.to_string() + " and " + name() +
                                        " dst port " + std::to_string(to_.port)),
        "the functions of the kernel that such a packet passes, and where it is dropped");
  }

  const ipvs::Endpoint to_;
  const Protocol protocol_;
  const ExplainView& view_;
  const ProtocolWords words_;
  std::vector<NextCommand> commands_;
};

void name_entrance(NextOfEntrance& next, const ExplainView& view) {
  const auto named = entrance_at({next.to.address, next.to.port, next.protocol}, view);
  if (!named) return;
  next.service = named->owner;
  if (!named->service) return;
  if (named->port_index < named->service->ports.size())
    next.port = name_of(named->service->ports[named->port_index]);
  if (named->entrance) next.entrance = name_of(named->entrance->field);
}

boost::json::object to_json(const NextOfEntrance& next) {
  boost::json::array commands;
  for (const NextCommand& each : next.commands) {
    commands.push_back(
        boost::json::object{{"tool", each.tool}, {"line", each.line}, {"shows", each.shows}});
  }
  return {{"to", next.to.text()},      {"protocol", name_of(next.protocol)},
          {"service", next.service},   {"port", next.port},
          {"entrance", next.entrance}, {"commands", std::move(commands)}};
}

}  // namespace

boost::system::result<NextCommands, BadQuestion> next_commands(const Question& question,
                                                               const ExplainView& view) {
  auto targets = find_targets(question, view);
  if (!targets) return targets.error();
  NextCommands next{.notes = std::move(targets->notes)};
  for (const Target& target : targets->all) {
    if (next.entrances.size() == kMostWays) {
      ++next.omitted;
      continue;
    }
    NextOfEntrance one{.to = target.to, .protocol = target.protocol};
    name_entrance(one, view);
    one.commands = Commands(target, view).take();
    next.entrances.push_back(std::move(one));
  }
  return next;
}

boost::json::object to_json(const NextCommands& next) {
  boost::json::array entrances, notes(next.notes.begin(), next.notes.end());
  for (const NextOfEntrance& each : next.entrances) entrances.push_back(to_json(each));
  return {
      {"notes", std::move(notes)}, {"omitted", next.omitted}, {"entrances", std::move(entrances)}};
}

}  // namespace agent
