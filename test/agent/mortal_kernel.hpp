// SPDX-License-Identifier: Apache-2.0
//
// A fake kernel in which the agent dies: at the nth operation that changes something, before it or
// after it. Each is one: a virtual server or a destination, an address, a transaction of elements,
// the table, the record, the notes, the flows to be forgotten.
//
// It knows the state that is to come, and notes in `wrongs` each operation on an object that has it
// already: one that was right was changed, or deleted.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "test/fake/fake_kernel.hpp"

namespace agent::test {

struct Died : std::runtime_error {
  Died() : std::runtime_error("killed") {}
};

struct KernelState {
  std::map<ipvs::ServerKey, ipvs::Server> servers;
  std::set<ipvs::Address> addresses;
  std::set<ipvs::Element, ipvs::ElementKeyLess> elements;
  bool operator==(const KernelState&) const = default;

  // "TCP 10.96.0.1:80 rr 0x0 0: 10.244.1.1:8080 w1", one line for each object.
  std::string text() const {
    std::string text;
    for (const auto& [key, server] : servers) {
      text += key.text() + " " + server.settings.scheduler + " " +
              std::to_string(server.settings.flags) + " " +
              std::to_string(server.settings.timeout_seconds) + ":";
      for (const auto& d : server.destinations) {
        text += " " + d.endpoint.text() + " w" + std::to_string(d.weight);
      }
      text += "\n";
    }
    for (const ipvs::Address& address : addresses) text += address.to_string() + "\n";
    for (const ipvs::Element& element : elements) text += element.text() + "\n";
    return text;
  }
};

class MortalKernel : public fake::FakeKernel {
 public:
  std::size_t points = 0;  // operations so far
  std::size_t dies_at = 0;
  bool dies_before = false;
  const KernelState* coming = nullptr;
  std::vector<std::string> wrongs;

  KernelState state() const { return {servers, addresses, elements}; }

  ipvs::Result<void> record_own(std::span<const ipvs::ServerKey> keys) override {
    return one([&] { return FakeKernel::record_own(keys); });
  }
  void write_notes(std::span<const ipvs::Note> changed) override {
    one([&] {
      FakeKernel::write_notes(changed);
      return true;
    });
  }
  std::vector<int> change_servers(std::span<const ipvs::ServerOp> ops) override {
    for (const ipvs::ServerOp& op : ops) {  // the record is written ahead
      if (record && op.command <= ipvs::ServerCommand::kSetService) record->insert(op.server.key);
    }
    std::vector<int> results;
    for (const ipvs::ServerOp& op : ops) {
      if (coming && is_right(op)) {
        wrongs.push_back(std::string(ipvs::name_of(op.command)) + " " + op.server.key.text() + " " +
                         op.destination.endpoint.text());
      }
      results.push_back(one([&] { return FakeKernel::change_servers({&op, 1}).front(); }));
    }
    return results;
  }
  std::vector<int> change_addresses(std::span<const ipvs::AddressOp> ops) override {
    std::vector<int> results;
    for (const ipvs::AddressOp& op : ops) {
      if (coming && addresses.contains(op.address) == coming->addresses.contains(op.address)) {
        wrongs.push_back("address " + op.address.to_string());
      }
      results.push_back(one([&] { return FakeKernel::change_addresses({&op, 1}).front(); }));
    }
    return results;
  }
  int change_elements(std::span<const ipvs::ElementOp> ops) override {
    for (const ipvs::ElementOp& op : ops) {
      if (coming && find(elements, op.element) == find(coming->elements, op.element)) {
        wrongs.push_back("element " + op.element.text());
      }
    }
    return one([&] { return FakeKernel::change_elements(ops); });
  }
  int install_table(const ipvs::TableRules& rules, std::span<const ipvs::Element> wanted) override {
    return one([&] { return FakeKernel::install_table(rules, wanted); });
  }
  int replace_rules(const ipvs::TableRules& rules) override {
    return one([&] { return FakeKernel::replace_rules(rules); });
  }
  ipvs::Result<std::size_t> delete_flows(std::span<const StaleFlow> flows) override {
    return one([&] { return FakeKernel::delete_flows(flows); });
  }

 private:
  template <typename Operation>
  std::invoke_result_t<Operation> one(Operation operation) {
    const bool dies = ++points == dies_at;
    if (dies && dies_before) throw Died();
    auto result = operation();
    if (dies) throw Died();
    return result;
  }
  static std::optional<ipvs::Element> find(const std::set<ipvs::Element, ipvs::ElementKeyLess>& all,
                                           const ipvs::Element& key) {
    const auto found = all.find(key);
    return found == all.end() ? std::nullopt : std::optional(*found);
  }
  static std::optional<ipvs::Destination> find(const std::map<ipvs::ServerKey, ipvs::Server>& all,
                                               const ipvs::ServerOp& op) {
    const auto server = all.find(op.server.key);
    if (server == all.end()) return std::nullopt;
    for (const ipvs::Destination& d : server->second.destinations) {
      if (d.endpoint == op.destination.endpoint) return d;
    }
    return std::nullopt;
  }
  // Whether what it would change is as it will be.
  bool is_right(const ipvs::ServerOp& op) const {
    if (op.command >= ipvs::ServerCommand::kNewDest) {
      return find(servers, op) == find(coming->servers, op);
    }
    const auto now = servers.find(op.server.key);
    const auto then = coming->servers.find(op.server.key);
    if (now == servers.end() || then == coming->servers.end()) {
      return now == servers.end() && then == coming->servers.end();
    }
    return op.command == ipvs::ServerCommand::kDelService ||
           now->second.settings == then->second.settings;
  }
};

}  // namespace agent::test
