// What must hold between values: the error names the key at fault, in its own line.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "app/config.hpp"

using namespace tokenring;

namespace {

// The error, or what tells that there is none.
std::string error_of(std::string_view text) {
  const auto config = parse_config(text, "t");
  return config ? "none" : config.error();
}

// Of a sealed namespace with these lines, which begin in line 6.
std::string error_in_space(std::string_view lines) {
  return error_of(fmt::format(
      "[keys]\nfile = \"k\"\n[[namespaces]]\nprefix = \"a:\"\nseal = \"require\"\n{}\n", lines));
}

}  // namespace

TEST_CASE("what has no effect beside replay_guard is named, whichever comes first") {
  constexpr std::string_view kGuard = "replay_guard = true\n";
  for (const std::string_view line : {"revocable = true\n", "one_time = true\n",
                                      "fill_guard = \"5s\"\n", "herd_wait = \"5s\"\n"}) {
    const std::string_view key = line.substr(0, line.find(' '));
    const std::string why =
        fmt::format("namespaces[0].{}: has no effect beside replay_guard; leave it out", key);
    const auto column = key.size() + 4;
    CHECK(error_in_space(fmt::format("{}{}", kGuard, line)) ==
          fmt::format("t:7:{}: {}", column, why));
    CHECK(error_in_space(fmt::format("{}{}", line, kGuard)) ==
          fmt::format("t:6:{}: {}", column, why));
  }
}

TEST_CASE("each rule for tokens needs seal, and what is off needs nothing") {
  const auto unsealed = [](std::string_view lines) {
    return error_of(fmt::format("[[namespaces]]\nprefix = \"a:\"\n{}\n", lines));
  };
  CHECK(unsealed("revocable = false\none_time = true") ==
        "t:4:12: namespaces[0].one_time: needs seal = \"require\"");
  CHECK(unsealed("replay_guard = true") ==
        "t:3:16: namespaces[0].replay_guard: needs seal = \"require\"");
  CHECK(unsealed("revocable = false\nreplay_guard = false\nfill_guard = 0") == "none");
  CHECK(error_in_space("one_time = true\nherd_wait = \"1s\"") ==
        "t:7:13: namespaces[0].herd_wait: excludes one_time; leave one of them out");
  CHECK(error_in_space("ttl_cap = \"1h\"\nreplay_guard = true") ==
        "t:7:16: namespaces[0].replay_guard: would forget a token before its end; leave ttl_cap, "
        "max_age and ttl_jitter out");
}

TEST_CASE("skew needs ends of tokens, by ttl_from_token or by fill") {
  CHECK(error_in_space("skew = \"5s\"") ==
        "t:6:8: namespaces[0].skew: has no effect without ttl_from_token");
  CHECK(error_in_space("skew = \"5s\"\nttl_from_token = false") ==
        "t:6:8: namespaces[0].skew: has no effect without ttl_from_token");
  CHECK(error_in_space("skew = 0") == "none");
  CHECK(error_in_space("skew = \"5s\"\nttl_from_token = true") == "none");
  CHECK(error_in_space("skew = \"5s\"\nttl_cap = \"5m\"\nfill = \"i\"\n[introspection.i]\n"
                       "url = \"https://i.example/\"\nbearer_file = \"b\"") == "none");
}

TEST_CASE("settings of stand-ins need one, but may say the default") {
  const auto pool = [](std::string_view lines) {
    return error_of(
        fmt::format("[pools.g]\nnodes = \"g:1\"\n[[namespaces]]\nprefix = \"\"\npool = \"p\"\n"
                    "[pools.p]\nnodes = \"h:1\"\n{}\n",
                    lines));
  };
  for (const std::string_view instead : {"", "on_node_down = \"miss\""}) {
    CHECK(pool(fmt::format("failover_nodes = 2\n{}", instead)) ==
          "t:8:18: pools.p.failover_nodes: has no effect here; give on_node_down = \"failover\" as "
          "well");
    CHECK(pool(fmt::format("failover_ttl = 0\n{}", instead)) ==
          "t:8:16: pools.p.failover_ttl: has no effect here; give on_node_down = \"failover\" or "
          "\"gutter\" as well");
    CHECK(pool(fmt::format("failover_nodes = 1\nfailover_ttl = \"10s\"\n{}", instead)) == "none");
  }
  const std::string_view gutter = "on_node_down = \"gutter\"\ngutter = \"g\"\n";
  CHECK(pool(fmt::format("{}failover_ttl = 5", gutter)) == "none");
  CHECK(pool(fmt::format("{}failover_nodes = 2", gutter)).starts_with("t:10:18: "));
  CHECK(pool("on_node_down = \"failover\"\nfailover_nodes = 2\nfailover_ttl = 5") == "none");
}
