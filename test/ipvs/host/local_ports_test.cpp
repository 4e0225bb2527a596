// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/local_ports.hpp"

#include <catch2/catch_test_macros.hpp>

using ipvs::overlap_warning;

namespace {

constexpr ipvs::PortRange kNodePorts{30000, 32767};

bool warns(const std::string& local, const std::string& reserved) {
  return !overlap_warning(local, reserved, kNodePorts).empty();
}

}  // namespace

TEST_CASE("local ports that are node ports are reported unless they are reserved (E6)") {
  CHECK_FALSE(warns("32768\t60999", ""));
  CHECK(warns("32767\t60999", ""));
  CHECK(warns("1024 65535", "8080,9148-9150"));
  CHECK(warns("1024 30000", ""));
  CHECK_FALSE(warns("1024 29999", ""));
  // Reserved as a whole, in pieces in any order, and but for one port.
  CHECK_FALSE(warns("1024\t65535", "30000-32767"));
  CHECK_FALSE(warns("1024\t65535", "31000-32767,80,30000-30999"));
  CHECK_FALSE(warns("1024\t65535", "1-65535"));
  CHECK(warns("1024\t65535", "30000-31999,32001-32767"));
  // Only the ports that are in both count.
  CHECK_FALSE(warns("32000\t60999", "32000-32767"));
  CHECK_FALSE(warns("32766\t60999", "32767,32766"));
}

TEST_CASE("the report names both ranges and what to set (E6)") {
  CHECK(overlap_warning("20000\t60999", "", kNodePorts) ==
        "net.ipv4.ip_local_port_range is 20000-60999 and has node ports (30000-32767): connections "
        "of this node that get the port of a Service as their own will time out; set "
        "net.ipv4.ip_local_reserved_ports=30000-32767");
}

TEST_CASE("port ranges that cannot be read are no reason to report anything (E6)") {
  for (const char* text : {"", "x", "1", "60999 32768", "70000 80000"})
    CHECK_FALSE(warns(text, ""));
  CHECK(warns("1024 65535", "x"));
  CHECK(warns("1024 65535", "30000-"));
}

TEST_CASE("ports are added to the reserved ones in the kernel's own form (17.4)") {
  const ipvs::PortRange ports{30000, 32767};
  CHECK(ipvs::with_reserved("", ports) == "30000-32767");
  CHECK(ipvs::with_reserved("8080,9148-9150", ports) == "8080,9148-9150,30000-32767");
  CHECK(ipvs::with_reserved("8080,50000", ports) == "8080,30000-32767,50000");
  CHECK(ipvs::with_reserved("29999,32768", ports) == "29999-32768");
  CHECK(ipvs::with_reserved("30100-30200,31000", ports) == "30000-32767");
  CHECK(ipvs::with_reserved("20000-65535", ports) == "20000-65535");
  CHECK(ipvs::with_reserved("1-65535", {1, 65535}) == "1-65535");
  CHECK(ipvs::with_reserved("65534", {65535, 65535}) == "65534-65535");
}
