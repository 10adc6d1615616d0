// The events that the admin page shows.
#include "io/recent.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace tokenring;

TEST_CASE("the newest come first, and one that comes again is counted") {
  RecentEvents events;
  events.add(LogLevel::kWarn, LogEvent::kNodeDown, "a", 1);
  events.add(LogLevel::kWarn, LogEvent::kSeal, "b", 2);
  events.add(LogLevel::kWarn, LogEvent::kNodeDown, "a", 3);
  const auto newest = events.newest(10);
  REQUIRE(newest.size() == 2);
  CHECK(newest[0].text == "a");
  CHECK(newest[0].count == 2);
  CHECK(newest[0].first_ms == 1);
  CHECK(newest[0].last_ms == 3);
  CHECK(newest[1].text == "b");
  CHECK(events.newest(1).size() == 1);
}

TEST_CASE("many of one kind do not push out another") {
  RecentEvents events;
  events.add(LogLevel::kWarn, LogEvent::kNodeDown, "down", 0);
  for (int i = 1; i < 1000; ++i) events.add(LogLevel::kWarn, LogEvent::kSeal, std::to_string(i), i);
  const auto newest = events.newest(1000);
  CHECK(newest.size() == RecentEvents::kOfKindMax + 1);
  CHECK(newest.front().text == "999");
  CHECK(newest.back().text == "down");
}

TEST_CASE("anomalies of the audit log push out nothing that the log itself said of it") {
  RecentEvents events;
  events.add(LogLevel::kWarn, LogEvent::kAudit, "enumeration suspected", 0);
  for (int i = 1; i < 1000; ++i) events.add_anomaly(std::to_string(i), i);
  const auto newest = events.newest(1000);
  CHECK(newest.size() == RecentEvents::kOfKindMax + 1);
  CHECK(newest.front().text == "999");
  CHECK(newest.front().event == LogEvent::kAudit);
  CHECK(newest.back().text == "enumeration suspected");
}

TEST_CASE("warnings are kept whatever the log's level is, and nothing else but nodes' returns") {
  set_log_level(LogLevel::kError);
  log_event(LogLevel::kWarn, LogEvent::kTakeover, "kept, {}", "line\nbreaks too");
  log_event(LogLevel::kInfo, LogEvent::kNodeUp, "back");
  log_event(LogLevel::kInfo, LogEvent::kReload, "not kept");
  set_log_level(LogLevel::kInfo);
  std::string texts;
  for (const RecentEvent& event : recent_events(1000)) texts += event.text + ";";
  CHECK(texts.find("kept, line?breaks too;") != std::string::npos);
  CHECK(texts.find("back;") != std::string::npos);
  CHECK(texts.find("not kept") == std::string::npos);
}
