#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "app/command_line.hpp"
#include "app/seal_material.hpp"
#include "app/spelling.hpp"
#include "app/where.hpp"

using namespace tokenring;

namespace {

using Action = CommandLine::Action;

constexpr UnixTime kNow{1'790'000'000};
const std::string kExamples = TOKENRING_CONF_DIR "/examples/";

CommandLine parsed(const std::vector<std::string>& arguments) {
  const auto line = parse_command_line(arguments);
  if (!line) FAIL(line.error());
  return *line;
}

std::string error_of(const std::vector<std::string>& arguments) {
  const auto line = parse_command_line(arguments);
  return line ? "no error" : line.error();
}

// The error of the configuration that a command line leads to.
std::string config_error_of(const std::vector<std::string>& arguments) {
  const auto config = effective_config(parsed(arguments));
  return config ? "no error" : config.error();
}

struct Answer {
  int exit_code;
  std::string out;
  std::string errors;
};

Answer answer(const Config& config, const WhereOptions& options, const std::string& input = "") {
  const auto snapshot = make_snapshot(config, {}, {});
  REQUIRE(snapshot.has_value());
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream errors;
  const int exit_code = where(**snapshot, options, kNow, in, out, errors);
  return {exit_code, out.str(), errors.str()};
}

Config config_of(std::string_view text) {
  const auto config = parse_config(text, "t.toml");
  if (!config) FAIL(config.error());
  return *config;
}

}  // namespace

TEST_CASE("an empty command line runs the defaults") {
  const CommandLine line = parsed({});
  CHECK(line.action == Action::kRun);
  const auto config = effective_config(line);
  REQUIRE(config.has_value());
  CHECK(config->listen == default_config().listen);
  CHECK(config->pools.at(0).nodes.at(0).address == "embedded");
}

TEST_CASE("each option has its place") {
  const CommandLine line = parsed({"-c", "f.toml", "--listen", "a:1", "b:2", "--listen=c:3",
                                   "--nodes", "x:1,y:2", "--nodes", "z:3", "--workers", "4"});
  CHECK(line.action == Action::kRun);
  CHECK(line.config_file == "f.toml");
  CHECK(line.listen == std::vector<std::string>{"a:1", "b:2", "c:3"});
  CHECK(line.nodes == std::vector<std::string>{"x:1", "y:2", "z:3"});
  CHECK(line.workers == 4U);
  CHECK(parsed({"--check"}).action == Action::kCheck);
  CHECK(parsed({"--version"}).action == Action::kVersion);
  CHECK(parsed({"--help"}).action == Action::kHelp);
  CHECK(parsed({"where", "-h"}).action == Action::kHelp);
  CHECK(parsed({"where", "-h"}).help_of == "where");
  CHECK(parsed({"--help"}).help_of.empty());
  CHECK_FALSE(parsed({}).workers.has_value());
}

TEST_CASE("a running process is asked by file and address") {
  for (const char* question : {"reload", "drain", "stop", "status"}) {
    const CommandLine line = parsed({question, "-c", "f.toml", "--listen", "a:1"});
    CHECK(line.action == Action::kAsk);
    CHECK(line.question == question);
    CHECK(line.config_file == "f.toml");
    CHECK(line.listen == std::vector<std::string>{"a:1"});
  }
  CHECK(parsed({"--takeover"}).takeover);
  CHECK_FALSE(parsed({}).takeover);
  CHECK(error_of({"reload", "--nodes", "a:1"}) != "no error");
  CHECK(error_of({"reload", "stop"}) != "no error");
}

TEST_CASE("the control socket is named for the first address, or where the file says") {
  CHECK(control_name(default_config()) == "@tokenring/127.0.0.1:11211");
  CHECK(control_name(config_of("listen = [\"[::1]:1\", \"a:2\"]\n")) == "@tokenring/[::1]:1");
  CHECK(control_name(config_of("control = \"unix:/run/t\"\n")) == "unix:/run/t");
  CHECK(control_name(config_of("control = \"\"\n")).empty());
  Config config = default_config();
  config.listen = {std::string(200, 'a') + ":1"};
  CHECK(control_name(config).size() == 100);
  CHECK(control_name(config).ends_with("aaa:1"));
}

TEST_CASE("where takes keys, even those that look like options") {
  const CommandLine line =
      parsed({"where", "-c", "f.toml", "--exptime", "-1", "--nodes", "a:1,b:1", "k1", "k2"});
  CHECK(line.action == Action::kWhere);
  CHECK(line.config_file == "f.toml");
  CHECK(line.where.exptime == -1);
  CHECK(line.nodes.size() == 2);
  CHECK(line.where.keys == std::vector<std::string>{"k1", "k2"});
  CHECK(parsed({"where", "-"}).where.keys == std::vector<std::string>{"-"});
  CHECK(parsed({"where", "--", "-k"}).where.keys == std::vector<std::string>{"-k"});
}

TEST_CASE("a bad command line is one line") {
  const std::vector<std::vector<std::string>> bad{{"--bogus"},
                                                  {"bogus"},
                                                  {"bogus", "--help"},
                                                  {"-h", "bogus"},
                                                  {"--workers", "257"},
                                                  {"--workers", "-1"},
                                                  {"--workers", "x"},
                                                  {"--nodes"},
                                                  {"-c"},
                                                  {"where"},
                                                  {"where", "--bogus"},
                                                  {"--exptime=1"},
                                                  {"-c", ""},
                                                  {"--bo\ngus"},
                                                  {"where", "--exptime", "99999999999", "k"}};
  for (const auto& arguments : bad) {
    const std::string error = error_of(arguments);
    CAPTURE(fmt::format("{}", fmt::join(arguments, " ")));
    CAPTURE(error);
    CHECK(error.starts_with("tokenring: "));
    CHECK(error.ends_with("; see tokenring --help"));
    CHECK(error.find('\n') == std::string::npos);
  }
}

TEST_CASE("what is no number is told with its option") {
  CHECK(error_of({"where", "--exptime", "x", "k"}) ==
        "tokenring: --exptime: \"x\" is no number that it can take; see tokenring --help");
  CHECK(
      error_of({"where", "--exptime", "99999999999", "k"}) ==
      "tokenring: --exptime: \"99999999999\" is no number that it can take; see tokenring --help");
  CHECK(error_of({"--workers", "x"}).starts_with("tokenring: --workers: "));
}

TEST_CASE("the command line overrides the file") {
  const auto config =
      effective_config(parsed({"-c", kExamples + "twemproxy.toml", "--listen", "127.0.0.1:1",
                               "--nodes", "a:1,b:1", "--workers", "2"}));
  REQUIRE(config.has_value());
  CHECK(config->listen == std::vector<std::string>{"127.0.0.1:1"});
  CHECK(config->workers == 2);
  REQUIRE(config->pools.size() == 1);
  CHECK(config->pools[0].name == "alpha");
  CHECK(config->pools[0].ring.placement == Placement::kTwemproxy);
  REQUIRE(config->pools[0].nodes.size() == 2);
  CHECK(config->pools[0].nodes[1].address == "b:1");
  CHECK(config->pools[0].nodes[1].name.empty());
}

TEST_CASE("nodes without a file are one pool named default") {
  const auto config = effective_config(parsed({"--nodes", "a:1,unix:/b"}));
  REQUIRE(config.has_value());
  REQUIRE(config->pools.size() == 1);
  CHECK(config->pools[0].name == "default");
  CHECK(config->pools[0].nodes.size() == 2);
}

TEST_CASE("what the command line cannot override is an error") {
  CHECK(config_error_of({"--nodes", "a:1,b"}) ==
        "tokenring: --nodes: \"b\" has no port; give \"b:11211\"");
  for (const char* gap : {"a:1,,b:2", ",a:1", "a:1,"})
    CHECK(config_error_of({"--nodes", gap}).starts_with("tokenring: --nodes: \"\" is not an addr"));
  CHECK(config_error_of({"--listen", "embedded"}) ==
        "tokenring: --listen: \"embedded\" has no port; give \"embedded:11211\"");
  CHECK(config_error_of({"-c", kExamples + "shared-tier.toml", "--nodes", "a:1"}) ==
        fmt::format("tokenring: --nodes: {}shared-tier.toml has 2 pools; give the nodes of each "
                    "there",
                    kExamples));
  CHECK(config_error_of({"--nodes", "a:1,a:1"}).starts_with("tokenring: --nodes: "));
  CHECK(config_error_of({"-c", "/nowhere"}) == "/nowhere: cannot read: No such file or directory");
}

TEST_CASE("the help has every option, its default and three examples") {
  const std::string help(help_text());
  for (const std::string& name : option_names()) {
    CAPTURE(name);
    CHECK(help.find(name) != std::string::npos);
  }
  CHECK(help.find("(default: 0, as many as CPUs)") != std::string::npos);
  CHECK(help.find("tokenring.toml(5)") != std::string::npos);
  std::istringstream lines(help.substr(help.find("examples:")));
  int examples = 0;
  for (std::string line; std::getline(lines, line);) examples += line.starts_with("  tokenring ");
  CHECK(examples == 3);
  std::istringstream all(help);
  for (std::string line; std::getline(all, line);) CHECK(line.size() <= 100);
}

TEST_CASE("the help of a command is its own part and the options that it takes") {
  const std::string where = help_text("where");
  CHECK(where.starts_with("usage:\n  tokenring where [-c FILE]"));
  for (const char* part : {"\nwhere: says", "\n  --exptime N ", "\n  --reference ",
                           "\n  -c, --config ", "\n  --nodes ", "\n  -h, --help "})
    CHECK(where.find(part) != std::string::npos);
  for (const char* part :
       {"\n  --listen ", "\n  --takeover ", "keygen", "\n  --workers", "examples:"})
    CHECK(where.find(part) == std::string::npos);
  for (const char* name : {"reload", "drain", "stop", "status"}) {
    const std::string help = help_text(name);
    CHECK(help.find("\nreload, drain, stop, status: ") != std::string::npos);
    CHECK(help.find("\n  --listen ADDR ...") != std::string::npos);
    CHECK(help.find("--nodes") == std::string::npos);
  }
  for (const char* name : {"import", "keygen", "keys", "seal", "open", "train-dictionary"}) {
    const std::string help = help_text(name);
    CAPTURE(help);
    CHECK(help.starts_with(fmt::format("usage:\n  tokenring {} ", name)));
    CHECK(std::count(help.begin(), help.end(), '\n') >= 4);
  }
  CHECK(help_text("seal").find("[--dictionary FILE] <VALUE >SEALED\n") != std::string::npos);
  for (const char* option : {"--exp", "--generation", "--flags", "--dictionary"}) {
    const std::string line = fmt::format("\n  {} ", option);
    CAPTURE(line);
    const bool opens = error_of({"open", "--keys", "k", "--namespace", "", "--key", "x", option,
                                 "1"}) == "no error";
    CHECK((help_text("open").find(line) != std::string::npos) == opens);
    CHECK(help_text("seal").find(line) != std::string::npos);
  }
}

TEST_CASE("the summary names the admin port where there is one") {
  Config config = default_config();
  config.workers = 1;
  config.admin.listen = "127.0.0.1:9150";
  CHECK(summary(config).ends_with("; 0 namespaces; admin on 127.0.0.1:9150"));
}

TEST_CASE("the summary counts what there is") {
  Config config = default_config();
  config.workers = 1;
  CHECK(summary(config) == "listen 127.0.0.1:11211; 1 worker; 1 pool with 1 node; 0 namespaces");
}

TEST_CASE("where names namespace, pool, node and life") {
  const Config config = config_of(R"(
[pools.tokens]
nodes = [{ address = "10.0.0.1:11211", name = "one" }]
[pools.pages]
nodes = ["10.0.0.2:11211"]
[[namespaces]]
prefix = "auth:"
pool = "tokens"
ttl_cap = "15m"
ttl_jitter = 1
[[namespaces]]
prefix = "page:"
pool = "pages"
)");
  const Answer two = answer(config, {.keys = {"auth:1", "page:1"}});
  CHECK(two.exit_code == 0);
  CHECK(two.out ==
        "auth:1\tauth:\ttokens\tone\tauth:1\t900\n"
        "page:1\tpage:\tpages\t10.0.0.2:11211\tpage:1\tnever\n");
  CHECK(answer(config, {.keys = {"auth:1"}, .exptime = 60}).out ==
        "auth:1\tauth:\ttokens\tone\tauth:1\t60\n");
  CHECK(answer(config, {.keys = {"page:1"}, .exptime = -1}).out ==
        "page:1\tpage:\tpages\t10.0.0.2:11211\tpage:1\t0\n");
}

TEST_CASE("a key without a pool is an error after the others are answered") {
  const Config config = config_of(
      "[pools.p]\nnodes = \"a:1\"\n[pools.q]\nnodes = \"b:1\"\n"
      "[[namespaces]]\nprefix = \"p:\"\npool = \"p\"\n");
  const Answer some = answer(config, {.keys = {"x", "p:1"}});
  CHECK(some.exit_code == 1);
  CHECK(some.out == "p:1\tp:\tp\ta:1\tp:1\tnever\n");
  CHECK(some.errors ==
        "tokenring: x: no namespace has this key; add one with its prefix, or with prefix \"\"\n");
}

TEST_CASE("where reads keys from its input, escaped as it prints them") {
  const Config config = default_config();
  const Answer lines = answer(config, {.keys = {"-", "z"}},
                              "a\\x20b\n\\xff\\n\n"
                              "\\x5Cx41\nend");
  CHECK(lines.exit_code == 0);
  CHECK(lines.out ==
        "a\\x20b\t-\tdefault\tembedded\ta\\x20b\tnever\n"
        "\\xFF\\n\t-\tdefault\tembedded\t\\xFF\\n\tnever\n"
        "\\x5Cx41\t-\tdefault\tembedded\t\\x5Cx41\tnever\n"
        "end\t-\tdefault\tembedded\tend\tnever\n"
        "z\t-\tdefault\tembedded\tz\tnever\n");
  const Answer bad = answer(config, {.keys = {"-"}}, "\n" + std::string(251, 'k') + "\nk\n");
  CHECK(bad.exit_code == 1);
  CHECK(bad.out == "k\t-\tdefault\tembedded\tk\tnever\n");
  CHECK(std::count(bad.errors.begin(), bad.errors.end(), '\n') == 2);
}

TEST_CASE("an escaped key is printable and comes back the same") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  for (const std::string& key : {all, std::string("\\x41\\"), std::string("\\\\x41\\xZZ\\x4")}) {
    const std::string text = escaped_key(key);
    CHECK(unescaped_key(text) == key);
    CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; }));
  }
}

