// SPDX-License-Identifier: Apache-2.0
//
// A hash that is the same with every compiler, library and version of kube-ipvs: FNV-1a, mixed. For
// what must not change by an update (ipvs/state/spread.hpp), and what nodes compare with each other
// (agent/decide/plan_digest.hpp). Not for hash tables that others may fill.
#pragma once

#include <cstdint>
#include <string_view>

#include "ipvs/state/address.hpp"

namespace ipvs {

class StableHash {
 public:
  StableHash() = default;
  explicit StableHash(std::uint64_t seed) : state_(seed) {}

  void add(std::uint8_t byte) { state_ = (state_ ^ byte) * kPrime; }
  void add(std::uint16_t number) {
    add(static_cast<std::uint8_t>(number >> 8));
    add(static_cast<std::uint8_t>(number));
  }
  void add(std::uint32_t number) {
    add(static_cast<std::uint16_t>(number >> 16));
    add(static_cast<std::uint16_t>(number));
  }
  void add(std::uint64_t number) {
    add(static_cast<std::uint32_t>(number >> 32));
    add(static_cast<std::uint32_t>(number));
  }
  // Without its length: one text, or the last one.
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<std::uint8_t>(c));
  }
  void add(const Address& address) {
    for (const std::uint8_t byte : address.bytes()) add(byte);
  }

  // The last bytes of FNV-1a reach its low bits only. This finish mixes all of them (MurmurHash3's).
  std::uint64_t finish() const {
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccd;
    mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53;
    return mixed ^ (mixed >> 33);
  }

 private:
  static constexpr std::uint64_t kOffset = 0xcbf29ce484222325;
  static constexpr std::uint64_t kPrime = 0x00000100000001b3;

  std::uint64_t state_ = kOffset;
};

}  // namespace ipvs
