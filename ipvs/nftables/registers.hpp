// SPDX-License-Identifier: Apache-2.0
//
// The registers of nf_tables: 64 bytes, which NFT_REG_1 to _4 name in parts of 16 and NFT_REG32_00
// to _15 in words of 4.
#pragma once

#include <linux/netfilter/nf_tables.h>

#include <cstddef>
#include <cstdint>

namespace ipvs {

inline constexpr std::size_t kRegisterWords = 16;

// The index of a register's first word.
constexpr std::size_t word_of(std::uint32_t number) {
  return number >= NFT_REG32_00 ? number - NFT_REG32_00 : (number - NFT_REG_1) * 4;
}

}  // namespace ipvs
