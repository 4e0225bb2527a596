// SPDX-License-Identifier: Apache-2.0
//
// kube-ipvs(8) and kube-ipvs.yaml(5), from the table of options. test/packaging/man has man and
// mandoc read them.
#include <catch2/catch_test_macros.hpp>
#include <regex>
#include <string>
#include <string_view>

#include "config/commands.hpp"
#include "config/help.hpp"
#include "config/ignored_options.hpp"
#include "config/options.hpp"
#include "test/docs/pages.hpp"

namespace {

// When the text below was changed last; the options have no date.
constexpr const char* kDate = "2026-11-30";

// Text as roff reads it: hyphens stay what can be copied, and no line begins with a control character.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }

// A line of its own for each sentence, as roff wants it.
std::string paragraph(std::string_view text) {
  return std::regex_replace(roff(text), std::regex(R"(([.:]) (?=[A-Z]))"), "$1\n") + "\n";
}

std::string head_of(const std::string& title, const std::string& section, const std::string& name,
                    const std::string& what) {
  return R"(.\" SPDX-License-Identifier: Apache-2.0
.\" Generated from the tables in config/ by test/docs/write_pages. Do not edit.
.TH )" + title +
         " " + section + " " + kDate + " kube-ipvs\n.SH NAME\n" + roff(name) + " \\- " + what +
         "\n";
}

std::string term(const std::string& tag, std::string_view text) {
  return ".TP\n" + tag + "\n" + paragraph(text);
}

// "-v, --v LEVEL" in bold, with the value in italics.
std::string tag_of(const config::Option& option) {
  std::string name = pages::spelling(option);
  std::string tag;
  if (!option.placeholder.empty()) {
    name.resize(name.size() - option.placeholder.size() - 1);
    tag = " " + italic(option.placeholder);
  }
  tag = bold(name) + tag;
  return option.alias.empty() ? tag : tag + ", " + bold("--" + std::string(option.alias));
}

std::string in_brackets(const std::string& value) {
  return value.empty() ? value : " [" + value + "]";
}

std::string flags_text() {
  const std::string help = config::help_text("kube-ipvs");
  std::string text, heading;
  for (const config::Option& option : config::options()) {
    if (option.flag.empty()) continue;
    if (const std::string own = pages::heading_of(option, help); own != heading) {
      heading = own;
      text += ".SS " + roff(heading) + "\n";
    }
    text += term(tag_of(option), std::string(option.help) + in_brackets(pages::default_of(option)));
  }
  return text;
}

std::string ignored_text() {
  std::string text;
  for (const config::IgnoredOption& option : config::ignored_options()) {
    if (!option.flag.empty()) {
      text += (text.empty() ? "" : ",\n") + bold("--" + std::string(option.flag));
    }
  }
  return text + "\n";
}

// The commands that ask the agent, each with its options.
std::string questions_text() {
  std::string text = ".SS Questions to the agent of this node\n";
  for (const config::Command& command : config::commands()) {
    std::string tag = bold(command.name);
    if (!command.arguments.empty()) tag += " " + italic(command.arguments);
    text += term(tag, command.help);
    text += ".RS\n";
    for (const config::CommandOption& option : command.options) {
      std::string name = "--" + std::string(option.flag);
      if (option.letter != 0) name = std::string("-") + option.letter + ", " + name;
      name = bold(name);
      if (!option.placeholder.empty()) name += " " + italic(option.placeholder);
      text += term(name, option.help);
    }
    text += ".RE\n";
  }
  return text;
}

std::string program_page() {
  std::string page = head_of("KUBE\\-IPVS", "8", "kube-ipvs", "IPVS Service proxy");
  page += R"(.SH SYNOPSIS
.SY kube\-ipvs
.RI [ flags ]
.SY kube\-ipvs
.B plan
.RB [ \-o
.IR FORMAT ]
.RI [ flags ]
.SY kube\-ipvs
.B cleanup
.RB [ \-\-handover ]
.RB [ \-\-dry\-run ]
.SY kube\-ipvs
.RI COMMAND
.RI [ options ]
.YS
.SH DESCRIPTION
.B kube\-ipvs
makes the kernel of this node serve the Services of a Kubernetes cluster with IPVS and one nftables table.
It takes the place of kube\-proxy in its mode ipvs, with its flags and its configuration file.
Without a cluster, it serves the Services in the YAML files of a directory
.RB ( \-\-manifests ).
.PP
It runs until it gets SIGTERM.
What it has set up in the kernel continues to serve; the next start takes it over, and changes only what differs.
.SH COMMANDS
)";
  page += term(
      bold("plan"),
      "Shows what an agent with the same flags would make the kernel hold. It changes nothing, and "
      "reads the kernel only for -o diff, which says what a start would change on this node, also "
      "where kube-proxy serves it. With -o ipvsadm, nft and ip it prints what ipvsadm -R, nft -f - "
      "and ip -batch - read. --compare-with FILE shows what other settings, or an earlier plan, "
      "have otherwise.");
  page +=
      term(bold("cleanup"),
           "Removes everything that kube-ipvs created in the kernel, and gives back each sysctl "
           "that still is as kube-ipvs set it. No agent may run. With --dry-run it only says what "
           "it would do. With --handover it leaves what kube-proxy takes over; start that first.");
  page += questions_text();
  page += ".SH OPTIONS\n";
  page += paragraph(
      "Flags win over the file of --config. A flag is --name VALUE or --name=VALUE; a switch is "
      "--name, --name=true or --name=false. Defaults are in brackets. DURATION is a number with a "
      "unit, or several: 900s, 15m, 1h30m or 250ms. CIDRS are networks separated by commas. PORT 0 "
      "is any free port.");
  page += flags_text();
  page += ".SS Ignored\nFlags of kube\\-proxy that are accepted with a warning but do nothing:\n";
  page += ignored_text();
  page += ".SH SIGNALS\n";
  page += term("SIGTERM, SIGINT", "It ends. What is set up in the kernel stays.");
  page += term("SIGHUP", "The file of --config is read again, as when it changes.");
  page += term("SIGUSR1, SIGUSR2", "It logs one level more; one level less.");
  page += ".SH EXIT STATUS\n";
  page += term("0",
               "Success; for plan: there is no difference, or none was asked for; for a question: "
               "answered.");
  page += term("1",
               "A failure, named on standard error; for plan: there is a difference; for a "
               "question: the answer is bad news (status is not ok, there is no such Service).");
  page += term("2",
               "For plan: there is no plan; for a question: no answer. The reason is on standard "
               "error.");
  page += ".SH FILES\n";
  page += term(italic("/etc/kube-ipvs/kube-ipvs.yaml"),
               "The settings of kube-ipvs.service; see kube-ipvs.yaml(5).");
  page += term(
      italic("/etc/kube-ipvs/manifests"),
      "Services and their endpoints, where there is no cluster. Only if the settings name it.");
  page +=
      term(italic("/run/kube-ipvs"),
           "The record of what in the kernel is ours. It outlives the program, and is void after "
           "a boot.");
  page += term(italic("/run/kube-ipvs/api.sock"),
               "Where questions are answered: HTTP with JSON, GET /v1/openapi.json for the list.");
  page +=
      term(italic("/usr/share/doc/kube-ipvs"),
           "Every setting at its default, what to look at when something is wrong, metrics, and "
           "annotations of Services.");
  page += R"(.SH EXAMPLES
