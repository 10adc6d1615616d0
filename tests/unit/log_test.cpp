// The log's lines, as whoever reads standard error sees them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "io/log.hpp"

using namespace tokenring;

namespace {

// Takes the place of standard error while it lives.
class Captured {
 public:
  Captured() {
    REQUIRE(::pipe2(pipe_, O_CLOEXEC) == 0);
    ::fcntl(pipe_[0], F_SETFL, O_NONBLOCK);
    saved_ = ::dup(STDERR_FILENO);
    ::dup2(pipe_[1], STDERR_FILENO);
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  ~Captured() {
    ::dup2(saved_, STDERR_FILENO);
    for (const int fd : {saved_, pipe_[0], pipe_[1]}) ::close(fd);
  }

  // What came since the last call.
  std::vector<std::string> lines() {
    std::string text;
    char piece[4096];
    for (ssize_t n = 0; (n = ::read(pipe_[0], piece, sizeof piece)) > 0;)
      text.append(piece, static_cast<std::size_t>(n));
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  // Writes until nothing more fits.
  void fill() {
    ::fcntl(pipe_[1], F_SETFL, O_NONBLOCK);
    const std::string bytes(1000, 'x');
    while (::write(pipe_[1], bytes.data(), bytes.size()) > 0) continue;
    while (::write(pipe_[1], "x", 1) > 0) continue;
    ::fcntl(pipe_[1], F_SETFL, 0);  // Whoever writes now waits.
  }

 private:
  int pipe_[2];
  int saved_ = -1;
};

}  // namespace

TEST_CASE("a line has time, level and event, and nothing that does not print") {
  Captured captured;
  log_event(LogLevel::kWarn, LogEvent::kNodeDown, "pool {}, node {}: {}", "p", "a:1",
            "no\r\nroute");
  const auto lines = captured.lines();
  REQUIRE(lines.size() == 1);
  CAPTURE(lines[0]);
  CHECK(std::regex_match(
      lines[0], std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warn node down: pool p, )"
                           R"(node a:1: no\?\?route)")));
}

TEST_CASE("lines below the level are left out, and the level can change") {
  Captured captured;
  log_event(LogLevel::kDebug, LogEvent::kReload, "one");
  set_log_level(LogLevel::kDebug);
  log_event(LogLevel::kDebug, LogEvent::kReload, "two");
  set_log_level(LogLevel::kError);
  log_event(LogLevel::kWarn, LogEvent::kReload, "three");
  log_event(LogLevel::kError, LogEvent::kReload, "four");
  set_log_level(LogLevel::kInfo);
  const auto lines = captured.lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].ends_with(" debug reload: two"));
  CHECK(lines[1].ends_with(" error reload: four"));
}

TEST_CASE("a long line is cut") {
  Captured captured;
  log_event(LogLevel::kInfo, LogEvent::kTakeover, "{}", std::string(5000, 'y'));
  const auto lines = captured.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with(std::string(kLogBytesMax, 'y')));
  CHECK(lines[0].size() < kLogBytesMax + 60);
}

TEST_CASE("a storm of one event is thinned out and counted, and leaves others alone") {
  constexpr std::size_t kEvents = 500;
  Captured captured;
  for (std::size_t i = 0; i < kEvents; ++i)
    log_event(LogLevel::kWarn, LogEvent::kAccept, "refused {}", i);
  log_event(LogLevel::kWarn, LogEvent::kNames, "another");

  std::size_t written = 0;
  std::size_t dropped = 0;
  bool other = false;
  // What is dropped in a second is told when it is over.
  for (int wait = 0; wait < 300 && written + dropped < kEvents; ++wait) {
    tell_dropped_lines();
    for (const std::string& line : captured.lines()) {
      std::smatch match;
      if (std::regex_search(line, match, std::regex("accept: (\\d+) more lines were dropped")))
        dropped += std::stoul(match[1]);
      else if (line.find(" warn accept: refused ") != std::string::npos)
        ++written;
      other |= line.ends_with(" warn names: another");
    }
    ::usleep(10'000);
  }
  CHECK(other);
  CHECK(written + dropped == kEvents);
  CHECK(written >= kLogLinesPerSecondMax);
  CHECK(dropped > 0);
}

TEST_CASE("a reader that does not read holds nobody up") {
  Captured captured;
  captured.fill();
  log_event(LogLevel::kError, LogEvent::kControl, "lost");
  for (const std::string& line : captured.lines()) CHECK(line.find("lost") == std::string::npos);
  log_event(LogLevel::kError, LogEvent::kControl, "found");
  CHECK(captured.lines().size() == 1);
}
