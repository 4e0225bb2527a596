// SPDX-License-Identifier: Apache-2.0
//
// What follows the question in an answer, in wire form. It refers to the question's name, which
// always begins at the same place, so that it fits every query for the same name and type; and as the
// name is repeated as the client wrote it, case included, so it is where the answer refers to it
// (draft-vixie-dnsext-dns0x20).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace agent::dns {

// RFC 1035, 4.1.1, and 6891 for the last.
enum class Rcode : std::uint8_t {
  kNoError = 0,
  kFormatError = 1,
  kServerFailure = 2,
  kNoSuchName = 3,
  kNotImplemented = 4,
  kRefused = 5,
  kBadVersion = 16,
};

struct Body {
  Rcode rcode = Rcode::kNoError;
  std::string bytes{};
  std::uint16_t answers = 0, authorities = 0, additional = 0;  // records, in this order
  // A run of records in the answer section that may be sent in any order: addresses of one name.
  struct {
    std::size_t at = 0, count = 0, size = 0;  // in bytes; each has this size
  } run{};
};

}  // namespace agent::dns
