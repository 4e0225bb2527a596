// SPDX-License-Identifier: Apache-2.0
//
// The log, for every part of the agent:
//
//   log_info("Has endpoints again", {{"service", object_name("default/web")}});
//   if (is_on(2)) log_verbose(2, "Pass done", {{"services", planned}});
//
// The message is always the same text and begins with a capital; what varies is in the fields. One
// line for one event.
//
// Lines go to standard error (agent/log/line.hpp says how they look), those that repeat as
// agent/log/repeats.hpp says.
//
// Threading: one thread, that of main() and of the io_context.
#pragma once

#include <functional>
#include <string>

#include "agent/log/levels.hpp"
#include "agent/log/record.hpp"
#include "config/config.hpp"

namespace agent {

void log_error(std::string message, Fields fields = {}, Place place = Place::here());
void log_warning(std::string message, Fields fields = {}, Place place = Place::here());
void log_info(std::string message, Fields fields = {}, Place place = Place::here());
// Information of level 1-10. If the fields cost something, is_on() is asked first.
void log_verbose(int level, std::string message, Fields fields = {}, Place place = Place::here());

void set_log_format(config::LogFormat format);

// Writes the counts of lines that repeated: of windows that are over; of all, before the end.
void write_due_repeats();
void write_all_repeats();

// What gets the records that are on, in place of standard error, for tests. Returns what got them
// before; empty: standard error.
using LogReceiver = std::function<void(const LogRecord&)>;
LogReceiver set_log_receiver(LogReceiver receiver);

}  // namespace agent
