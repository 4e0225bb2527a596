// SPDX-License-Identifier: Apache-2.0
#include "agent/report/service_series.hpp"

#include "agent/report/label_text.hpp"

namespace agent {

std::string ServiceSeries::next(Place& place) const {
  constexpr int kLines = 200;
  const std::string name = family_.name;
  std::string text;
  auto at = place.has_begun ? values_.upper_bound(place.after) : values_.begin();
  if (!place.has_begun && at != values_.end()) {
    text = "# HELP " + name + " " + family_.help + "\n# TYPE " + name + " " + family_.type + "\n";
  }
  place.has_begun = true;
  for (int lines = 0; lines < kLines && at != values_.end(); ++lines, ++at) {
    const auto& [key, value] = *at;
    text += name;
    if (key.cause.empty()) {
      append_label(text, "{name", key.service.name);
    } else {
      append_label(text, "{cause", key.cause);
      append_label(text, ",name", key.service.name);
    }
    append_label(text, ",namespace", key.service.ns);
    text += "} " + std::to_string(value) + "\n";
    place.after = key;
  }
  return text;
}

}  // namespace agent
