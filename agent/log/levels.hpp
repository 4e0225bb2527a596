// SPDX-License-Identifier: Apache-2.0
//
// Which information is logged: that of a level of at most --v, or of what --vmodule says of the file
// it is in. Both may change at any time. Warnings and errors are always logged.
//
//   level 0   what changed
//   level 2   each pass of the sync loop, each Service that was learned
//   level 4   each operation that the kernel refuses again
//
// Threading: one thread, as the log (agent/log/log.hpp).
#pragma once

#include <vector>

#include "config/config.hpp"

namespace agent {

namespace detail {
inline int most_verbose = 0;  // of all files
bool is_on_in(int level, const char* file);
}  // namespace detail

// At most 10: no line needs more. -1: no information at all.
void set_verbosity(int level);
int verbosity();
// In the order given; the first pattern that matches the name of a file, without its folder and its
// extension, decides. As in klog it only adds to --v.
void set_vmodule(const std::vector<config::FileVerbosity>& files);

// Where no file asks for more than --v, one comparison says no.
inline bool is_on(int level, const char* file = __builtin_FILE()) {
  return level <= detail::most_verbose && detail::is_on_in(level, file);
}

}  // namespace agent
