// SPDX-License-Identifier: Apache-2.0
//
// Whose an address or an element was that nobody wants any more: the Service whose virtual server there, or whose
// destination, goes in the same batch. Made once for a batch, in time that grows with its deletions.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "agent/sync/change_recorder.hpp"

namespace agent {

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
