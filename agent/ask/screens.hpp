// SPDX-License-Identifier: Apache-2.0
//
// What the commands show of the agent's answers: from JSON to text for people. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace agent {

struct Look {
  bool colours = false;
  bool wide = false;  // -o wide: more columns
};

std::string status_screen(const boost::json::value& answer, const Look& look);
std::string services_screen(const boost::json::value& answer, const Look& look);
std::string endpoints_screen(const boost::json::value& answer, const Look& look);
std::string vips_screen(const boost::json::value& answer, const Look& look);
std::string conditions_screen(const boost::json::value& answer, const Look& look);
std::string history_screen(const boost::json::value& answer, const Look& look);
std::string table_screen(const boost::json::value& answer, const Look& look);

// Why an endpoint of the answer is in its state; "": nothing says it.
std::string why_text(const boost::json::value& endpoint);

// "45s", "12m", "3h12m", "5d"
std::string age_text(double seconds);
// Seconds from `from` to `to`, RFC 3339 both; -1: one of them is none.
double seconds_between(const std::string& from, const std::string& to);

// Block style YAML of the answer.
std::string yaml_text(const boost::json::value& answer);

}  // namespace agent
