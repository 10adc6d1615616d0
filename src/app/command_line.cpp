#include "app/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/address.hpp"
#include "app/spelling.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kHelp = R"(tokenring - a caching proxy for the memcached protocol

usage:
  tokenring [-c FILE] [--listen ADDR ...] [--nodes A,B,...] [--workers N] [--check]
  tokenring where [-c FILE] [--nodes A,B,...] [--exptime N] KEY...
  tokenring reload|drain|stop|status [-c FILE] [--listen ADDR ...]
  tokenring import [--pool NAME] FILE

Without a file and without nodes it serves every key from a store of its own.

options:
  -c, --config FILE   read the configuration from FILE (default: none, all defaults);
                      conf/tokenring.toml describes every setting
  --listen ADDR ...   listen there instead of where the file says (default: 127.0.0.1:11211);
                      HOST:PORT, [V6]:PORT or unix:/PATH
  --nodes A,B,...     the nodes of the only pool, instead of the file's (default: embedded);
                      HOST:PORT, [V6]:PORT, unix:/PATH or embedded
  --workers N         threads, 0 to 256 (default: 0, as many as CPUs)
  --takeover          take the listening sockets of the process that serves at present, which
                      then drains; no client is refused meanwhile. Without one, just start
  --check             check the configuration, say what it comes to, and exit
  --version           print the version and exit
  -h, --help          print this and exit

where: says which node has a key, asking none of them. One line for each key, separated by tabs:
  key, prefix of its namespace or -, pool, node, key as the node sees it, seconds to live or never
  --exptime N         the exptime that a client would send (default: 0)
  KEY                 bytes outside 33..126 as \xHH; - reads keys from standard input, one per line

reload, drain, stop, status: ask the process that runs with this file and these addresses
  reload              read the file again; one with an error changes nothing. So does SIGHUP
  drain               accept no more, and end when the clients have left or drain_timeout is over.
                      So do SIGTERM and SIGINT; a second one is stop
  stop                end at once
  status              say how it is

import: prints what a twemproxy (nutcracker) file comes to, and in comments what does not carry over
  --pool NAME         the pool to take, where there are several: each is a file, as each listens
  FILE                nutcracker.yml

examples:
  tokenring --nodes 10.0.0.1:11211,10.0.0.2:11211
      put this host's port 11211 in front of two nodes
  tokenring -c /etc/tokenring.toml --check
      check a configuration before it is used
  tokenring where -c /etc/tokenring.toml --exptime 3600 auth_token:42
      ask which node has a key and how long it may live there
)";

// An option that takes one value each time it is given.
template <typename T>
CLI::Option* add_once(CLI::App& app, const char* name, T& into) {
  return app.add_option(name, into)->take_last();
}

struct Parser {
  CommandLine line;
  bool check = false;
  bool version = false;
  std::uint32_t workers = 0;
  CLI::App app;
  CLI::App* where = nullptr;
  CLI::App* import = nullptr;
  std::vector<CLI::App*> questions;
  CLI::Option* workers_given = nullptr;

  Parser() {
    app.set_help_flag("-h,--help");
    add_once(app, "-c,--config", line.config_file);
    app.add_option("--listen", line.listen)->allow_extra_args();
    add_nodes(app);
    workers_given = add_once(app, "--workers", workers)->check(CLI::Range(0U, Config::kWorkersMax));
    app.add_flag("--check", check);
    app.add_flag("--takeover", line.takeover);
    app.add_flag("--version", version);
    app.require_subcommand(0, 1);

    where = app.add_subcommand("where");
    where->set_help_flag("-h,--help");
    add_once(*where, "-c,--config", line.config_file);
    add_nodes(*where);
    add_once(*where, "--exptime", line.where.exptime);
    where->add_option("KEY", line.where.keys)->required();
    import = app.add_subcommand("import");
    import->set_help_flag("-h,--help");
    add_once(*import, "--pool", line.import_pool);
    import->add_option("FILE", line.import_file)->required();
    for (const char* name : {"reload", "drain", "stop", "status"}) add_question(name);
  }

  void add_question(const char* name) {
    CLI::App* question = app.add_subcommand(name);
    question->set_help_flag("-h,--help");
    add_once(*question, "-c,--config", line.config_file);
    question->add_option("--listen", line.listen)->allow_extra_args();
    question->callback([this, name] { line.question = name; });
    questions.push_back(question);
  }

