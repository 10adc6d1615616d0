#include "app/import.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <vector>

#include "app/config.hpp"
#include "app/spelling.hpp"

namespace tokenring {

namespace {

// One line for the operator; turned into a Result at the edge, as yaml-cpp throws as well.
[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what);
}

// The same with its place, LINE:COLUMN.
struct PlacedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void fail_at(const YAML::Mark& mark, std::string_view pool, std::string_view what) {
  throw PlacedError(fmt::format("{}:{}: pool {}: {}", mark.line + 1, mark.column + 1, pool, what));
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c >= 0 && c < ' ')
      out += fmt::format("\\u{:04X}", static_cast<int>(c));
    else
      out += c;
  }
  return out + '"';
}

// In one line, whatever the value is.
std::string yaml_text(const YAML::Node& value) {
  if (value.IsScalar()) return quoted(value.Scalar());
  return value.IsNull() ? "nothing" : "a list or a table";
}

// Lines with where in the YAML each comes from.
struct Lines {
  std::string text;
  std::vector<YAML::Mark> marks;

  void add(std::string_view lines, const YAML::Mark& mark) {
    text += lines;
    marks.insert(marks.end(),
                 static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n')), mark);
  }
  void add(const Lines& more) {
    text += more.text;
    marks.insert(marks.end(), more.marks.begin(), more.marks.end());
  }
};

// The pool's lines, in the order in which they were written.
struct Draft {
  Lines top;          // Of the file.
  Lines pool;         // Of [pools.NAME].
  std::string notes;  // What is not carried over, and why.
  bool moves_keys = false;

  void note(std::string_view key, const YAML::Node& value, std::string_view why) {
    notes += fmt::format("# not carried over: {}: {} ({})\n", key, yaml_text(value), why);
  }
};

std::int64_t number(std::string_view key, const YAML::Node& value) {
  std::int64_t number = 0;
  const std::string& text = value.Scalar();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (!value.IsScalar() || error != std::errc{} || end != text.data() + text.size())
    fail(fmt::format("{}: {} is not a number", key, yaml_text(value)));
  return number;
}

bool is_on(std::string_view key, const YAML::Node& value) {
  bool on = false;
  if (!YAML::convert<bool>::decode(value, on))
    fail(fmt::format("{}: {} is neither true nor false", key, yaml_text(value)));
  return on;
}

// "host:port" with an IPv6 address in brackets, which twemproxy writes without, or "/path".
std::string address(std::string_view text) {
  if (text.starts_with('/')) return fmt::format("unix:{}", text);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) fail(fmt::format("{} has no port", quoted(text)));
  const std::string_view host = text.substr(0, colon);
  if (host.find(':') == std::string_view::npos || host.starts_with('[')) return std::string(text);
  return fmt::format("[{}]:{}", host, text.substr(colon + 1));
}

void take_listen(std::string_view /*key*/, const YAML::Node& value, Draft& draft) {
  const std::string_view text = value.Scalar();
  const std::size_t space = text.starts_with('/') ? text.find(' ') : std::string_view::npos;
  const std::string place = toml_string(address(text.substr(0, space)));
  if (space == std::string_view::npos)
    return draft.top.add(fmt::format("listen = {}\n", place), value.Mark());
  const std::string mode = toml_string(text.substr(text.find_last_of(' ') + 1));
  draft.top.add(fmt::format("listen = [{{ address = {}, mode = {} }}]\n", place, mode),
                value.Mark());
}

void take_distribution(std::string_view key, const YAML::Node& value, Draft& draft) {
  const std::string& text = value.Scalar();
  if (text == "ketama" || text == "modula") return;  // See placement_of().
  if (text != "random") fail(fmt::format("{}: {} is unknown", key, yaml_text(value)));
  draft.moves_keys = true;
  draft.note(key, value, "a key has one node here, by placement");
}

