// The command line: what it says, and what it makes of the configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"
#include "app/passwd_command.hpp"
#include "app/seal_command.hpp"
#include "app/top.hpp"
#include "app/where.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

struct CommandLine {
  enum class Action : std::uint8_t {
    kRun,
    kCheck,
    kWhere,
    kKeygen,
    kKeys,
    kPasswd,
    kSeal,
    kOpen,
    kTrain,
    kAsk,
    kImport,
    kTop,
    kHelp,
    kVersion,
  };

  Action action = Action::kRun;
  std::string help_of;              // Of kHelp: a command; empty: all.
  std::string config_file;          // Empty: the defaults.
  std::vector<std::string> listen;  // Each of these three overrides the file unless empty.
  std::vector<std::string> nodes;
  std::optional<std::uint32_t> workers;
  bool takeover = false;  // From the process that serves at present.
  std::string question;   // Of kAsk: reload, drain, stop, status or revoke.
  std::string revoked_key;
  WhereOptions where;
  TopOptions top;
  std::string import_file;
  std::string import_pool;  // Empty: the only one.
  KeygenOptions keygen;
  std::string keys_file;  // Of kKeys.
  PasswdOptions passwd;
  SealCommand seal;  // For opening too.
  TrainOptions train;
};

// `arguments` without the program's name. The error is one line.
[[nodiscard]] Result<CommandLine, std::string> parse_command_line(
    std::vector<std::string> arguments);

// The file with the command line's changes.
[[nodiscard]] Result<Config, std::string> effective_config(const CommandLine& line);

// One line for --check: what the configuration comes to.
[[nodiscard]] std::string summary(const Config& config);

// All of it, or what is about one command: its usage, its own part and the options that it takes.
[[nodiscard]] std::string help_text(std::string_view command = {});
// The long names of every option, as the parser has them: for the test of help_text().
[[nodiscard]] std::vector<std::string> option_names();

}  // namespace tokenring
