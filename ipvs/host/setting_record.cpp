// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/setting_record.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace ipvs {
namespace {

constexpr std::string_view kMagic = "kube-ipvs-settings 1 ";

std::string heading(const std::string& kernel_and_namespace) {
  return std::string(kMagic) + kernel_and_namespace + "\n";
}

std::optional<ChangedSetting> parse_line(std::string_view line) {
  const auto first = line.find('|');
  const auto second = line.rfind('|');
  if (first == std::string_view::npos || first == 0 || first == second) return std::nullopt;
  return ChangedSetting{std::string(line.substr(0, first)),
                        std::string(line.substr(first + 1, second - first - 1)),
                        std::string(line.substr(second + 1))};
}

auto find(std::vector<ChangedSetting>& settings, const std::string& name) {
  return std::find_if(settings.begin(), settings.end(),
                      [&](const ChangedSetting& each) { return each.name == name; });
}

}  // namespace

std::string setting_text(const Timeouts& timeouts) {
  return std::to_string(timeouts.tcp) + " " + std::to_string(timeouts.tcp_fin) + " " +
         std::to_string(timeouts.udp);
}

std::optional<Timeouts> parse_timeouts(const std::string& text) {
  Timeouts timeouts;
  int length = 0;
  const int read = std::sscanf(text.c_str(), "%u %u %u%n", &timeouts.tcp, &timeouts.tcp_fin,
                               &timeouts.udp, &length);
  if (read != 3 || static_cast<std::size_t>(length) != text.size()) return std::nullopt;
  return timeouts;
}

SettingRecord::SettingRecord(const std::string& directory, std::string kernel_and_namespace)
    : kernel_and_namespace_(std::move(kernel_and_namespace)),
      file_(run_file_path(directory, "settings", kernel_and_namespace_)) {}

std::vector<ChangedSetting> SettingRecord::read() const {
  std::vector<ChangedSetting> settings;
  const auto file = file_.read();
  const std::string expected = heading(kernel_and_namespace_);
  if (!file || !file->starts_with(expected)) return settings;
  std::string_view text = *file;
  text.remove_prefix(expected.size());
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    auto setting = parse_line(text.substr(0, end));
    if (!setting) return {};
    settings.push_back(std::move(*setting));
    text.remove_prefix(end + 1);
  }
  return settings;
}

std::optional<ChangedSetting> SettingRecord::note(const std::string& name,
                                                  const std::string& before,
                                                  const std::string& set) {
  if (file_.path().empty()) return std::nullopt;
  std::vector<ChangedSetting> settings = read();
  const auto known = find(settings, name);
  std::optional<ChangedSetting> earlier;
  if (known == settings.end()) {
    settings.push_back({name, before, set});
  } else {
    earlier = *known;
    if (known->set == set) return earlier;
    known->set = set;
  }
  write(settings);
  return earlier;
}

void SettingRecord::forget(const std::string& name) {
  std::vector<ChangedSetting> settings = read();
  const auto known = find(settings, name);
  if (known == settings.end()) return;
  settings.erase(known);
  if (settings.empty()) return remove();
  write(settings);
}

void SettingRecord::remove() { (void)file_.remove(); }

void SettingRecord::write(const std::vector<ChangedSetting>& settings) {
  std::string text = heading(kernel_and_namespace_);
  for (const ChangedSetting& each : settings) {
    text += each.name + "|" + each.before + "|" + each.set + "\n";
  }
  const auto written = file_.replace(text);
  fault_ = written ? "" : written.error().text();
  file_.close();
}

}  // namespace ipvs
