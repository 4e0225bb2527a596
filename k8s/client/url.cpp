// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/url.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace k8s {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_unreserved(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

bool is_host(std::string_view text, bool bracketed) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_' ||
           (bracketed && (c == ':' || c == '%'));
  });
}

bool is_path_char(char c) {
  return is_unreserved(c) || std::string_view("/%!$&'()*+,;=:@").find(c) != std::string_view::npos;
}

ServerUrlOrFault refuse(std::string reason) { return {.url = {}, .fault = std::move(reason)}; }

}  // namespace

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + 16);
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

ServerUrlOrFault parse_server_url(std::string_view text) {
  ServerUrl url;
  if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
    url.tls = false;
    url.port = 80;
  } else {
    return refuse("must start with https:// or http://");
  }
  const auto slash = std::min(text.find('/'), text.size());
  std::string_view authority = text.substr(0, slash);
  std::string_view path = text.substr(slash);
  if (authority.find('@') != std::string_view::npos) {
    return refuse("contains a user name or password, which is not supported");
  }
  const bool bracketed = authority.starts_with('[');
  const auto host_end = bracketed ? authority.find(']') : authority.find(':');
  if (bracketed && host_end == std::string_view::npos) return refuse("has a '[' without a ']'");
  url.host = bracketed ? authority.substr(1, host_end - 1) : authority.substr(0, host_end);
  if (!is_host(url.host, bracketed)) return refuse("has no valid host");
  authority.remove_prefix(std::min(authority.size(), bracketed ? host_end + 1 : url.host.size()));
  if (!authority.empty()) {
    if (authority.front() != ':') return refuse("has text other than a port after the host");
    authority.remove_prefix(1);
    const char* end = authority.data() + authority.size();
    const auto [stop, error] = std::from_chars(authority.data(), end, url.port);
    if (error != std::errc{} || stop != end || url.port == 0) {
      return refuse("'" + std::string(authority) + "' is not a port number (1-65535)");
    }
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!std::all_of(path.begin(), path.end(), is_path_char)) {
    return refuse("has characters after the host that are invalid in a path");
  }
  url.path = path;
  return {.url = std::move(url), .fault = {}};
}

}  // namespace k8s
