// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/kernel_error.hpp"

#include <boost/throw_exception.hpp>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace ipvs {

Blame blame_of(int error_number) {
  switch (error_number) {
    case kUnknownOutcome:
    case EAGAIN:
    case EINTR:
    case ENOMEM:
    case ENOBUFS:
    case EBUSY:
    case ETIMEDOUT:
      return Blame::kPassing;
    case EPERM:
    case EACCES:
    case EROFS:
    case EIO:
    case EBADF:
    case EMFILE:
    case ENFILE:  // a set of nftables is full, too
    case ENOSPC:
    case ENODEV:
    case ENXIO:
    case ENETDOWN:
    case ENOSYS:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case ECONNREFUSED:
      return Blame::kNode;
    default:
      return Blame::kObject;
  }
}

std::string KernelError::text() const {
  if (error_number == 0) return what;
  if (error_number == kUnknownOutcome) return what + ": the kernel's reply was lost";
  return what + ": " + std::generic_category().message(error_number);
}

void throw_exception_from_error(const KernelError& error, const boost::source_location& where) {
  boost::throw_exception(std::runtime_error(error.text()), where);
}

}  // namespace ipvs
