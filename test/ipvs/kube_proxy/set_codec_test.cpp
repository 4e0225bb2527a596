// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/set_codec.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstddef>
#include <span>
#include <vector>

using namespace ipvs;

namespace {

std::vector<unsigned> bytes_of(MessageBatch& batch) {
  std::vector<unsigned> bytes;
  for (const std::byte b : batch.message_bytes(0)) bytes.push_back(std::to_integer<unsigned>(b));
  return bytes;
}

}  // namespace

TEST_CASE("the request for the names of all ipsets is what the kernel expects, byte for byte") {
  MessageBatch batch;
  encode_list_sets(batch);
  CHECK(bytes_of(batch) == std::vector<unsigned>{36, 0, 0, 0, 7, 6, 1, 0,  // LIST of ipset, request
                                                 0,  0, 0, 0, 0, 0, 0, 0,  //
                                                 2,  0, 0, 0,              // nfgenmsg
                                                 5,  0, 1, 0, 6, 0, 0, 0,  // protocol 6
                                                 8,  0, 6, 0, 0, 0, 0, 2});  // names only
}

TEST_CASE("an ipset is destroyed by its name, byte for byte") {
  MessageBatch batch;
  encode_destroy_set(batch, "KUBE-A");
  CHECK(bytes_of(batch) == std::vector<unsigned>{40,  0,   0, 0, 3,   6,   1,   0,  // DESTROY
                                                 0,   0,   0, 0, 0,   0,   0,   0,  //
                                                 2,   0,   0, 0,                    // nfgenmsg
                                                 5,   0,   1, 0, 6,   0,   0,   0,  // protocol 6
                                                 11,  0,   2, 0, 'K', 'U', 'B', 'E',
                                                 '-', 'A', 0, 0});  // its name
}

TEST_CASE("the name of an ipset is read from a reply; any cut of it is harmless") {
  static constexpr unsigned char kReply[] = {2,  0, 0, 0,                    // nfgenmsg
                                             5,  0, 1, 0, 6,   0,   0,   0,  // protocol
                                             11, 0, 2, 0, 'K', 'U', 'B', 'E', '-', 'A', 0, 0};
  const Bytes bytes = std::as_bytes(std::span(kReply));
  CHECK(decode_set_name(bytes) == "KUBE-A");
  for (std::size_t size = 0; size + 4 < bytes.size(); ++size) {
    CHECK_FALSE(decode_set_name(bytes.first(size)));
  }
}

TEST_CASE("an ipset in use is EBUSY, and errno values stay") {
  CHECK(errno_of_ipset(4100) == EBUSY);
  CHECK(errno_of_ipset(4097) == EPROTONOSUPPORT);
  CHECK(errno_of_ipset(ENOENT) == ENOENT);
  CHECK(errno_of_ipset(0) == 0);
}