  [[nodiscard]] bool names_file() const {
    std::size_t count = app.count("--config") + where->count("--config");
    for (const CLI::App* question : questions) count += question->count("--config");
    return count > 0;
  }

  // One word each time, or it would take the keys that follow it.
  void add_nodes(CLI::App& to) {
    to.add_option("--nodes", line.nodes)->delimiter(',')->allow_extra_args(false);
  }
};

std::string bad_line(std::string_view message) {
  std::string text;
  for (const char c : message) text += c >= ' ' && c <= '~' ? c : '?';
  return fmt::format("tokenring: {}; see tokenring --help", text);
}

// Listen and node addresses of the command line; empty when they are sound.
std::string bad_address(const CommandLine& line) {
  for (const std::string& text : line.listen)
    if (const auto address = parse_listen_address(text); !address)
      return fmt::format("tokenring: --listen: {}", address.error());
  for (const std::string& text : line.nodes)
    if (const auto address = parse_node_address(text); !address)
      return fmt::format("tokenring: --nodes: {}", address.error());
  return {};
}

}  // namespace

Result<CommandLine, std::string> parse_command_line(std::vector<std::string> arguments) {
  try {
    Parser parser;
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back.
    try {
      parser.app.parse(std::move(arguments));
    } catch (const CLI::CallForHelp&) {
      parser.line.action = CommandLine::Action::kHelp;
      return std::move(parser.line);
    } catch (const CLI::ParseError& error) {
      return unexpected(bad_line(error.what()));
    }
    if (parser.line.config_file.empty() && parser.names_file())
      return unexpected(bad_line("--config: an empty file name"));
    if (parser.version)
      parser.line.action = CommandLine::Action::kVersion;
    else if (parser.where->parsed())
      parser.line.action = CommandLine::Action::kWhere;
    else if (parser.import->parsed())
      parser.line.action = CommandLine::Action::kImport;
    else if (!parser.line.question.empty())
      parser.line.action = CommandLine::Action::kAsk;
    else if (parser.check)
      parser.line.action = CommandLine::Action::kCheck;
    if (parser.workers_given->count() > 0) parser.line.workers = parser.workers;
    return std::move(parser.line);
  } catch (const std::exception& error) {
    return unexpected(bad_line(error.what()));
  }
}

Result<Config, std::string> effective_config(const CommandLine& line) {
  if (std::string error = bad_address(line); !error.empty()) return unexpected(error);
  Result<Config, std::string> config =
      line.config_file.empty() ? default_config() : read_config(line.config_file);
  if (!config) return config;
  if (!line.listen.empty()) config->listen = line.listen;
  if (line.workers) config->workers = *line.workers;
  if (line.nodes.empty()) return config;

  if (config->pools.size() > 1) {
    return unexpected(
        fmt::format("tokenring: --nodes: {} has {} pools; give the nodes of each there",
                    line.config_file, config->pools.size()));
  }
  PoolConfig& pool = config->pools.front();
  pool.nodes.clear();
  for (const std::string& address : line.nodes)
    pool.nodes.push_back({.address = address, .name = {}});
  if (const auto ring = Ring::make(pool.nodes, pool.ring); !ring)
    return unexpected(fmt::format("tokenring: --nodes: {}", ring.error()));
  return config;
}

std::string summary(const Config& config) {
  const auto count = [](std::size_t n, std::string_view what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  std::size_t nodes = 0;
  for (const PoolConfig& pool : config.pools) nodes += pool.nodes.size();
  return fmt::format("listen {}; {}; {} with {}; {}", fmt::join(config.listen, ", "),
                     count(worker_count(config), "worker"), count(config.pools.size(), "pool"),
                     count(nodes, "node"), count(config.namespaces.size(), "namespace"));
}

std::string_view help_text() noexcept {
  return kHelp;
}

std::vector<std::string> option_names() {
  const Parser parser;
  std::vector<std::string> names;
  std::vector<const CLI::App*> apps{&parser.app, parser.where, parser.import};
  apps.insert(apps.end(), parser.questions.begin(), parser.questions.end());
  for (const CLI::App* app : apps)
    for (const CLI::Option* option : app->get_options()) names.push_back(option->get_name());
  return names;
}

}  // namespace tokenring
