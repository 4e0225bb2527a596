// SPDX-License-Identifier: Apache-2.0
//
// Which Service had what nobody wants any more. Of an address or a set element it is the Service whose
// virtual server or destination there is deleted in the same batch. Made once for a batch, in time
// that grows with its deletions.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "agent/sync/change_recorder.hpp"

namespace agent {

// The Service that wants this virtual server, or else the one that wanted it last; nullptr: neither.
const ipvs::Owner* last_owner_of(const ipvs::Desired& desired, const ipvs::ServerKey& key);

class FormerOwners {
 public:
  explicit FormerOwners(const ChangeRecorder::Batch& batch);
  // "": none is known.
  std::string_view of(const ipvs::Address& address) const;
  std::string_view of(const ipvs::Element& element) const;

 private:
  void add(const ipvs::ServerOp& op, const ChangeRecorder::Batch& batch);

  std::unordered_map<ipvs::ServerKey, std::string_view> servers_;
  std::map<ipvs::Address, std::string_view> addresses_;
  std::map<std::pair<ipvs::Protocol, std::uint16_t>, std::string_view> ports_;
  std::map<ipvs::Address, std::string_view> endpoints_;
};

}  // namespace agent
