// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/kernel_error.hpp"

#include <boost/throw_exception.hpp>
#include <stdexcept>
#include <system_error>

namespace ipvs {

std::string KernelError::text() const {
  if (error_number == 0) return what;
  if (error_number == kUnknownOutcome) return what + ": the kernel's reply was lost";
  return what + ": " + std::generic_category().message(error_number);
}

void throw_exception_from_error(const KernelError& error, const boost::source_location& where) {
  boost::throw_exception(std::runtime_error(error.text()), where);
}

}  // namespace ipvs
