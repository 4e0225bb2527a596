// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/kernel_error.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>

TEST_CASE("errors say what was being done and why it failed") {
  CHECK(ipvs::KernelError{ENOENT, "reading"}.text() == "reading: No such file or directory");
  CHECK(ipvs::KernelError{ipvs::kUnknownOutcome, "reading"}.text() ==
        "reading: the kernel's reply was lost");
}
