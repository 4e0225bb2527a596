// SPDX-License-Identifier: Apache-2.0
//
// The file that says which virtual servers are ours (ipvs/adr-own-record.md; its text:
// ipvs/state/own_record.hpp). It outlives the agent and our nftables table, and says of which
// kernel and network namespace it is: after a boot it is void, as the kernel is empty.
//
// Write-ahead: a virtual server is in the file before it is created, and until after it is deleted.
// So whenever the agent ends, every virtual server of ours is there. The file is appended to, with
// one write for each batch of changes, and written anew when most of its lines are outdated. It is
// meant for /run, which is memory: it is never synced.
//
// Threading: not thread-safe; calls block as long as a write to memory does.
// Errors: a file that cannot be read, or is not valid, is as if there were none. What cannot be
// written is kept in memory, and tried again by check() and by the next change; meanwhile the file
// is deleted, if that works, because an incomplete record is worse than none.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "ipvs/host/run_file.hpp"
#include "ipvs/state/kernel_error.hpp"
#include "ipvs/state/model.hpp"
#include "ipvs/state/operations.hpp"

namespace ipvs {

class OwnRecordFile {
 public:
  // The file is `directory`/servers-NUMBER (ipvs/host/run_file.hpp). An empty `directory`: no record.
  OwnRecordFile(const std::string& directory, std::string kernel_and_namespace);

  // What the file says, ordered; nullopt: there is no valid one.
  std::optional<std::vector<ServerKey>> read();
  // From now on exactly these are ours.
  Result<void> replace(std::span<const ServerKey> keys);

  // To be called before and after virtual servers are changed. `outcomes`: as of
  // Kernel::change_servers().
  void before(std::span<const ServerOp> ops);
  void after(std::span<const ServerOp> ops, std::span<const int> outcomes);

  // Writes the file if it is gone or could not be written.
  Result<void> check();
  Result<void> remove();

 private:
  void append(const std::string& text, std::size_t lines);
  Result<void> rewrite();
  Result<void> failed(int error);

  const std::string kernel_and_namespace_;
  RunFile file_;
  bool broken_ = false;    // the last attempt to write failed
  std::size_t lines_ = 0;  // in the file
  std::unordered_set<ServerKey> servers_;
  std::vector<ServerKey> added_;  // by before(), until after()
};

}  // namespace ipvs
