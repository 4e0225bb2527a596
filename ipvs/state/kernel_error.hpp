// SPDX-License-Identifier: Apache-2.0
//
// Errors of requests to the kernel: an errno, and what was being done.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>
#include <string>

namespace ipvs {

// In place of an errno: the reply was lost (ENOBUFS on the socket, time-out). The request may or
// may not have been carried out.
inline constexpr int kUnknownOutcome = -1;

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

}  // namespace ipvs
