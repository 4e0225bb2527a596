// SPDX-License-Identifier: Apache-2.0
//
// --help, --version, and the flags of the log.
#include "config/help.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "config/ignored_options.hpp"
#include "config/options.hpp"
#include "config/values.hpp"
#include "test/config/command_lines.hpp"

using namespace config;
using namespace config::test;

TEST_CASE("version and help say what this is, also under the name kube-proxy (18.2)") {
  const auto printed = [](const char* name, const char* flag) {
    const std::vector<const char*> argv{name, flag};
    return *parse(2, argv.data(), node_a()).print;
  };
  // Scripts take the second word, and expect a v and three numbers.
  const std::string version = printed("/usr/local/bin/kube-proxy", "--version");
  CHECK(version == printed("kube-ipvs", "--version"));
  CHECK(version.starts_with("kube-ipvs v"));
  CHECK(std::count(version.begin(), version.end(), '.') == 2);
  CHECK(std::count(version.begin(), version.end(), ' ') == 1);
  const std::string help = printed("/usr/local/bin/kube-proxy", "--help");
  CHECK(help.starts_with("kube-ipvs makes"));
  CHECK(help.find("Usage:\n  kube-proxy [flags]\n") != std::string::npos);
}

TEST_CASE("help and version are printed even if other flags have faults") {
  const ParseOutcome help = run({"--quux", "-h"});
  CHECK(help.print == help_text("kube-ipvs"));
  CHECK(help.faults.empty());
  CHECK(run({"--version"}).print->starts_with("kube-ipvs v"));
  CHECK_FALSE(run({"--version=false"}).print.has_value());
}

TEST_CASE("the flag --version takes what it takes in Kubernetes' programs (18.4)") {
  CHECK(run({"--version=true"}).print == run({"--version"}).print);
  const std::string raw = *run({"--version=raw"}).print;
  CHECK(raw.starts_with("version.Info{Major:\"0\", Minor:\"1\", GitVersion:\"v0.1.0\", "));
  CHECK(raw.find("Platform:\"linux/") != std::string::npos);
  CHECK(faults({"--version=yes"}) == Lines{"--version: \"yes\" is not one of: true, false, raw"});
  CHECK(faults({"--version="}) == Lines{"--version: \"\" is neither true nor false"});
  CHECK(faults({"--version=version"}).size() == 1);
  CHECK(good({"--version=v1.36.1"}).warnings ==
        Lines{"--version: ignored: v1.36.1 cannot take the place of the version of kube-ipvs"});
}

TEST_CASE("help has one line for each flag, with its default, in at most 100 columns") {
  const std::string help = help_text("kube-ipvs");
  for (const Option& option : options()) {
    if (option.flag.empty()) continue;
    const std::string name = "--" + std::string(option.flag) + " ";
    const std::size_t at = help.find(name, help.find("\n\nThe cluster:"));
    REQUIRE(at != std::string::npos);
    const std::string line = help.substr(at, help.find('\n', at) - at);
    CAPTURE(line);
    CHECK(line.find(option.help) != std::string::npos);
    if (option.get != nullptr && option.type != ValueType::kFlag && !option.get(Config{}).empty()) {
      CHECK(line.ends_with("]"));
    }
  }
  for (const std::string_view scheduler : known_schedulers()) {
    CHECK(find_option("ipvs-scheduler")->help.find(scheduler) != std::string_view::npos);
  }
  for (std::size_t at = 0; at < help.size(); at = help.find('\n', at) + 1) {
    CHECK(help.find('\n', at) - at <= 100);
  }
}

TEST_CASE("help is as wide as the terminal, within reason (18.4)") {
  const auto widest = [](const std::string& help) {
    std::size_t most = 0;
    for (std::size_t at = 0; at < help.size(); at = help.find('\n', at) + 1) {
      most = std::max(most, help.find('\n', at) - at);
    }
    return most;
  };
  CHECK(widest(help_text("kube-ipvs", 72)) <= 72);
  CHECK(widest(help_text("kube-ipvs", 1000)) <= 120);
  CHECK(widest(help_text("kube-ipvs", 120)) > 100);
  CHECK(help_text("kube-ipvs", 10) == help_text("kube-ipvs", 60));
}

TEST_CASE("help lists every flag of kube-proxy that does nothing") {
  const std::string help = help_text("kube-ipvs");
  const std::size_t list = help.find("Flags of kube-proxy that are accepted with a warning");
  REQUIRE(list != std::string::npos);
  for (const IgnoredOption& option : ignored_options()) {
    if (option.flag.empty()) continue;
    CAPTURE(option.flag);
    CHECK(help.find("--" + std::string(option.flag), list) != std::string::npos);
  }
}

TEST_CASE(
    "the list of --vmodule is read as by klog, and a wrong item is refused with the form (18.4)") {
  const Config config = good({"--vmodule=sync_*=4,app=2,", "--vmodule", "line=11"});
  CHECK(config.vmodule == std::vector<FileVerbosity>{{"sync_*", 4}, {"app", 2}, {"line", 10}});
  CHECK(good({"--vmodule="}).vmodule.empty());
  for (const std::string wrong : {"app", "=2", "app=", "app=x", "app=-1", "app=2=3"}) {
    CHECK(faults({("--vmodule=" + wrong).c_str()}) ==
          Lines{"--vmodule: \"" + wrong +
                "\" is not PATTERN=LEVEL: the name of a source file, which may have * and ?, and a "
                "number from 0, as in sync_*=4"});
  }
}
