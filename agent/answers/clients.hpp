// SPDX-License-Identifier: Apache-2.0
//
// Who sends a packet, and how it enters this node: decided by its source address, where that
// decides it. Pure.
#pragma once

#include <boost/system/result.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/answers/explain.hpp"

namespace agent {

struct Client {
  Entry entry = Entry::kUnknown;
  // nullopt: not known. Of this host the one that was named: which one a packet has depends on its
  // destination.
  std::optional<ipvs::Address> source{};
  ipvs::Arrival arrival = ipvs::Arrival::kUnknown;
  std::string words{};  // "Pod test/client of this node"
};

// One per family that it has an address of.
[[nodiscard]] boost::system::result<std::vector<Client>, BadQuestion> clients_of(
    const From& from, const ExplainView& view);

// The source that the kernel gives to what this host sends to `to`, if the program has not chosen
// one; nullopt: that depends on its routes.
std::optional<ipvs::Address> source_of_host(const ipvs::Address& to, const ExplainView& view);

// An address of this host, a virtual IP included.
bool is_of_this_host(const ipvs::Address& address, const ExplainView& view);

}  // namespace agent
