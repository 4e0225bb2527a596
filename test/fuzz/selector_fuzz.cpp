// SPDX-License-Identifier: Apache-2.0
//
// Label selectors: if the text parses, its canonical text parses to the same selector; if not, the
// error has a position within the text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "k8s/decode/selector.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto selector = k8s::LabelSelector::parse(text);
  if (!selector) {
    require(selector.error().position <= size && !selector.error().reason.empty());
    return 0;
  }
  const auto again = k8s::LabelSelector::parse(selector->text());
  require(again.has_value() && *again == *selector);
  const k8s::Labels labels{{"a", "1"}, {"app", "web"}, {"x.io/y", ""}};
  require(selector->matches(labels) == again->matches(labels));
  return 0;
}
