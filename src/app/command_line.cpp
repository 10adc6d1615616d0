#include "app/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/address.hpp"
#include "app/spelling.hpp"
#include "seal/compress.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kHelp = R"(tokenring - a caching proxy for the memcached protocol

usage:
  tokenring [-c FILE] [--listen ADDR ...] [--nodes A,B,...] [--workers N] [--check]
  tokenring where [-c FILE] [--nodes A,B,...] [--exptime N] [--reference] KEY...
  tokenring reload|drain|stop|status [-c FILE] [--listen ADDR ...]
  tokenring revoke [-c FILE] [--listen ADDR ...] KEY
  tokenring top [-c FILE] [--admin ADDR] [--token-file FILE] [--ca FILE] [--once] [--interval S]
  tokenring import [--pool NAME] FILE
  tokenring keygen [--master]
  tokenring keys FILE
  tokenring passwd [--iterations N] USER <PASSWORD
  tokenring seal --keys FILE --namespace NS --key KEY [--flags N] [--exp T] [--generation N]
      [--dictionary FILE] <VALUE >SEALED
  tokenring open --keys FILE --namespace NS --key KEY [--flags N] [--dictionary FILE ...] <SEALED
  tokenring train-dictionary [--bytes N] SAMPLE... >DICTIONARY
  tokenring COMMAND --help

Without a file and without nodes it serves every key from a store of its own.

options:
  -c, --config FILE   read the configuration from FILE (default: none, all defaults); every setting
                      is described in tokenring.toml(5), which is conf/tokenring.toml in the source
                      and /etc/tokenring/tokenring.toml of the Debian package
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
  --reference         one more column: what stands for the key in the log, or - without keys
  KEY                 bytes outside 33..126 as \xHH; - reads keys from standard input, one per line

reload, drain, stop, status: ask the process that listens where this file, or --listen, says;
  the first address finds it
  reload              read its file again; one with an error changes nothing. So does SIGHUP
  drain               accept no more, and end when the clients have left or drain_timeout is over.
                      So do SIGTERM and SIGINT; a second one is stop
  stop                end at once
  status              say how it is; for metrics and probes over HTTP see [admin] in the file

revoke: makes all values of a group worthless at once, as a delete of its key does
  KEY                 the group's own key, such as auth_token:{user42}, of a namespace with
                      revocable; exit code 1 if its node did not acknowledge it

