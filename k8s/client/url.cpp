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

std::string percent_decode(std::string_view text) {
  const auto digit = [](char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool triple = text[at] == '%' && at + 2 < text.size() && digit(text[at + 1]) >= 0 &&
                        digit(text[at + 2]) >= 0;
    if (triple) {
      out += static_cast<char>(digit(text[at + 1]) * 16 + digit(text[at + 2]));
      at += 2;
    } else {
      out += text[at];
    }
  }
  return out;
}

std::string host_and_port(const std::string& host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string take_scheme(std::string_view& text) {
  const auto end = text.find("://");
  if (end == std::string_view::npos) return {};
  std::string scheme(text.substr(0, end));
  for (char& c : scheme) {
    if (!is_letter(c) && !is_digit(c)) return {};
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  text.remove_prefix(end + 3);
  return scheme;
}

AuthorityOrFault parse_authority(std::string_view text) {
  const auto refuse_authority = [](std::string why) {
    return AuthorityOrFault{.authority = {}, .fault = std::move(why)};
  };
  Authority result;
  if (const auto at = text.rfind('@'); at != std::string_view::npos) {
    result.user_info = text.substr(0, at);
    text.remove_prefix(at + 1);
  }
  const bool bracketed = text.starts_with('[');
  const auto host_end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && host_end == std::string_view::npos) {
    return refuse_authority("has a '[' without a ']'");
  }
  result.host = bracketed ? text.substr(1, host_end - 1) : text.substr(0, host_end);
  if (!is_host(result.host, bracketed)) return refuse_authority("has no valid host");
  text.remove_prefix(std::min(text.size(), bracketed ? host_end + 1 : result.host.size()));
  if (text.empty()) return {.authority = std::move(result), .fault = {}};
  if (text.front() != ':') return refuse_authority("has text other than a port after the host");
  text.remove_prefix(1);
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, result.port);
  if (error != std::errc{} || stop != end || result.port == 0) {
    return refuse_authority("'" + std::string(text) + "' is not a port number (1-65535)");
  }
  return {.authority = std::move(result), .fault = {}};
}

ServerUrlOrFault parse_server_url(std::string_view text, bool tls_by_default) {
  const bool has_scheme = text.find("://") != std::string_view::npos;
  const std::string scheme = take_scheme(text);
  if (has_scheme && scheme != "https" && scheme != "http") {
    return refuse("must start with https:// or http://");
  }
  ServerUrl url;
  url.tls = has_scheme ? scheme == "https" : tls_by_default;
  const auto slash = std::min(text.find('/'), text.size());
  std::string_view path = text.substr(slash);
  AuthorityOrFault parsed = parse_authority(text.substr(0, slash));
  if (parsed.authority.user_info) {
    return refuse("contains a user name or password, which is not supported");
  }
  if (!parsed.fault.empty()) return refuse(std::move(parsed.fault));
  url.host = std::move(parsed.authority.host);
  url.port = parsed.authority.port != 0 ? parsed.authority.port : url.tls ? 443 : 80;
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!has_scheme && !path.empty()) {
    return refuse("must start with https:// or http:// where it has a path");
  }
  if (!std::all_of(path.begin(), path.end(), is_path_char)) {
    return refuse("has characters after the host that are invalid in a path");
  }
  url.path = path;
  return {.url = std::move(url), .fault = {}};
}

}  // namespace k8s
