// SPDX-License-Identifier: Apache-2.0
//
// A fake kernel that knows what is wanted, and notes a violation where an address or virtual server
// comes before an element that protects it: the one that names its address and port, the one that
// closes the other ports of the address, and those of its allowed sources.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ipvs/state/desired.hpp"
#include "test/fake/fake_kernel.hpp"

namespace agent::test {

class WatchingKernel : public fake::FakeKernel {
 public:
  const ipvs::Desired* desired = nullptr;  // must be set
  bool faulty = false;                     // it fails on request: elements may be missing

  std::vector<int> change_servers(std::span<const ipvs::ServerOp> ops) override {
    for (const ipvs::ServerOp& op : ops) {
      if (op.command == ipvs::ServerCommand::kNewService) check_server(op.server.key);
    }
    return FakeKernel::change_servers(ops);
  }
  std::vector<int> change_addresses(std::span<const ipvs::AddressOp> ops) override {
    for (const ipvs::AddressOp& op : ops) {
      if (op.add) check_address(op.address);
    }
    return FakeKernel::change_addresses(ops);
  }

 private:
  bool holds(const ipvs::Element& wanted) const {
    const auto found = elements.find(wanted);
    return found != elements.end() && *found == wanted;
  }
  static bool names(const ipvs::Element& element, const ipvs::ServerKey& key) {
    return (element.kind == ipvs::ElementKind::kServiceIp ||
            element.kind == ipvs::ElementKind::kLimitedIp ||
            element.kind == ipvs::ElementKind::kAllowedSource) &&
           element.address == key.address && element.port == key.port &&
           element.protocol == key.protocol;
  }
  void check_server(const ipvs::ServerKey& key) {
    for (const ipvs::Element& wanted : desired->elements()) {
      if (names(wanted, key) && !holds(wanted)) complain(key.text(), wanted);
    }
  }
  // Where an element was refused, its virtual server is not made: an address may come without both.
  void check_address(const ipvs::Address& address) {
    for (const ipvs::Element& wanted : desired->elements()) {
      if (wanted.address != address || holds(wanted)) continue;
      const bool named = names(wanted, {address, wanted.port, wanted.protocol});
      const bool served = servers.contains({address, wanted.port, wanted.protocol});
      if (wanted.kind == ipvs::ElementKind::kVirtualIp || (named && (served || !faulty))) {
        complain(address.to_string(), wanted);
      }
    }
  }
  void complain(const std::string& what, const ipvs::Element& missing) {
    violations.push_back(what + " before " + missing.text());
  }
};

}  // namespace agent::test
