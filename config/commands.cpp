// SPDX-License-Identifier: Apache-2.0
#include "config/commands.hpp"

#include <algorithm>
#include <utility>

namespace config {
namespace {

CommandOption output() {
  return {.flag = "output",
          .letter = 'o',
          .placeholder = "FORMAT",
          .help = "wide, json or yaml",
          .words = {"wide", "json", "yaml"}};
}
CommandOption socket() {
  return {.flag = "api-socket",
          .placeholder = "FILE",
          .help = "the agent's socket [/run/kube-ipvs/api.sock]"};
}
CommandOption watch() {
  return {.flag = "watch", .letter = 'w', .help = "ask again every two seconds, show what changed"};
}
CommandOption namespace_option() {
  return {
      .flag = "namespace", .letter = 'n', .placeholder = "NAME", .help = "of the Services [all]"};
}

CommandOption packet_namespace() {
  return {.flag = "namespace",
          .letter = 'n',
          .placeholder = "NAME",
          .help = "of names without one [default]"};
}

// What this node has, and where packets go.
std::vector<Command> state_commands() {
  return {
      {.name = "status",
       .help = "the verdict on this node, on one screen",
       .options = {{.flag = "peers",
                    .placeholder = "ADDRESS,...",
                    .help =
                        "whether the nodes at these addresses have planned the same; ADDRESS:PORT "
                        "if --healthz-bind-address is not at 10256"},
                   output(),
                   watch(),
                   socket()}},
      {.name = "get",
       .arguments = "services|endpoints|vips|conditions [NAME]",
       .help = "what is wanted beside what the kernel holds",
       .least = 1,
       .most = 2,
       .options = {namespace_option(),
                   {.flag = "selector",
                    .letter = 'l',
                    .placeholder = "SELECTOR",
                    .help = "labels of the Services, as in app=web"},
                   output(),
                   watch(),
                   socket()},
       .first_words = {"services", "endpoints", "vips", "conditions"}},
      {.name = "explain",
       .arguments = "SERVICE[:PORT]|ADDRESS:PORT|NODE-PORT",
       .help = "the way of a packet, rule by rule and set by set",
       .least = 1,
       .most = 1,
       .options = {{.flag = "from",
                    .placeholder = "CLIENT",
                    .help = "its address, or a Pod [any client]"},
                   {.flag = "protocol",
                    .placeholder = "NAME",
                    .help = "tcp, udp or sctp [those that are served]",
                    .words = {"tcp", "udp", "sctp"}},
                   packet_namespace(),
                   output(),
                   socket()}},
      {.name = "next",
       .arguments = "SERVICE[:PORT]|ADDRESS:PORT|NODE-PORT",
       .help = "the ready command lines of ipvsadm, nft, conntrack, ss, tcpdump and pwru",
       .least = 1,
       .most = 1,
       .options = {packet_namespace(), output(), socket()}},
  };
}

// What goes on, and what went on.
std::vector<Command> traffic_commands() {
  return {
      {.name = "top",
       .arguments = "[NAME]",
       .help = "new connections and bytes per second, by endpoint",
       .most = 1,
       .options = {namespace_option(),
                   {.flag = "interval",
                    .placeholder = "SECONDS",
                    .help = "between two readings, 1-60 [2]"},
                   {.flag = "once", .help = "one reading, and exit"},
                   {.flag = "sort",
                    .placeholder = "KEY",
                    .help = "new, active, bytes or name [new]",
                    .words = {"new", "active", "bytes", "name"}},
                   socket()}},
      {.name = "observe",
       .arguments = "[NAMESPACE/]SERVICE",
       .help =
           "each connection of a Service as it begins and ends: client, endpoint, bytes, how long",
       .least = 1,
       .most = 1,
       .options = {{.flag = "namespace",
                    .letter = 'n',
                    .placeholder = "NAME",
                    .help = "of the Service [default]"},
                   {.flag = "for", .placeholder = "DURATION", .help = "1s-1h [10m]"},
                   {.flag = "rate",
                    .placeholder = "NUMBER",
                    .help = "lines a second, 1-1000; beyond it a sample is shown [50]"},
                   {.flag = "output",
                    .letter = 'o',
                    .placeholder = "FORMAT",
                    .help = "json: an object a line",
                    .words = {"json"}},
                   socket()}},
      {.name = "history",
       .arguments = "[NAMESPACE/NAME]",
       .help = "what was changed in the kernel, and because of what",
       .most = 1,
       .options = {{.flag = "since", .placeholder = "DURATION", .help = "how far back [10m]"},
                   {.flag = "at",
                    .placeholder = "TIME",
                    .help = "what the kernel held of the Service then, as in 2026-11-30T03:10:00Z"},
                   output(),
                   watch(),
                   socket()}},
  };
}

// What changes something.
std::vector<Command> verbs() {
  return {
      {.name = "drain",
       .arguments = "ENDPOINT",
       .help = "give an endpoint (ADDRESS or ADDRESS:PORT) no new connections",
       .least = 1,
       .most = 1,
       .options = {{.flag = "for",
                    .placeholder = "DURATION",
                    .help = "end it by itself after that time, 1s-720h [not]"},
                   {.flag = "reason", .placeholder = "TEXT", .help = "shown in every view"},
                   socket()}},
      {.name = "undrain",
       .arguments = "ENDPOINT",
       .help = "end a drain by hand",
       .least = 1,
       .most = 1,
       .options = {socket()}},
      {.name = "log-level",
       .arguments = "NUMBER",
       .help = "the level of the agent's log, as --v",
       .least = 1,
       .most = 1,
       .options = {socket()}},
  };
}

std::vector<Command> all_commands() {
  std::vector<Command> all;
  for (auto* some : {state_commands, traffic_commands, verbs}) {
    for (Command& command : some()) all.push_back(std::move(command));
  }
  return all;
}

}  // namespace

std::span<const Command> commands() {
  static const std::vector<Command> all = all_commands();
  return all;
}

const Command* find_command(std::string_view name) {
  const auto all = commands();
  const auto at = std::find_if(all.begin(), all.end(),
                               [name](const Command& each) { return each.name == name; });
  return at == all.end() ? nullptr : &*at;
}

}  // namespace config
