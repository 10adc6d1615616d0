// `tokenring top`: what it reads, and the screen that comes of two readings.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "app/status_json.hpp"
#include "app/top_view.hpp"

using namespace tokenring;

namespace {

StatusReading reading(std::uint64_t requests) {
  StatusReading status;
  status.version = "1.2";
  status.state = "serving";
  status.started_s = 1000;
  status.now_s = 1060;
  status.workers = 1;
  status.nodes = {{.pool = "p", .name = "a:1", .place = "a:1", .state = "up", .share = 0.75},
                  {.pool = "p", .name = "b", .place = "b:1", .state = "down", .share = 0.25}};
  status.nodes[0].requests = requests;
  SpaceReading space;
  space.name = "s:";
  space.seal = "off";
  space.requests = space.hits = requests;
  space.latency[3] = requests;
  status.spaces = {space};
  status.all = space;
  status.events = {
      {.what = "node down", .text = "b:1 (worker 0)", .last_ms = 1'050'000, .count = 2}};
  return status;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("two readings make rates, and trouble comes first") {
  const StatusReading before = reading(100);
  const StatusReading now = reading(300);
  const auto lines =
      lines_of(top_screen({.now = now, .before = &before, .seconds = 2, .columns = 100}));
  REQUIRE(lines.size() == 12);
  CHECK(lines[0] == "tokenring 1.2: serving, up 60 s, 1 worker, 0 clients");
  CHECK(
      lines[1].starts_with("100 requests/s, 100.0% hits, p50 14us, p99 14us, 0 failed/s, 0 unop"));
  CHECK(words_of(lines[4]) == Words{"b", "(b:1)", "down", "25.0%", "0", "0", "-", "0"});
  CHECK(words_of(lines[5]) == Words{"a:1", "up", "75.0%", "100", "0", "0us", "0"});
  CHECK(words_of(lines[8]) == Words{"s:", "off", "100", "100.0%", "14us", "14us", "0"});
  CHECK(lines[10] == "RECENT TROUBLE");
  CHECK(lines[11] == "  10 s ago  node down: b:1 (worker 0) (2 times)");
}

TEST_CASE("one reading has no rates, and a count that fell has none") {
  const StatusReading now = reading(300);
  CHECK(lines_of(top_screen({.now = now}))[1].starts_with("- requests/s, - hits, p50 -"));
  CHECK(rate_of(3, 5, 1) == std::nullopt);
  CHECK(rate_of(5, std::nullopt, 1) == std::nullopt);
  CHECK(rate_of(5, 3, 4) == 0.5);
}

TEST_CASE("quantiles are upper ends of what was counted in between") {
  std::array<std::uint64_t, kLatencySteps> before{};
  std::array<std::uint64_t, kLatencySteps> now{};
  CHECK(quantile_ns(now, before, 0.5) == std::nullopt);
  before[1] = now[1] = 1000;
  now[5] += 98;
  now[20] += 2;
  CHECK(quantile_ns(now, before, 0.5) == latency_step_end_ns(5));
  CHECK(quantile_ns(now, before, 0.99) == latency_step_end_ns(20));
  now[kLatencySteps - 1] += 1000;
  CHECK(quantile_ns(now, before, 0.99) == 0);
}

TEST_CASE("a screen is never larger than the terminal") {
  StatusReading now = reading(300);
  for (int i = 0; i < 200; ++i)
    now.nodes.push_back({.pool = "q",
                         .name = fmt::format("\xC3\xA9-a-rather-long-name-of-a-node-{}:11211", i),
                         .place = "x",
                         .state = "up"});
  for (int i = 0; i < 100; ++i) now.spaces.push_back(now.spaces.front());
  for (std::size_t rows = 12; rows < 90; ++rows) {
    for (const std::size_t columns : {20U, 80U, 133U}) {
      CAPTURE(rows);
      const auto lines = lines_of(top_screen({.now = now, .columns = columns, .rows = rows}));
      CHECK(lines.size() <= rows);
      for (const std::string& line : lines) {
        const auto characters = std::count_if(line.begin(), line.end(), [](char c) {
          return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
        });
        CHECK(static_cast<std::size_t>(characters) <= columns);
      }
    }
  }
}

TEST_CASE("what is no status is an error, and a name moves no cursor") {
  for (const std::string_view bad : {"", "x", "{}", "[]", "{\"process\":1}", "null"})
    CHECK(!read_status(bad).has_value());
  const std::string text = R"({"process":{"version":"1","not_ready":"","state":"a\u001b[2Jb",
    "started_s":1,"now_s":2,"workers":1,"cpu_s":0.5,"counters":{"curr_connections":3,"cmd_get":1,
    "cmd_set":2,"cmd_delete":0,"cmd_arithmetic":0,"cmd_touch":0,"get_hits":1,"get_misses":0,
    "requests_failed":0}},"pools":[],"nodes":[],"namespaces":[],"latency":[70,1,2,3,4,5,6,7,8,9],
    "events":[]})";
  const auto status = read_status(text);
  REQUIRE(status.has_value());
  CHECK(status->state == "a?[2Jb");
  CHECK(status->all.requests == 3);
  CHECK(status->all.latency[77] == 8);
}
