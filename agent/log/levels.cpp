// SPDX-License-Identifier: Apache-2.0
#include "agent/log/levels.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace agent {
namespace {

constexpr int kMostVerbose = 10;

struct Levels {
  std::vector<config::FileVerbosity> files;
  int verbosity = 0;
};

Levels& levels() {
  static Levels all;
  return all;
}

void note_most_verbose(const Levels& all) {
  int most = all.verbosity;
  for (const config::FileVerbosity& each : all.files) most = std::max(most, each.level);
  detail::most_verbose = most;
}

std::string stem_of(std::string_view file) {
  file.remove_prefix(file.rfind('/') + 1);  // npos + 1 is 0
  return std::string(file.substr(0, file.rfind('.')));
}

}  // namespace

bool detail::is_on_in(int level, const char* file) {
  const Levels& all = levels();
  if (level <= all.verbosity) return true;
  const std::string stem = stem_of(file);
  for (const config::FileVerbosity& each : all.files) {
    if (::fnmatch(each.pattern.c_str(), stem.c_str(), 0) == 0) return level <= each.level;
  }
  return false;
}

void set_verbosity(int level) {
  Levels& all = levels();
  all.verbosity = std::clamp(level, -1, kMostVerbose);
  note_most_verbose(all);
}

int verbosity() { return levels().verbosity; }

void set_vmodule(const std::vector<config::FileVerbosity>& files) {
  Levels& all = levels();
  all.files = files;
  note_most_verbose(all);
}

}  // namespace agent
