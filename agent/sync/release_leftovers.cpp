// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/release_leftovers.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/decide/leftovers.hpp"
#include "agent/log/log.hpp"
#include "ipvs/state/apply.hpp"

namespace agent {
namespace {

struct Released {
  std::vector<std::string> notes;
  std::string fault;  // for people; "": none
};

// Whether it is worth reading all of the kernel.
ipvs::Result<bool> is_anything_left(ipvs::Kernel& kernel, const AddressPolicy& policy) {
  const auto answer = [](bool is) { return ipvs::Result<bool>(boost::system::in_place_value, is); };
  for (const ipvs::ServerKey& key : servers_in_the_way(policy)) {
    const auto server = kernel.read_server(key);
    if (!server) return server.error();
    if (*server) return answer(true);
  }
  ipvs::Observed observed;
  auto bound = kernel.read_addresses();
  if (!bound) return bound.error();
  observed.addresses = std::move(*bound);
  const bool is_held = std::any_of(observed.addresses.begin(), observed.addresses.end(),
                                   [&](const auto& each) { return policy.has_holder(each); });
  if (!is_held) return answer(false);
  auto elements = kernel.read_elements();
  if (!elements) return elements.error();
  observed.elements = std::move(*elements);
  return answer(!find_leftovers(observed, policy).release.empty());
}

std::string first_error(const ipvs::Outcome& outcome) {
  for (const auto& phase : {outcome.unbind, outcome.dismantle}) {
    for (const int error : phase) {
      if (error > 0) return std::string("deleting what was left there: ") + ::strerror(error);
    }
  }
  return {};
}

// On the kernel thread; the policy does not change meanwhile.
Released release(ipvs::Kernel& kernel, const AddressPolicy& policy) {
  const auto left = is_anything_left(kernel, policy);
  if (!left) return {.notes = {}, .fault = left.error().text()};
  if (!*left) return {};
  const auto observed = kernel.observe();
  if (!observed) return {.notes = {}, .fault = observed.error().text()};
  Leftovers found = find_leftovers(*observed, policy);
  if (found.release.empty()) return {};
  return {.notes = std::move(found.notes),
          .fault = first_error(ipvs::apply(kernel, found.release))};
}

}  // namespace

boost::asio::awaitable<void> release_leftovers(ipvs::Kernel& kernel, KernelThread& thread,
                                               const AddressPolicy& policy) {
  const AddressPolicy copy = policy;  // events may change it while the kernel thread reads it
  const Released released = co_await thread.run([&] { return release(kernel, copy); });
  for (const std::string& note : released.notes)
    log_warning("An earlier run left this in the way of connections: deleted", {{"what", note}});
  if (!released.fault.empty())
    log_warning("What an earlier run left is still in the way", {{kErr, released.fault}});
}

}  // namespace agent