top: shows nodes, namespaces and recent trouble of a process in the terminal; q ends it
  --admin ADDR        its admin port: an address, or a port of 127.0.0.1 (default: the file's
                      admin.listen)
  --token-file FILE   the token that the port asks for (default: the file's admin.token_file)
  --ca FILE           the port speaks TLS, and these may have signed its certificate, which is for
                      its host (default: by the file's admin.tls, the very certificate of that)
  --once              print it once and end; so without a terminal
  --interval S        seconds between two readings, of which rates are told, 0.1 to 60 (default: 2)

import: prints what a twemproxy (nutcracker) file comes to, and in comments what does not carry over
  --pool NAME         the pool to take, where there are several: each is a file, as each listens
  FILE                nutcracker.yml

keygen: prints a key file, to be kept with mode 0600 (umask 077)
  --master            only a line with another master key, to add to a file

keys: prints the id and role of each master key of a file, as stats keys does

passwd: prints a line for the file of users, with a salted hash of the password in standard
  input's first line; at a terminal it asks, and shows nothing of what is typed
  --iterations N      how much work it is to try a password, 1000 to 10000000 (default: 600000)
  USER                the name that clients give

seal, open: from standard input to standard output; open says why it cannot
  --keys FILE         the key file
  --namespace NS      the prefix of the key's namespace, as where prints it
  --key KEY           the whole key as the client sends it; in both bytes outside 33..126 are \xHH
  --flags N           the client's flags (default: 0)
  --dictionary FILE   compress with it; for open, one it may have been compressed with

seal: besides, what open finds in the value itself
  --exp T             the date in Unix seconds after which it does not open (default: 0, none)
  --generation N      its group's generation (default: none)

train-dictionary: makes a dictionary, which holds parts of the samples: take none that are valid
  --bytes N           its size at most (default: 16384)
  SAMPLE              a file with one value; - takes each line of standard input

examples:
  tokenring --nodes 10.0.0.1:11211,10.0.0.2:11211
      put this host's port 11211 in front of two nodes
  tokenring -c /etc/tokenring/tokenring.toml --check
      check a configuration before it is used
  tokenring where -c /etc/tokenring/tokenring.toml --exptime 3600 auth_token:42
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
  std::vector<std::string> node_lists;  // Each separated by commas.
  std::uint32_t workers = 0;
  CLI::App app;
  CLI::App* where = nullptr;
  CLI::App* top = nullptr;
  CLI::App* import = nullptr;
  std::vector<CLI::App*> questions;
  CLI::App* keygen = nullptr;
  CLI::App* keys = nullptr;
  CLI::App* passwd = nullptr;
  CLI::App* seal = nullptr;
  CLI::App* open = nullptr;
  CLI::App* train = nullptr;
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

    add_where();
    add_top();
    add_seal();
  }

  CLI::App* add_command(const char* name) {
    CLI::App* const command = app.add_subcommand(name);
    command->set_help_flag("-h,--help");
    return command;
  }

  void add_where() {
    where = add_command("where");
    add_once(*where, "-c,--config", line.config_file);
    add_nodes(*where);
    add_once(*where, "--exptime", line.where.exptime);
    where->add_flag("--reference", line.where.reference);
    where->add_option("KEY", line.where.keys)->required();
    import = add_command("import");
    add_once(*import, "--pool", line.import_pool);
    import->add_option("FILE", line.import_file)->required();
    for (const char* name : {"reload", "drain", "stop", "status"}) add_question(name);
    add_question("revoke")->add_option("KEY", line.revoked_key)->required();
  }

  void add_top() {
    top = add_command("top");
    add_once(*top, "-c,--config", line.config_file);
    add_once(*top, "--admin", line.top.admin);
    add_once(*top, "--token-file", line.top.token_file);
    add_once(*top, "--ca", line.top.authorities);
    top->add_flag("--once", line.top.once);
    add_once(*top, "--interval", line.top.interval_s)->check(CLI::Range(0.1, 60.0));
  }

  CLI::App* add_question(const char* name) {
    CLI::App* const question = add_command(name);
    add_once(*question, "-c,--config", line.config_file);
    question->add_option("--listen", line.listen)->allow_extra_args();
    question->callback([this, name] { line.question = name; });
    questions.push_back(question);
    return question;
  }

  void add_seal() {
    keygen = add_command("keygen");
    keygen->add_flag("--master", line.keygen.master_only);
    keys = add_command("keys");
    keys->add_option("FILE", line.keys_file)->required();
    passwd = add_command("passwd");
    add_once(*passwd, "--iterations", line.passwd.iterations)
        ->check(CLI::Range(PasswordHash::kIterationsMin, PasswordHash::kIterationsMax));
    passwd->add_option("USER", line.passwd.user)->required();
    seal = add_command("seal");
    open = add_command("open");
    for (CLI::App* const command : {seal, open}) {
      add_once(*command, "--keys", line.seal.keys)->required();
      add_once(*command, "--namespace", line.seal.space)->required();
      add_once(*command, "--key", line.seal.key)->required();
      add_once(*command, "--flags", line.seal.flags);
    }
    add_once(*seal, "--exp", line.seal.exp);
    add_once(*seal, "--generation", line.seal.generation);
    seal->add_option("--dictionary", line.seal.dictionaries)->expected(1);
    open->add_option("--dictionary", line.seal.dictionaries);
    train = add_command("train-dictionary");
    add_once(*train, "--bytes", line.train.bytes)
        ->check(CLI::Range(std::size_t{256}, Dictionary::kBytesMax));
    train->add_option("SAMPLE", line.train.samples)->required();
  }

  // What is to be done, as far as a word or a flag says it.
  [[nodiscard]] CommandLine::Action action() const {
    using Action = CommandLine::Action;
    if (version) return Action::kVersion;
    if (where->parsed()) return Action::kWhere;
    if (top->parsed()) return Action::kTop;
    if (keygen->parsed()) return Action::kKeygen;
    if (keys->parsed()) return Action::kKeys;
    if (passwd->parsed()) return Action::kPasswd;
    if (seal->parsed()) return Action::kSeal;
    if (open->parsed()) return Action::kOpen;
    if (train->parsed()) return Action::kTrain;
    if (import->parsed()) return Action::kImport;
    if (!line.question.empty()) return Action::kAsk;
    return check ? Action::kCheck : Action::kRun;
  }

  [[nodiscard]] bool names_file() const {
    std::size_t count = app.count("--config") + where->count("--config") + top->count("--config");
    for (const CLI::App* question : questions) count += question->count("--config");
    return count > 0;
  }

  // Where nothing stands between two commas, nobody meant that: it is kept, and no address.
  void split_nodes() {
    for (const std::string& list : node_lists) {
      for (std::size_t at = 0; at <= list.size();) {
        const std::size_t comma = std::min(list.find(',', at), list.size());
        line.nodes.push_back(list.substr(at, comma - at));
        at = comma + 1;
      }
    }
  }

  // One word each time, or it would take the keys that follow it.
  void add_nodes(CLI::App& to) { to.add_option("--nodes", node_lists)->allow_extra_args(false); }
};