In place of kube\-proxy: see what would change, then change it.
.PP
.EX
kube\-ipvs plan \-\-against\-kernel \-\-kubeconfig /etc/kubernetes/kube\-ipvs.conf
kube\-ipvs \-\-kubeconfig /etc/kubernetes/kube\-ipvs.conf \-\-ipvs\-scheduler lc
.EE
.PP
Without a cluster:
.PP
.EX
kube\-ipvs \-\-manifests /etc/kube\-ipvs/manifests
.EE
.SH SEE ALSO
.BR kube\-ipvs.yaml (5),
.BR ipvsadm (8),
.BR nft (8),
.BR systemctl (1)
)";
  return page;
}

std::string type_of(config::ValueType type) {
  switch (type) {
    case config::ValueType::kFlag:
      return "true or false";
    case config::ValueType::kNumber:
      return "number";
    case config::ValueType::kList:
      return "list";
    case config::ValueType::kMap:
      return "map";
    case config::ValueType::kText:
      break;
  }
  return "";
}

std::string key_term(const config::Option& option) {
  const std::string key(option.own_key.empty() ? option.key : option.own_key);
  std::string text(option.help);
  std::string value = pages::default_of(option);
  if (option.type == config::ValueType::kFlag) value = option.get(config::Config{});
  text += in_brackets(value);
  std::string more;
  if (!option.key.empty() && option.key != key)
    more += " kube-proxy's key: " + std::string(option.key) + ".";
  if (!*option.live) more += " Needs a restart.";
  const std::string type = type_of(option.type);
  return term(bold(key) + (type.empty() ? "" : " (" + type + ")"),
              more.empty() ? text : text + "." + more);
}

std::string file_page() {
  std::string page =
      head_of("KUBE\\-IPVS.YAML", "5", "kube-ipvs.yaml", "the settings of kube\\-ipvs(8)");
  page += R"(.SH DESCRIPTION
The file of
.BR "kube\-ipvs \-\-config" .
Each setting that is left out has its default, and a flag wins over the file.
An unknown key, a value of the wrong type or an invalid value stops the start, with line and column.
.PP
The file begins with
.PP
.EX
apiVersion: kube\-ipvs.io/v1alpha1
kind: KubeIpvsConfiguration
.EE
.PP
kube\-proxy's own file (kind KubeProxyConfiguration) is read too, with its keys.
.PP
When the file changes, it is read again and checked as a whole.
What does not need a restart takes effect at once, without a failed request.
A file with a fault changes nothing.
.SH KEYS
A key with a dot is one of a map: for
.B ipvs.scheduler
write
.PP
.EX
ipvs:
  scheduler: lc
.EE
.PP
Defaults are in brackets.
)";
  const std::string help = config::help_text("kube-ipvs");
  std::string heading;
  for (const config::Option& option : config::options()) {
    if (option.key.empty() && option.own_key.empty()) continue;
    const std::string own = option.flag.empty() ? heading : pages::heading_of(option, help);
    if (own != heading) {
      heading = own;
      page += ".SS " + roff(heading) + "\n";
    }
    page += key_term(option);
  }
  page += R"(.SH EXAMPLES
.EX
apiVersion: kube\-ipvs.io/v1alpha1
kind: KubeIpvsConfiguration
kubeconfig: /etc/kubernetes/kube\-ipvs.conf
clusterCIDR: 10.244.0.0/16
ipvs:
  scheduler: lc
  strictARP: true
.EE
.SH SEE ALSO
.BR kube\-ipvs (8)
)";
  return page;
}

}  // namespace

TEST_CASE("the page of the manual for the program is what the table of options says (19.3)") {
  pages::compare("packaging/debian/kube-ipvs.8", program_page());
}

TEST_CASE("the page of the manual for the file is what the table of options says (19.3)") {
  pages::compare("packaging/debian/kube-ipvs.yaml.5", file_page());
}
