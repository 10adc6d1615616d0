// near: what may be said of it, and what becomes of it in a snapshot.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "app/config.hpp"
#include "app/seal_material.hpp"

using namespace tokenring;

namespace {

// The error, or what tells that there is none.
std::string error_of(std::string_view text) {
  const auto config = parse_config(text, "t.toml");
  return config ? "no error" : config.error();
}

// Of a namespace with these lines, which begin in line 5.
std::string error_in_space(std::string_view lines) {
  return error_of(
      fmt::format("[keys]\nfile = \"k\"\n[[namespaces]]\nprefix = \"a:\"\n{}\n", lines));
}

}  // namespace

TEST_CASE("near needs a size and a time, each within bounds") {
  CHECK(error_in_space(R"(near = { bytes = "64KiB", ttl = "1ms" })") == "no error");
  CHECK(error_in_space(R"(near = { bytes = "64GiB", ttl = 60 })") == "no error");
  constexpr std::string_view kForm = R"(give { bytes = "16MiB", ttl = "500ms" }, or so)";
  CHECK(error_in_space(R"(near = "16MiB")") ==
        fmt::format("t.toml:5:8: namespaces[0].near: is no table; {}", kForm));
  for (const std::string_view half : {R"({ bytes = "16MiB" })", R"({ ttl = "1s" })", "{}"})
    CHECK(error_in_space(fmt::format("near = {}", half)) ==
          fmt::format("t.toml:5:8: namespaces[0].near: needs both; {}", kForm));
  CHECK(error_in_space(R"(near = { bytes = "16MiB", ttl = "61s" })")
            .starts_with("t.toml:5:33: namespaces[0].near.ttl: 61s is out of range; give "));
  CHECK(error_in_space(R"(near = { bytes = 1, ttl = "1s" })")
            .starts_with("t.toml:5:18: namespaces[0].near.bytes: 1B is out of range; give "));
  CHECK(error_in_space(R"(near = { bytes = "16MiB", tll = "1s" })") ==
        R"(t.toml:5:27: namespaces[0].near.tll: unknown key; did you mean "ttl"?)");
}

TEST_CASE("near keeps the promises about tokens") {
  const auto with = [](std::string_view rule, std::string_view ttl) {
    return error_in_space(fmt::format(
        "seal = \"require\"\n{}\nnear = {{ bytes = \"16MiB\", ttl = \"{}\" }}", rule, ttl));
  };
  CHECK(with("one_time = true", "1ms") ==
        "t.toml:7:8: namespaces[0].near: would give one value out again, against one_time");
  for (const std::string_view rule : {"revocable = true", "revocable = \"not_before\""}) {
    CHECK(with(rule, "1s") == "no error");
    CHECK(
        with(rule, "1001ms") ==
        "t.toml:7:33: namespaces[0].near.ttl: 1001ms is how long what another proxy revoked would "
        "be given out; give at most 1s");
  }
  CHECK(with("replay_guard = true", "1m") == "no error");
  CHECK(with("fill_guard = \"5s\"", "1m") == "no error");
}

TEST_CASE("each worker has its part, and an owner's keys are in it too") {
  const auto config = parse_config(R"(
workers = 4
listen = { address = "127.0.0.1:1", identify = true }
[[namespaces]]
prefix = "a:"
near = { bytes = "16MiB", ttl = "500ms" }
[[namespaces]]
prefix = "b:"
[[namespaces]]
prefix = "c:"
near = { bytes = "8MiB", ttl = "1s" }
[[identities]]
name = "one"
networks = "127.0.0.0/8"
allow = [{ rights = ["read"] }]
isolate = true
)",
                                   "t.toml");
  if (!config) FAIL(config.error());
  const auto snapshot = make_snapshot(*config, {}, {});
  if (!snapshot) FAIL(snapshot.error());
  REQUIRE((*snapshot)->near_epochs != nullptr);
  const NamespaceTable& spaces = (*snapshot)->namespaces;
  const auto near = [&](std::string_view key) { return spaces.find(key)->near; };
  CHECK(near("a:1").bytes == std::size_t{4} << 20);
  CHECK(near("a:1").ttl_ms == 500);
  CHECK_FALSE(near("b:1").is_on());
  CHECK_FALSE(near("other").is_on());
  CHECK(near("one/a:1").is_on());
  CHECK(near("one/a:1").cache == near("a:1").cache);
  CHECK(near("c:1").cache != near("a:1").cache);
  // It is settled when all workers have it.
  NearEpochs& epochs = *(*snapshot)->near_epochs;
  for (int worker = 0; worker < 4; ++worker) {
    CHECK_FALSE(epochs.read(0).is_settled);
    epochs.join();
  }
  CHECK(epochs.read(0).is_settled);
  const auto plain = make_snapshot(default_config(), {}, {});
  REQUIRE(plain.has_value());
  CHECK((*plain)->near_epochs == nullptr);
}
