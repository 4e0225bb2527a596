// SPDX-License-Identifier: Apache-2.0
#include "agent/report/slis.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "test/agent/report/promtool.hpp"

TEST_CASE("the page of SLIs has the last result of each check and counts all of them") {
  agent::Slis slis;
  CHECK(slis.text().find("kubernetes_") == std::string::npos);
  CHECK(agent::test::promtool_complaint(slis.text()).empty());
  slis.note("healthz", true);
  slis.note("healthz", false);
  slis.note("healthz", false);
  slis.note("livez", true);
  const std::string text = slis.text();
  CHECK(text.starts_with(
      R"(# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.
# TYPE kubernetes_healthcheck gauge
kubernetes_healthcheck{name="ping",type="healthz"} 0
kubernetes_healthcheck{name="ping",type="livez"} 1
# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.
# TYPE kubernetes_healthchecks_total counter
kubernetes_healthchecks_total{name="ping",status="error",type="healthz"} 2
kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} 1
kubernetes_healthchecks_total{name="ping",status="success",type="livez"} 1
)"));
  CHECK(agent::test::promtool_complaint(text).empty());
}
