// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace k8s {

// Waits for a descriptor that another closes. No copy of it: there may be none left.
struct BorrowedDescriptor {
  BorrowedDescriptor(const boost::asio::any_io_executor& executor, int fd)
      : readable(executor, fd) {}
  ~BorrowedDescriptor() { readable.release(); }
  BorrowedDescriptor(const BorrowedDescriptor&) = delete;
  BorrowedDescriptor& operator=(const BorrowedDescriptor&) = delete;
  boost::asio::posix::stream_descriptor readable;
};

}  // namespace k8s
