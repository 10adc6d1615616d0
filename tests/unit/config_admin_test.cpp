// The table `admin` of a configuration.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "app/config.hpp"

using namespace tokenring;

namespace {

Config parsed(std::string_view text) {
  Result<Config, std::string> config = parse_config(text, "t.toml");
  if (!config) FAIL(config.error());
  return *std::move(config);
}

struct Bad {
  std::string_view text;
  std::string_view line;  // Without the name of the file.
};

// clang-format off
constexpr Bad kBad[] = {
    {R"([admin]
listen = "0.0.0.0:9150")",
     R"(2:10: admin.listen: "0.0.0.0:9150" is open to other hosts, so it needs a token; give token_file = "PATH", or an address such as "127.0.0.1:9150")"},
    {R"([admin]
listen = "[::]:9150")",
     R"(2:10: admin.listen: "[::]:9150" is open to other hosts, so it needs a token; give token_file = "PATH", or an address such as "127.0.0.1:9150")"},
    {R"([admin]
listen = "localhost:9150")",
     R"(2:10: admin.listen: "localhost:9150" is open to other hosts, so it needs a token; give token_file = "PATH", or an address such as "127.0.0.1:9150")"},
    {R"([admin]
listen = 0)",
     R"(2:10: admin.listen: 0 is out of range; give an integer from 1 to 65535)"},
    {R"([admin]
listen = "99999")",
     R"(2:10: admin.listen: "127.0.0.1:99999" has no valid port; give one of 1 to 65535)"},
    {R"([admin]
listen = ":9150")",
     R"(2:10: admin.listen: ":9150" is not an address; give "host:port", "[v6]:port" or "unix:/path")"},
    {R"([admin]
listen = "127.0.0.1:11211")",
     R"(2:10: admin.listen: "127.0.0.1:11211" is where clients connect; give another address)"},
    {R"([admin]
token_file = "/t")",
     R"(2:14: admin.token_file: has no effect without listen)"},
    {R"([admin]
token = "/t")",
     R"(2:1: admin.token: unknown key; did you mean "token_file"?)"},
};
// clang-format on

}  // namespace

TEST_CASE("the admin port is off unless it has an address, which may be a port alone") {
  const auto listen = [](std::string_view text) { return parsed(text).admin.listen; };
  CHECK(listen("").empty());
  CHECK(listen("[admin]\nlisten = \"\"").empty());
  CHECK(listen("[admin]\nlisten = 9150") == "127.0.0.1:9150");
  CHECK(listen("[admin]\nlisten = \"9150\"") == "127.0.0.1:9150");
  CHECK(listen("[admin]\nlisten = \"127.3.0.1:9150\"") == "127.3.0.1:9150");
  CHECK(listen("[admin]\nlisten = \"[::1]:9150\"") == "[::1]:9150");
  CHECK(listen("[admin]\nlisten = \"[0::0:1]:9150\"") == "[0::0:1]:9150");
  CHECK(listen("[admin]\nlisten = \"unix:/run/a\"") == "unix:/run/a");
  const Config open = parsed("[admin]\nlisten = \"0.0.0.0:9150\"\ntoken_file = \"/t\"");
  CHECK(open.admin.listen == "0.0.0.0:9150");
  CHECK(open.admin.token_file == "/t");
}

TEST_CASE("an admin port that is not sound is one line of error") {
  for (const Bad& bad : kBad) {
    CAPTURE(bad.text);
    const auto config = parse_config(bad.text, "t.toml");
    REQUIRE(!config.has_value());
    CHECK(config.error() == fmt::format("t.toml:{}", bad.line));
  }
}
