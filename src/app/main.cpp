#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <exception>
#include <iostream>

#include "app/command_line.hpp"
#include "app/run.hpp"
#include "app/where.hpp"
#include "tokenring/version.hpp"

namespace tokenring {

namespace {

int fail(std::string_view line) {
  fmt::print(stderr, "{}\n", line);
  return 1;
}

int check(const CommandLine& line, const Config& config) {
  if (const auto snapshot = make_snapshot(config); !snapshot) return fail(snapshot.error());
  fmt::print("{}: ok\n{}\n", line.config_file.empty() ? "defaults" : line.config_file,
             summary(config));
  return 0;
}

int answer_where(const CommandLine& line, const Config& config) {
  const auto snapshot = make_snapshot(config);
  if (!snapshot) return fail(snapshot.error());
  return where(**snapshot, line.where, UnixTime{std::time(nullptr)}, std::cin, std::cout,
               std::cerr);
}

int start(int argc, char** argv) {
  const auto line = parse_command_line({argv + std::min(argc, 1), argv + argc});
  if (!line) return fail(line.error());
  if (line->action == CommandLine::Action::kHelp) {
    fmt::print("{}", help_text());
    return 0;
  }
  if (line->action == CommandLine::Action::kVersion) {
    fmt::print("tokenring {}\n", TOKENRING_VERSION);
    return 0;
  }
  const auto config = effective_config(*line);
  if (!config) return fail(config.error());
  switch (line->action) {
    case CommandLine::Action::kCheck:
      return check(*line, *config);
    case CommandLine::Action::kWhere:
      return answer_where(*line, *config);
    case CommandLine::Action::kRun:
      return run(*config);
    case CommandLine::Action::kHelp:
    case CommandLine::Action::kVersion:
      break;
  }
  return 1;
}

}  // namespace

}  // namespace tokenring

int main(int argc, char** argv) {
  try {
    return tokenring::start(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenring: %s\n", error.what());
    return 1;
  }
}