TEST_CASE("a misspelt word is guessed, a strange one is not") {
  constexpr std::string_view kWords[] = {"listen", "workers", "limits"};
  CHECK(closest("lisen", kWords) == "listen");
  CHECK(closest("lsiten", kWords) == "listen");
  CHECK(closest("worker", kWords) == "workers");
  CHECK(closest("limit", kWords) == "limits");
  CHECK(closest("zzz", kWords).empty());
  CHECK(closest("", kWords).empty());
  CHECK(closest(std::string(1000, 'l'), kWords).empty());
}

TEST_CASE("keys and sealed values have commands of their own") {
  CHECK(parsed({"keygen"}).action == Action::kKeygen);
  CHECK(!parsed({"keygen"}).keygen.master_only);
  CHECK(parsed({"keygen", "--master"}).keygen.master_only);
  const CommandLine seal =
      parsed({"seal", "--keys", "k", "--namespace", "", "--key=-x", "--flags", "4294967295",
              "--exp", "1790000000", "--generation", "18446744073709551615", "--dictionary", "d"});
  CHECK(seal.action == Action::kSeal);
  CHECK(seal.seal.keys == "k");
  CHECK(seal.seal.space.empty());
  CHECK(seal.seal.key == "-x");
  CHECK(seal.seal.flags == UINT32_MAX);
  CHECK(seal.seal.exp == 1'790'000'000);
  CHECK(seal.seal.generation == UINT64_MAX);
  CHECK(seal.seal.dictionaries == std::vector<std::string>{"d"});
  const CommandLine open =
      parsed({"open", "--keys", "k", "--namespace", "n", "--key", "x", "--dictionary", "a", "b"});
  CHECK(open.action == Action::kOpen);
  CHECK(open.seal.dictionaries.size() == 2);
  CHECK(!open.seal.generation);
  CHECK(parsed({"train-dictionary", "--bytes", "4096", "a", "-"}).train.samples.size() == 2);
  CHECK(error_of({"open", "--namespace", "n", "--key", "x"}) ==
        "tokenring: --keys is required; see tokenring --help");
  CHECK(error_of({"seal", "--keys", "k", "--namespace", "n", "--key", "x", "--flags", "-1"})
            .starts_with("tokenring: "));
  CHECK(error_of({"train-dictionary"}) == "tokenring: SAMPLE is required; see tokenring --help");
}

TEST_CASE("keygen makes a file that can be read, of keys that differ") {
  std::ostringstream first;
  std::ostringstream second;
  std::ostringstream line;
  std::ostringstream errors;
  CHECK(keygen({}, system_entropy(), first, errors) == 0);
  CHECK(keygen({}, system_entropy(), second, errors) == 0);
  CHECK(keygen({.master_only = true}, system_entropy(), line, errors) == 0);
  CHECK(errors.str().empty());
  CHECK(first.str() != second.str());
  const auto keyring = Keyring::parse(first.str() + line.str(), "keys");
  REQUIRE(keyring);
  CHECK((*keyring)->master_count() == 2);
  CHECK(first.str().find(fmt::format("= # {:08x}\nblind ", (*keyring)->key_id(0))) !=
        std::string::npos);
  CHECK(line.str().ends_with(fmt::format("= # {:08x}\n", (*keyring)->key_id(1))));
}
