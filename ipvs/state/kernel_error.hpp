// SPDX-License-Identifier: Apache-2.0
//
// Errors of requests to the kernel: an errno, and what was being done.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <string>

namespace ipvs {

// In place of an errno: the reply was lost (ENOBUFS on the socket, time-out). The request may or
// may not have been carried out.
inline constexpr int kUnknownOutcome = -1;

// Whose fault it is that the kernel refuses something.
enum class Blame : std::uint8_t {
  kObject,   // it refuses this, as long as the object and the host stay as they are: EINVAL
  kPassing,  // it may accept the same soon: memory, locks, lost replies
  kNode,     // it would refuse every object: rights, a missing device, a full table
};
// Of a number that is not known to be the node's or passing, the object is to blame: a tenant can
// choose an object, and must not be able to make a node unhealthy.
Blame blame_of(int error_number);

// A request that failed as a whole: what was being done, and errno.
struct KernelError {
  int error_number = 0;
  std::string what;          // "reading virtual servers (GET_SERVICE)"; may end in a remedy
  std::string text() const;  // "what: strerror"
};

// Exceptions are for bugs: asking an error for its value is one.
[[noreturn]] void throw_exception_from_error(const KernelError& error,
                                             const boost::source_location&);

template <typename T>
using Result = boost::system::result<T, KernelError>;

// A Result does not take a bool by itself, because an errno could be meant.
inline Result<bool> yes_or_no(bool value) { return {boost::system::in_place_value, value}; }

}  // namespace ipvs
