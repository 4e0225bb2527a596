// SPDX-License-Identifier: Apache-2.0
//
// What is drained by hand, as JSON: in answers, in requests, and in the file under --run-dir that the
// next start reads.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "agent/decide/hand_drains.hpp"

namespace agent {

boost::json::array drains_json(const HandDrains& drains);
// A request: {"endpoint": "10.244.1.7:8080" or "10.244.1.7", "seconds": 600, "reason": "...",
// "by": "..."}; `seconds` 1-2592000, without it until undrain; texts of at most 200 bytes. Throws
// QuestionFault.
HandDrain drain_request(std::string_view body, k8s::UnixSeconds now);
// The endpoint of a request to end one. Throws QuestionFault.
ipvs::Endpoint undrain_request(std::string_view body);

// The text of the file: what it does not understand, and what has ended at `now`, is skipped.
void take_drains(std::string_view text, k8s::UnixSeconds now, HandDrains& drains);
// The file; "": there is none. Reading it skips what it does not understand, and what has ended at `now`.
void read_drains(const std::string& file, k8s::UnixSeconds now, HandDrains& drains);
// "", or why it cannot be written.
std::string write_drains(const std::string& file, const HandDrains& drains);

}  // namespace agent
