#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <iostream>
#include <optional>

#include "app/ask.hpp"
#include "app/audit.hpp"
#include "app/command_line.hpp"
#include "app/import.hpp"
#include "app/material.hpp"
#include "app/run.hpp"
#include "app/top.hpp"
#include "app/where.hpp"
#include "io/resolver.hpp"
#include "tokenring/version.hpp"

namespace tokenring {

namespace {

int fail(std::string_view line) {
  fmt::print(stderr, "{}\n", line);
  return 1;
}

int check(const CommandLine& line, const Config& config) {
  MaterialPast none;
  const auto material = read_material(config, none);
  if (!material) return fail(material.error());
  if (config.audit.is_on())
    if (const auto problem = problem_with_audit_file(config.audit); !problem.empty())
      return fail(problem);
  for (const std::string& warning : warnings(config, material->users.get(), {std::time(nullptr)}))
    fmt::print(stderr, "warning: {}\n", warning);
  fmt::print("{}: ok\n{}\n", line.config_file.empty() ? "defaults" : line.config_file,
             summary(config));
  return 0;
}

// A node that is expanded is on the ring by what its name comes to.
Names names_of_expanded(const Config& config) {
  Names names;
  for (const PoolConfig& pool : config.pools) {
    for (const std::string& name : pool.expanded) {
      auto found = look_up(name);
      if (!found) {
        fmt::print(stderr, "tokenring: {} cannot be looked up: {}\n", name, found.error());
        continue;
      }
      std::sort(found->begin(), found->end());
      const std::string chosen = found->front();
      names[name] = {.all = *std::move(found), .chosen = chosen};
    }
  }
  return names;
}

int answer_where(const CommandLine& line, const Config& config) {
  const auto material = read_seal_material(config);
  if (!material) return fail(material.error());
  const auto snapshot = make_snapshot(config, names_of_expanded(config), *material);
  if (!snapshot) return fail(snapshot.error());
  return where(**snapshot, line.where, UnixTime{std::time(nullptr)}, std::cin, std::cout,
               std::cerr);
}

int print_import(const CommandLine& line) {
  const auto yaml = file_text(line.import_file);
  if (!yaml) return fail(yaml.error());
  const auto text = import_twemproxy(*yaml, line.import_file, line.import_pool);
  if (!text) return fail(text.error());
  fmt::print("{}", *text);
  return 0;
}

// What needs no configuration; nothing where the action is not of these.
std::optional<int> without_config(const CommandLine& line) {
  const UnixTime now{std::time(nullptr)};
  switch (line.action) {
    case CommandLine::Action::kHelp:
      fmt::print("{}", help_text(line.help_of));
      return 0;
    case CommandLine::Action::kVersion:
      fmt::print("tokenring {}\n", TOKENRING_VERSION);
      return 0;
    case CommandLine::Action::kKeygen:
      return keygen(line.keygen, system_entropy(), std::cout, std::cerr);
    case CommandLine::Action::kKeys:
      return list_keys(line.keys_file, std::cout, std::cerr);
    case CommandLine::Action::kPasswd:
      return make_password_line(line.passwd, system_entropy(), std::cin, std::cout, std::cerr);
    case CommandLine::Action::kSeal:
      return seal_value(line.seal, now, system_entropy(), std::cin, std::cout, std::cerr);
    case CommandLine::Action::kOpen:
      return open_value(line.seal, now, std::cin, std::cout, std::cerr);
    case CommandLine::Action::kTrain:
      return train(line.train, std::cin, std::cout, std::cerr);
    case CommandLine::Action::kImport:
      return print_import(line);
    case CommandLine::Action::kAsk:
      if (line.question == "revoke")
        return ask(line, "revoke " + line.revoked_key, std::cout, std::cerr);
      return ask(line, line.question, std::cout, std::cerr);
    case CommandLine::Action::kRun:
    case CommandLine::Action::kCheck:
    case CommandLine::Action::kWhere:
    case CommandLine::Action::kTop:
      break;
  }
  return std::nullopt;
}

int start(int argc, char** argv) {
  const auto line = parse_command_line({argv + std::min(argc, 1), argv + argc});
  if (!line) return fail(line.error());
  if (const std::optional<int> code = without_config(*line)) return *code;
  // What asks something of a process that serves comes too early for one that does not yet.
  if (line->action == CommandLine::Action::kRun)
    for (const int request : {SIGHUP, SIGUSR1}) std::signal(request, SIG_IGN);
  const auto config = effective_config(*line);
  if (!config) return fail(config.error());
  if (line->action == CommandLine::Action::kCheck) return check(*line, *config);
  if (line->action == CommandLine::Action::kWhere) return answer_where(*line, *config);
  if (line->action == CommandLine::Action::kTop)
    return top(line->top, *config, std::cout, std::cerr);
  return run(*line, *config);
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
