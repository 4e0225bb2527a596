// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/memory.hpp"

#include <algorithm>
#include <boost/system/error_code.hpp>
#include <charconv>
#include <utility>

namespace agent {
namespace {

constexpr std::string_view kPod = "pod ";
constexpr std::string_view kUnready = "unready ";
constexpr std::string_view kService = "service ";

std::string_view take_word(std::string_view& text, char end = ' ') {
  const std::string_view word = text.substr(0, text.find(end));
  text.remove_prefix(std::min(text.size(), word.size() + 1));
  return word;
}

template <typename Number>
bool read(std::string_view word, Number& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size();
}

// "TCP,10.96.0.1,80"
std::optional<ipvs::ServerKey> parse_server(std::string_view word) {
  const auto protocol = ipvs::protocol_named(take_word(word, ','));
  boost::system::error_code error;
  const ipvs::Address address = boost::asio::ip::make_address(take_word(word, ','), error);
  std::uint16_t port = 0;
  if (!protocol || error || !read(word, port)) return std::nullopt;
  return ipvs::ServerKey{address, port, *protocol};
}

std::optional<Memory::Deletion> parse_deletion(std::string_view text) {
  Memory::Deletion d;
  const bool valid = read(take_word(text), d.requested) && read(take_word(text), d.grace) &&
                     read(take_word(text), d.since) && read(take_word(text), d.ends);
  return valid ? std::optional(d) : std::nullopt;
}

std::optional<Memory::Linger> parse_linger(std::string_view text) {
  Memory::Linger linger;
  if (!read(take_word(text), linger.seconds)) return std::nullopt;
  const std::string_view since = take_word(text);
  if (since != "-" && !read(since, linger.since.emplace())) return std::nullopt;
  while (!text.empty()) {
    const auto server = parse_server(take_word(text));
    if (!server) return std::nullopt;
    linger.servers.push_back(*server);
  }
  return linger;
}

std::string named(std::string_view kind, std::string_view name) {
  return std::string(kind).append(name);
}

}  // namespace

void Memory::load(const ipvs::Notes& notes, MonotonicSeconds now) {
  loaded_at_ = now;
  for (const auto& [key, value] : notes) entries_[key] = {.value = value};
}

void Memory::put(std::string key, std::string value) {
  Entry& entry = entries_[key];
  entry.is_confirmed = true;
  if (entry.value == value) return;
  entry.value = value;
  changes_.push_back({.key = std::move(key), .value = std::move(value)});
}

void Memory::erase(const std::string& key) {
  if (entries_.erase(key) > 0) changes_.push_back({.key = key, .value = std::nullopt});
}

Memory::Entry* Memory::find(std::string_view kind, const k8s::ObjectKey& key) {
  if (entries_.empty()) return nullptr;  // nearly always
  const auto found = entries_.find(named(kind, key.text()));
  return found == entries_.end() ? nullptr : &found->second;
}

std::optional<Memory::Deletion> Memory::deletion_of(const k8s::ObjectKey& pod,
                                                    k8s::UnixSeconds requested) {
  Entry* entry = find(kPod, pod);
  if (!entry) return std::nullopt;
  const auto deletion = parse_deletion(entry->value);
  if (!deletion || deletion->requested != requested || deletion->since > loaded_at_) {
    return std::nullopt;
  }
  entry->is_confirmed = true;
  return deletion;
}

void Memory::drains(const k8s::ObjectKey& pod, const Deletion& d) {
  put(named(kPod, pod.text()), std::to_string(d.requested) + ' ' + std::to_string(d.grace) + ' ' +
                                   std::to_string(d.since) + ' ' + std::to_string(d.ends));
}

std::optional<MonotonicSeconds> Memory::unready_since(const k8s::ObjectKey& pod,
                                                      k8s::UnixSeconds changed) {
  Entry* entry = find(kUnready, pod);
  if (!entry) return std::nullopt;
  std::string_view text = entry->value;
  k8s::UnixSeconds noted = 0;
  MonotonicSeconds since = 0;
  const bool valid = read(take_word(text), noted) && read(take_word(text), since);
  if (!valid || noted != changed || since > loaded_at_) return std::nullopt;
  entry->is_confirmed = true;
  return since;
}

void Memory::drains_unready(const k8s::ObjectKey& pod, k8s::UnixSeconds changed,
                            MonotonicSeconds since) {
  put(named(kUnready, pod.text()), std::to_string(changed) + ' ' + std::to_string(since));
}

void Memory::forget_pod(const k8s::ObjectKey& pod) {
  if (entries_.empty()) return;
  erase(named(kPod, pod.text()));
  erase(named(kUnready, pod.text()));
}

void Memory::is_ready(const k8s::ObjectKey& pod) {
  if (!entries_.empty()) erase(named(kUnready, pod.text()));
}

std::map<std::string, Memory::Linger> Memory::lingering() const {
  std::map<std::string, Linger> all;
  for (auto entry = entries_.lower_bound(std::string(kService));
       entry != entries_.end() && entry->first.starts_with(kService); ++entry) {
    const auto linger = parse_linger(entry->second.value);
    if (!linger || linger->since.value_or(0) > loaded_at_) continue;
    all[entry->first.substr(kService.size())] = *linger;
  }
  return all;
}

void Memory::lingers(const std::string& service, const Linger& linger) {
  std::string value = std::to_string(linger.seconds) + ' ';
  value += linger.since ? std::to_string(*linger.since) : "-";
  for (const ipvs::ServerKey& key : linger.servers) {
    value.append(" ").append(ipvs::name_of(key.protocol)).append(",");
    value.append(key.address.to_string()).append(",").append(std::to_string(key.port));
  }
  put(named(kService, service), std::move(value));
}

void Memory::forget_service(const std::string& service) {
  if (!entries_.empty()) erase(named(kService, service));
}

void Memory::forget_other_pods() {
  std::vector<std::string> gone;
  for (const auto& [key, entry] : entries_) {
    if (!entry.is_confirmed && !key.starts_with(kService)) gone.push_back(key);
  }
  for (const std::string& key : gone) erase(key);
}

std::vector<ipvs::Note> Memory::take_changes() { return std::exchange(changes_, {}); }

}  // namespace agent
