// SPDX-License-Identifier: Apache-2.0
#include "agent/report/zpages.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <sstream>
#include <string>
#include <utility>

#include "config/options.hpp"

namespace agent {
namespace {

namespace json = boost::json;
using Catch::Matchers::ContainsSubstring;

json::object page_of(const config::Config& config) {
  return json::parse(configz_text(config)).as_object();
}

std::string at(const json::object& page, const std::string& document, const std::string& pointer) {
  return json::serialize(page.at(document).at_pointer(pointer));
}

}  // namespace

TEST_CASE("/configz has kube-proxy's document with the types that kube-proxy gives it (18.2)") {
  config::Config config;
  config.ipvs_scheduler = "lc";
  config.ipvs_strict_arp = true;
  config.ipvs_tcp_timeout = 900;
  config.cluster_cidrs = {{boost::asio::ip::make_address("10.244.0.0"), 16},
                          {boost::asio::ip::make_address("fd00:244::"), 56}};
  config.min_sync_period = std::chrono::milliseconds(1500);
  const json::object page = page_of(config);
  const std::string upstream = "kubeproxy.config.k8s.io";
  CHECK(at(page, upstream, "/apiVersion") == R"("kubeproxy.config.k8s.io/v1alpha1")");
  CHECK(at(page, upstream, "/kind") == R"("KubeProxyConfiguration")");
  CHECK(at(page, upstream, "/mode") == R"("ipvs")");
  CHECK(at(page, upstream, "/ipvs/scheduler") == R"("lc")");
  CHECK(at(page, upstream, "/ipvs/strictARP") == "true");
  CHECK(at(page, upstream, "/ipvs/tcpTimeout") == R"("15m0s")");
  CHECK(at(page, upstream, "/ipvs/udpTimeout") == R"("0s")");
  CHECK(at(page, upstream, "/ipvs/minSyncPeriod") == R"("1.5s")");
  CHECK(at(page, upstream, "/ipvs/excludeCIDRs") == "[]");
  CHECK(at(page, upstream, "/clusterCIDR") == R"("10.244.0.0/16,fd00:244::/56")");
  CHECK(at(page, upstream, "/conntrack/maxPerCore") == "32768");
  CHECK(at(page, upstream, "/conntrack/tcpEstablishedTimeout") == R"("24h0m0s")");
  CHECK(at(page, upstream, "/oomScoreAdj") == "null");
  CHECK(at(page, upstream, "/logging/verbosity") == "0");
  CHECK(at(page, upstream, "/metricsBindAddress") == R"("127.0.0.1:10249")");
  CHECK(at(page, "kube-ipvs.io", "/kind") == R"("KubeIpvsConfiguration")");
  CHECK(at(page, "kube-ipvs.io", "/vipBinding") == R"("auto")");
}

TEST_CASE("/configz has maps as maps, and lists of maps as such (18.2)") {
  config::Config config;
  config.feature_gates = {"NFTablesProxyMode=true", "WinOverlay=false"};
  config.vmodule = {{.pattern = "sync_*", .level = 4}, {.pattern = "app", .level = 2}};
  const json::object page = page_of(config);
  for (const char* document : {"kubeproxy.config.k8s.io", "kube-ipvs.io"}) {
    CHECK(at(page, document, "/featureGates") ==
          R"({"NFTablesProxyMode":true,"WinOverlay":false})");
  }
  CHECK(at(page, "kubeproxy.config.k8s.io", "/logging/vmodule") ==
        R"([{"filePattern":"sync_*","verbosity":4},{"filePattern":"app","verbosity":2}])");
  CHECK(at(page_of({}), "kubeproxy.config.k8s.io", "/featureGates") == "{}");
}

TEST_CASE("/configz has every key of both kinds of file") {
  const json::object page = page_of({});
  for (const config::Option& option : config::options()) {
    for (const auto& [document, key] :
         {std::pair{"kubeproxy.config.k8s.io", option.key},
          std::pair{"kube-ipvs.io", option.own_key.empty() ? option.key : option.own_key}}) {
      if (key.empty()) continue;
      std::string pointer = "/" + std::string(key);
      for (char& c : pointer) c = c == '.' ? '/' : c;
      INFO(document << pointer);
      boost::system::error_code missing;
      CHECK(page.at(document).find_pointer(pointer, missing) != nullptr);
    }
  }
}

TEST_CASE("/flagz has kube-proxy's header and every flag in order, and no password (18.2)") {
  config::Config config;
  config.master = "https://admin:secret@192.0.2.1:6443/p@th";
  config.ipvs_scheduler = "wrr";
  const std::string page = flagz_text(config);
  CHECK(page.starts_with(
      "\nkube-ipvs flagz\nWarning: This endpoint is not meant to be machine parseable, has no "
      "formatting compatibility guarantees and is for debugging purposes only.\nagainst-kernel="));
  CHECK_THAT(page, ContainsSubstring("\nmaster=https://192.0.2.1:6443/p@th\n") &&
                       ContainsSubstring("\nipvs-scheduler=wrr\n") &&
                       ContainsSubstring("\nipvs-tcp-timeout=0s\n"));
  CHECK_THAT(page + configz_text(config), !ContainsSubstring("secret"));
  config.master = "admin:secret@192.0.2.1:6443";
  CHECK_THAT(flagz_text(config), ContainsSubstring("\nmaster=192.0.2.1:6443\n"));
}

TEST_CASE("/statusz says since when it runs, what it is and which pages there are (18.2)") {
  config::Config config;
  config.as_kube_proxy = true;
  const std::chrono::system_clock::time_point started{std::chrono::seconds(1795359931)};
  const std::string page = statusz_text(config, started, started + std::chrono::seconds(90061),
                                        {"/configz", "/metrics"});
  CHECK(page.starts_with("\nkube-proxy statusz\nWarning: This endpoint"));
  CHECK_THAT(page, ContainsSubstring("\n\nStarted: Sun Nov 22 15:05:31 UTC 2026\n"
                                     "Up: 25 hr 01 min 01 sec\nBinary version: ") &&
                       ContainsSubstring("\nPaths: /configz /metrics\n"));
}

}  // namespace agent
