// SPDX-License-Identifier: Apache-2.0
#include "config/command_options.hpp"

#include <array>
#include <string>
#include <string_view>

#include "config/setters.hpp"
#include "config/values.hpp"

namespace config {
namespace {

using namespace detail;  // NOLINT: this file is only a part of the table

// As PlanForm.
constexpr std::array<std::string_view, 6> kPlanForms = {"summary", "diff", "ipvsadm",
                                                        "nft",     "ip",   "json"};

std::string add_node_address(Config& config, std::string_view value) {
  const auto parsed = parse_address(value);
  if (!parsed) return parsed.error().what;
  if (parsed->is_unspecified() || parsed->is_loopback() || parsed->is_multicast())
    return quoted(value) + " cannot be a node's address";
  config.node_addresses.push_back(*parsed);
  return {};
}

std::string get_node_addresses(const Config& config) {
  std::string out;
  for (const Address& each : config.node_addresses)
    out += (out.empty() ? "" : ",") + each.to_string();
  return out;
}

constexpr Option kCommandOptions[] = {
    {.flag = "output",
     .letter = 'o',
     .group = Group::kGeneral,
     .placeholder = "FORMAT",
     .command = "plan",
     .help = "with plan: summary json diff ipvsadm nft ip",
     .set = set_choice<&Config::plan_form, kPlanForms>,
     .get = get_choice<&Config::plan_form, kPlanForms>,
     .words = words_of<kPlanForms>},
    {.flag = "against-kernel",
     .type = ValueType::kFlag,
     .group = Group::kGeneral,
     .command = "plan",
     .help = "with plan: as -o diff, what a start would change in the kernel",
     .set = set_flag<&Config::against_kernel>,
     .get = get_flag<&Config::against_kernel>},
    {.flag = "compare-with",
     .group = Group::kGeneral,
     .placeholder = "FILE",
     .command = "plan",
     .help = "with plan: compare with another --config, or a plan -o json",
     .set = set_text<&Config::compare_with>,
     .get = get_text<&Config::compare_with>},
    {.flag = "node-addresses",
     .type = ValueType::kList,
     .group = Group::kGeneral,
     .placeholder = "IP,...",
     .command = "plan",
     .help = "with plan: the addresses of the node that it is for",
     .default_note = "this host's",
     .set = add_node_address,
     .get = get_node_addresses,
     .clear = [](Config& config) { config.node_addresses.clear(); }},
    {.flag = "cleanup",
     .type = ValueType::kFlag,
     .group = Group::kGeneral,
     .help = "remove everything that kube-ipvs created in the kernel and exit",
     .set = set_flag<&Config::cleanup>,
     .get = get_flag<&Config::cleanup>},
    {.flag = "handover",
     .type = ValueType::kFlag,
     .group = Group::kGeneral,
     .command = "cleanup",
     .help = "with cleanup: leave what kube-proxy takes over",
     .set = set_flag<&Config::handover>,
     .get = get_flag<&Config::handover>},
    {.flag = "dry-run",
     .type = ValueType::kFlag,
     .group = Group::kGeneral,
     .command = "cleanup",
     .help = "with cleanup: say what it would remove, and remove nothing",
     .set = set_flag<&Config::dry_run>,
     .get = get_flag<&Config::dry_run>},
};

}  // namespace

std::span<const Option> command_options() { return kCommandOptions; }

}  // namespace config
