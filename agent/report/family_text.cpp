// SPDX-License-Identifier: Apache-2.0
#include "agent/report/family_text.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>

namespace agent {
namespace {

constexpr std::size_t kBytes = std::size_t{8} * 1024;
constexpr std::size_t kMetrics = 50;

}  // namespace

std::string FamilyText::next() {
  std::string piece;
  while (piece.size() < kBytes && family_ < families_.size()) add_part(piece);
  return piece;
}

void FamilyText::add_part(std::string& piece) {
  prometheus::MetricFamily& whole = families_[family_];
  const std::size_t end = std::min(metric_ + kMetrics, whole.metric.size());
  const auto first = std::make_move_iterator(whole.metric.begin());
  std::vector<prometheus::MetricFamily> part(1);
  part[0].name = whole.name;
  part[0].help = whole.help;
  part[0].type = whole.type;
  part[0].metric.assign(first + static_cast<std::ptrdiff_t>(metric_),
                        first + static_cast<std::ptrdiff_t>(end));
  const std::string text = prometheus::TextSerializer().Serialize(part);
  // It begins with two lines, the help and the type, which come once.
  std::size_t begin = 0;
  if (metric_ > 0) begin = text.find('\n', text.find('\n') + 1) + 1;
  piece.append(text, begin);
  metric_ = end;
  if (metric_ < whole.metric.size()) return;
  whole.metric = {};
  metric_ = 0;
  ++family_;
}

}  // namespace agent