void take_timeout(std::string_view key, const YAML::Node& value, Draft& draft) {
  const std::int64_t ms = number(key, value);
  if (ms < 1 || ms > 600'000) return draft.note(key, value, "1 to 600000 ms are possible");
  draft.pool.add(fmt::format("connect_timeout = \"{0}ms\"\nrequest_timeout = \"{0}ms\"\n", ms),
                 value.Mark());
}

void take_server_connections(std::string_view key, const YAML::Node& value, Draft& draft) {
  const std::int64_t count = number(key, value);
  if (count < 1 || count > 64) return draft.note(key, value, "1 to 64 are possible, per worker");
  draft.pool.add(fmt::format("links_per_node = {}  # Of each worker.\n", count), value.Mark());
}

void take_client_connections(std::string_view key, const YAML::Node& value, Draft& draft) {
  const std::int64_t count = number(key, value);
  if (count < 1 || count > (1 << 24)) return draft.note(key, value, "1 to 16777216 are possible");
  draft.top.add(fmt::format("limits.clients_max = {}\n", count), value.Mark());
}

void take_text(std::string_view key, const YAML::Node& value, Draft& draft) {
  draft.pool.add(fmt::format("{} = {}\n", key, toml_string(value.Scalar())), value.Mark());
}

void take_eject(std::string_view key, const YAML::Node& value, Draft& draft) {
  if (is_on(key, value))
    draft.note(key, value, "no key moves when its node fails, or it could meet an old value later");
}

void refuse_redis(std::string_view key, const YAML::Node& value, Draft& /*draft*/) {
  if (key != "redis" || is_on(key, value))  // Without the value: it may be a password.
    fail(fmt::format("{}: the pool speaks redis; tokenring speaks memcached only", key));
}

void take_preconnect(std::string_view key, const YAML::Node& value, Draft& draft) {
  if (!is_on(key, value)) draft.note(key, value, "nodes are connected to at the start");
}

void note_retries(std::string_view key, const YAML::Node& value, Draft& draft) {
  draft.note(key, value, "a node that fails is tried again after 50 to 500 ms");
}

void note_kernel(std::string_view key, const YAML::Node& value, Draft& draft) {
  draft.note(key, value, "there is no such setting");
}

void skip(std::string_view /*key*/, const YAML::Node& /*value*/, Draft& /*draft*/) {}

struct Key {
  std::string_view name;
  void (*take)(std::string_view key, const YAML::Node& value, Draft& draft);
};

// twemproxy's README.md, "Configuration".
constexpr std::array kKeys{
    Key{"listen", take_listen},
    Key{"client_connections", take_client_connections},
    Key{"hash", take_text},
    Key{"hash_tag", take_text},
    Key{"distribution", take_distribution},
    Key{"timeout", take_timeout},
    Key{"server_connections", take_server_connections},
    Key{"auto_eject_hosts", take_eject},
    Key{"server_retry_timeout", note_retries},
    Key{"server_failure_limit", note_retries},
    Key{"preconnect", take_preconnect},
    Key{"redis", refuse_redis},
    Key{"redis_auth", refuse_redis},
    Key{"redis_db", refuse_redis},
    Key{"backlog", note_kernel},
    Key{"tcpkeepalive", note_kernel},
    Key{"servers", skip},  // See servers_of().
};

// "host:port:weight" or "/path:weight", and perhaps " name".
std::string node_of(const std::string& text) {
  const std::size_t space = text.find(' ');
  const std::string_view where = std::string_view(text).substr(0, space);
  const std::size_t colon = where.rfind(':');
  if (colon == std::string_view::npos)
    fail(fmt::format("servers: {} is not host:port:weight", quoted(text)));
  std::string node =
      fmt::format("  {{ address = {}, weight = {}", toml_string(address(where.substr(0, colon))),
                  number("servers", YAML::Node(std::string(where.substr(colon + 1)))));
  if (space != std::string::npos)
    node += fmt::format(", name = {}",
                        toml_string(std::string_view(text).substr(text.find_last_of(' ') + 1)));
  return node + " },\n";
}

// Does `work`, which may fail(), for what stands at `mark` in a pool.
template <typename Work>
void at(const YAML::Mark& mark, std::string_view pool, Work&& work) {
  try {
    work();
  } catch (const PlacedError&) {
    throw;
  } catch (const std::runtime_error& error) {
    fail_at(mark, pool, error.what());
  }
}

Lines servers_of(const std::string& name, const YAML::Node& pool) {
  const YAML::Node servers = pool["servers"];
  if (!servers || !servers.IsSequence())
    fail_at(servers ? servers.Mark() : pool.Mark(), name, "servers: is no list");
  Lines nodes;
  nodes.add("nodes = [\n", servers.Mark());
  for (const YAML::Node& server : servers)
    at(server.Mark(), name, [&] { nodes.add(node_of(server.Scalar()), server.Mark()); });
  nodes.add("]\n", servers.Mark());
  return nodes;
}

std::string_view placement_of(const YAML::Node& pool) {
  const YAML::Node distribution = pool["distribution"];
  return distribution && distribution.Scalar() == "modula" ? "twemproxy-modula" : "twemproxy";
}

// What the configuration has against what was written; told where the YAML says it.
void check(const Lines& file, const std::string& name) {
  const auto config = parse_config(file.text, "");
  if (config) return;
  std::string_view error = config.error();  // :LINE:COLUMN: pools.NAME.KEY: what is wrong
  std::size_t line = 0;
  std::from_chars(error.data() + 1, error.data() + error.size(), line);
  error.remove_prefix(std::min(error.find(": ") + 2, error.size()));
  const std::string table = fmt::format("pools.{}.", name);
  const std::string quoted_table = fmt::format("pools.{}.", quoted(name));
  for (const std::string& prefix : {table, quoted_table})
    if (error.starts_with(prefix)) error.remove_prefix(prefix.size());
  fail_at(file.marks.at(std::clamp<std::size_t>(line, 1, file.marks.size()) - 1), name, error);
}

std::string file_of(const std::string& name, const YAML::Node& pool, std::string_view file_name) {
  if (!pool.IsMap()) fail_at(pool.Mark(), name, "is no table");
  Draft draft;
  for (const auto& member : pool) {
    const std::string key = member.first.Scalar();
    const auto known =
        std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& row) { return row.name == key; });
    if (known == kKeys.end())
      draft.note(key, member.second, "unknown");
    else
      at(member.first.Mark(), name, [&] { known->take(key, member.second, draft); });
  }
  if (!pool["listen"]) fail_at(pool.Mark(), name, "listen is missing");
  if (!pool["hash"]) draft.pool.add("hash = \"fnv1a_64\"\n", pool.Mark());
  if (!pool["timeout"])
    draft.notes +=
        "# twemproxy waits for its servers without limit here; a second is the default.\n";
  Lines file;
  file.add(fmt::format("# From pool {} of {}: {}.\n{}", name, file_name,
                       draft.moves_keys ? "its keys lay on any node; here each has its own"
                                        : "every key stays on its node",
                       draft.notes),
           pool.Mark());
  file.add(draft.top);
  file.add(fmt::format("\n[pools.{}]\nplacement = \"{}\"\non_failure = \"error\"\n",
                       toml_string(name), placement_of(pool)),
           pool.Mark());
  file.add(draft.pool);
  file.add(servers_of(name, pool));
  check(file, name);
  return std::move(file.text);
}