std::string bad_line(std::string_view message) {
  std::string text;
  for (const char c : message) text += c >= ' ' && c <= '~' ? c : '?';
  return fmt::format("tokenring: {}; see tokenring --help", text);
}

// "Could not convert: --exptime = x" as what is wrong and what would be right.
std::string no_number(std::string_view message) {
  constexpr std::string_view kOpening = "Could not convert: ";
  const std::size_t equals = message.find(" = ");
  if (!message.starts_with(kOpening) || equals == std::string_view::npos) return bad_line(message);
  const std::string_view name = message.substr(kOpening.size(), equals - kOpening.size());
  return bad_line(fmt::format("{}: {} is no number that it can take", name,
                              quoted(message.substr(equals + 3))));
}

// Lines of the help that are wanted, by the entry that they are part of.
struct HelpPart {
  std::string text;
  bool wanted = false;

  void begin(bool is_wanted) { wanted = is_wanted; }
  void take(std::string_view line) {
    if (wanted && line != "\n") text += line;
  }
};

// Whether `command` is a word of `text`.
bool names(std::string_view text, std::string_view command) {
  constexpr std::string_view kBetween = " ,|\n";
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(kBetween), text.size());
    if (text.substr(0, end) == command) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

// Whether the app knows the option that a line of the help begins with.
bool takes(const CLI::App& app, std::string_view line) {
  line.remove_prefix(2);
  const std::size_t end = line.find_first_of(" ,\n");
  return app.get_option_no_throw(std::string(line.substr(0, end))) != nullptr;
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

// An address that the file does not have would be open to anybody, where the file's are not.
std::string loses_options(const CommandLine& line, const Config& config) {
  if (config.listen_options.empty()) return {};
  for (const std::string& text : line.listen)
    if (std::find(config.listen.begin(), config.listen.end(), text) == config.listen.end())
      return fmt::format(
          "tokenring: --listen: {} is not in {}, whose listen says more than "
          "addresses; give it there",
          text, line.config_file);
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
      if (const auto unknown = parser.app.remaining(); !unknown.empty())
        return unexpected(bad_line(CLI::ExtrasError(unknown).what()));
      parser.line.action = CommandLine::Action::kHelp;
      for (const CLI::App* command : parser.app.get_subcommands())
        parser.line.help_of = command->get_name();
      return std::move(parser.line);
    } catch (const CLI::ConversionError& error) {
      return unexpected(no_number(error.what()));
    } catch (const CLI::ParseError& error) {
      return unexpected(bad_line(error.what()));
    }
    if (parser.line.config_file.empty() && parser.names_file())
      return unexpected(bad_line("--config: an empty file name"));
    parser.line.action = parser.action();
    parser.split_nodes();
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
  if (!line.listen.empty()) {
    if (std::string error = loses_options(line, *config); !error.empty()) return unexpected(error);
    config->listen = line.listen;
  }
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
  return fmt::format("listen {}; {}; {} with {}; {}{}", fmt::join(config.listen, ", "),
                     count(worker_count(config), "worker"), count(config.pools.size(), "pool"),
                     count(nodes, "node"), count(config.namespaces.size(), "namespace"),
                     config.admin.listen.empty() ? "" : "; admin on " + config.admin.listen);
}

std::string help_text(std::string_view command) {
  if (command.empty()) return std::string(kHelp);
  const Parser parser;
  const CLI::App& app = *parser.app.get_subcommand(std::string(command));
  HelpPart usage;
  HelpPart own;
  HelpPart shared;
  std::string heading;
  for (std::string_view rest = kHelp; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    rest.remove_prefix(line.size());
    if (!line.starts_with(' ')) {
      heading = line.substr(0, line.find(':'));
      own.begin(names(heading, command));
      own.take(line);
    } else if (heading == "usage") {
      if (line.starts_with("  tokenring")) usage.begin(names(line, command));
      usage.take(line);
    } else if (heading == "options") {
      if (line.starts_with("  -")) shared.begin(takes(app, line));
      shared.take(line);
    } else {
      own.take(line);
    }
  }
  return fmt::format("usage:\n{}\n{}{}", usage.text, own.text, shared.text);
}

std::vector<std::string> option_names() {
  const Parser parser;
  std::vector<std::string> names;
  std::vector<const CLI::App*> apps =
      parser.app.get_subcommands([](const CLI::App*) { return true; });
  apps.push_back(&parser.app);
  for (const CLI::App* app : apps)
    for (const CLI::Option* option : app->get_options()) names.push_back(option->get_name());
  return names;
}

}  // namespace tokenring
