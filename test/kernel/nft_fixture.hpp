// SPDX-License-Identifier: Apache-2.0
//
// What the tests of our nftables table in a real kernel have in common. Each test enters a network
// namespace of its own; `nft` and `ip` are used only to read what we did and to prepare the host.
#pragma once

#include <sched.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "ipvs/nftables/client.hpp"

namespace nft_test {

inline void enter_new_network() {
  if (::unshare(CLONE_NEWNET) != 0) SKIP("no network namespace: needs root");
}

struct Finished {
  int status = 0;
  std::string output;
};

inline Finished shell(const std::string& command) {
  Finished finished;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 65536> buffer;
  while (const std::size_t size = ::fread(buffer.data(), 1, buffer.size(), pipe)) {
    finished.output.append(buffer.data(), size);
  }
  finished.status = WEXITSTATUS(::pclose(pipe));
  return finished;
}

// Prepares the host: the command must succeed.
inline std::string must(const std::string& command) {
  const Finished finished = shell(command);
  INFO(command << ": " << finished.output);
  REQUIRE(finished.status == 0);
  return finished.output;
}

inline std::string list_table() { return must("nft list table inet kube-ipvs"); }

// Feeds `text` to `nft -f -`.
inline void feed_nft(const std::string& text) {
  FILE* pipe = ::popen("nft -f -", "w");
  REQUIRE(pipe != nullptr);
  REQUIRE(::fwrite(text.data(), 1, text.size(), pipe) == text.size());
  REQUIRE(::pclose(pipe) == 0);
}

inline ipvs::NftClient open_client() {
  auto client = ipvs::NftClient::open();
  REQUIRE(client.has_value());
  return std::move(*client);
}

// The elements of the table, which must be there, ordered by key.
inline std::vector<ipvs::Element> read_back(ipvs::NftClient& client) {
  bool present = false;
  auto elements = client.read_elements(present);
  REQUIRE(elements.has_value());
  REQUIRE(present);
  std::sort(elements->begin(), elements->end(), ipvs::ElementKeyLess{});
  return *elements;
}

inline ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

inline ipvs::Element service(const char* ip, std::uint16_t port,
                             ipvs::TrafficClass traffic_class = ipvs::TrafficClass::kClusterIp,
                             ipvs::Protocol protocol = ipvs::Protocol::kTcp) {
  return {.kind = ipvs::ElementKind::kServiceIp,
          .address = address(ip),
          .protocol = protocol,
          .traffic_class = traffic_class,
          .port = port};
}

inline ipvs::Element node_port(std::uint16_t port, ipvs::TrafficClass traffic_class,
                               ipvs::Protocol protocol = ipvs::Protocol::kTcp) {
  return {.kind = ipvs::ElementKind::kNodePort,
          .address = {},
          .protocol = protocol,
          .traffic_class = traffic_class,
          .port = port};
}

inline ipvs::Element plain(ipvs::ElementKind kind, const char* ip) {
  return {.kind = kind, .address = address(ip)};
}

inline std::vector<ipvs::Element> many_services(std::uint32_t count) {
  std::vector<ipvs::Element> elements;
  for (std::uint32_t i = 0; i < count; ++i) {
    elements.push_back({.kind = ipvs::ElementKind::kServiceIp,
                        .address = boost::asio::ip::address_v4(0x0a600000 + i),
                        .protocol = ipvs::Protocol::kTcp,
                        .port = 80});
  }
  return elements;
}

}  // namespace nft_test