std::string chosen_file(const YAML::Node& document, std::string_view file_name,
                        std::string_view pool) {
  if (!document.IsMap() || document.size() == 0) fail("has no pools");
  std::vector<std::string> names;
  for (const auto& member : document) names.push_back(member.first.Scalar());
  if (pool.empty() && names.size() == 1) pool = names[0];
  const std::string list = fmt::format("{}", fmt::join(names, ", "));
  if (pool.empty()) {
    fail(fmt::format("has {} pools, each of which listens for itself; choose one with --pool: {}",
                     names.size(), list));
  }
  if (std::find(names.begin(), names.end(), pool) == names.end())
    fail(fmt::format("there is no pool {}; the pools are {}", quoted(pool), list));
  const std::string name(pool);
  return file_of(name, document[name], file_name);
}

}  // namespace

Result<std::string, std::string> import_twemproxy(std::string_view yaml, std::string_view file_name,
                                                  std::string_view pool) {
  try {
    return chosen_file(YAML::Load(std::string(yaml)), file_name, pool);
  } catch (const PlacedError& error) {
    return unexpected(fmt::format("{}:{}", file_name, error.what()));
  } catch (const YAML::Exception& error) {
    return unexpected(fmt::format("{}:{}:{}: {}", file_name, error.mark.line + 1,
                                  error.mark.column + 1, error.msg));
  } catch (const std::exception& error) {
    return unexpected(fmt::format("{}: {}", file_name, error.what()));
  }
}

}  // namespace tokenring
