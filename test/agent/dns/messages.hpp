// SPDX-License-Identifier: Apache-2.0
//
// Queries and answers of DNS for tests, made and read byte by byte, apart from what is tested.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace agent::dns::test {

inline void put(std::string& out, unsigned number) {
  out += static_cast<char>(number >> 8);
  out += static_cast<char>(number & 0xFF);
}

struct Asked {
  std::string name = "web.default.svc.cluster.local";
  unsigned type = 1;
  unsigned record_class = 1;
  unsigned id = 0x1234;
  unsigned flags = 0x0100;  // RD
  std::optional<unsigned> udp_size = {};
  unsigned edns_version = 0;
  bool dnssec_ok = false;
  int opts = 1;
};

inline std::string wire_name(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    out += static_cast<char>(label.size());
    out += label;
    text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
  }
  return out += '\0';
}

inline std::string query(const Asked& asked) {
  std::string out;
  put(out, asked.id);
  put(out, asked.flags);
  put(out, 1);
  put(out, 0);
  put(out, 0);
  put(out, asked.udp_size ? static_cast<unsigned>(asked.opts) : 0);
  out += wire_name(asked.name);
  put(out, asked.type);
  put(out, asked.record_class);
  for (int i = 0; asked.udp_size && i < asked.opts; ++i) {
    out += '\0';
    put(out, 41);
    put(out, *asked.udp_size);
    put(out, asked.edns_version);
    put(out, asked.dnssec_ok ? 0x8000 : 0);
    put(out, 0);
  }
  return out;
}

inline std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Reads an answer; throws where it is not well formed.
struct Answer {
  unsigned id = 0, flags = 0;
  std::string question;              // as text, case kept
  std::vector<std::string> answers;  // "web.default. A 10.0.0.1"
  std::vector<std::string> authorities, additional;
  std::optional<unsigned> opt_size{};
  unsigned opt_ttl = 0;

  unsigned rcode() const { return (flags & 0xF) | ((opt_ttl >> 24) << 4); }
  bool authoritative() const { return (flags & 0x0400) != 0; }
  bool truncated() const { return (flags & 0x0200) != 0; }
  bool recursion_available() const { return (flags & 0x0080) != 0; }
};

class AnswerReader {
 public:
  explicit AnswerReader(std::string_view bytes) : bytes_(bytes) {}

  Answer read() {
    Answer answer;
    answer.id = number();
    answer.flags = number();
    const unsigned questions = number();
    const unsigned answers = number();
    const unsigned authorities = number();
    const unsigned additional = number();
    for (unsigned i = 0; i < questions; ++i) {
      answer.question = name();
      (void)number();
      (void)number();
    }
    for (unsigned i = 0; i < answers; ++i) answer.answers.push_back(record(answer));
    for (unsigned i = 0; i < authorities; ++i) answer.authorities.push_back(record(answer));
    for (unsigned i = 0; i < additional; ++i) {
      const std::string text = record(answer);
      if (!text.empty()) answer.additional.push_back(text);
    }
    if (at_ != bytes_.size()) throw std::runtime_error("bytes after the last record");
    return answer;
  }

 private:
  unsigned byte() {
    if (at_ >= bytes_.size()) throw std::runtime_error("too short");
    return static_cast<std::uint8_t>(bytes_[at_++]);
  }
  unsigned number() {
    const unsigned high = byte();
    return (high << 8) | byte();
  }
  std::string name() {
    std::string text;
    std::size_t back = 0;
    for (int labels = 0; labels < 128; ++labels) {
      const unsigned length = byte();
      if (length == 0) {
        if (back != 0) at_ = back;
        return text.empty() ? "." : text;
      }
      if (length >= 0xC0) {
        const std::size_t to = ((length & 0x3F) << 8) | byte();
        if (back == 0) back = at_;
        if (to >= at_) throw std::runtime_error("a pointer forward");
        at_ = to;
        continue;
      }
      for (unsigned i = 0; i < length; ++i) text += static_cast<char>(byte());
      text += '.';
    }
    throw std::runtime_error("a name without end");
  }
  std::string record(Answer& answer) {
    const std::string owner = name();
    const unsigned type = number();
    const unsigned record_class = number();
    const unsigned ttl = (number() << 16) | number();
    const unsigned length = number();
    const std::size_t end = at_ + length;
    if (type == 41) {
      answer.opt_size = record_class;
      answer.opt_ttl = ttl;
      at_ = end;
      return {};
    }
    std::string text = owner + " " + std::to_string(ttl) + " " + data(type, end);
    if (at_ != end) throw std::runtime_error("a record of another length");
    return text;
  }
  std::string data(unsigned type, std::size_t end) {
    switch (type) {
      case 1: {
        std::string text = "A";
        for (int i = 0; i < 4; ++i) text += (i == 0 ? " " : ".") + std::to_string(byte());
        return text;
      }
      case 2:
        return "NS " + name();
      case 5:
        return "CNAME " + name();
      case 6: {
        std::string text = "SOA " + name();
        text += " " + name();
        at_ = end;
        return text;
      }
      case 12:
        return "PTR " + name();
      case 33: {
        std::string text = "SRV";
        for (int i = 0; i < 3; ++i) text += " " + std::to_string(number());
        return text + " " + name();
      }
      default: {
        std::string text = "TYPE" + std::to_string(type);
        while (at_ < end) text += " " + std::to_string(byte());
        return text;
      }
    }
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

inline Answer read_answer(std::string_view bytes) { return AnswerReader(bytes).read(); }

}  // namespace agent::dns::test
