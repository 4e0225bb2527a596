// SPDX-License-Identifier: Apache-2.0
// The heavy headers of the tests, parsed once. Tests include what they use all the same.
#pragma once

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/container/flat_map.hpp>
#include <boost/system/result.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>
