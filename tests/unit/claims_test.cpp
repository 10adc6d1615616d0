// What tokens say of their life, and what does not count.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "count_allocations.hpp"
#include "policy/claims.hpp"

using namespace tokenring;

namespace {

constexpr std::int64_t kNowSeconds = 1'790'000'000;
constexpr UnixTime kNow{kNowSeconds};

Claims read(std::string_view value) {
  ClaimsReader reader;
  return reader.read(value, kNow);
}

// Seconds from now; INT64_MAX for none.
std::int64_t life(std::string_view value) {
  const Claims claims = read(value);
  return claims.exp ? claims.exp->seconds - kNowSeconds : INT64_MAX;
}

std::string base64url(std::string_view in) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0;
  int held = 0;
  for (const char c : in) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) out += kAlphabet[bits >> (held - 6) & 63];
  }
  if (held > 0) out += kAlphabet[bits << (6 - held) & 63];
  return out;
}

std::string jwt(std::string_view payload) {
  return base64url(R"({"alg":"ES256","typ":"JWT"})") + "." + base64url(payload) + ".c2lnbmF0dXJl";
}

constexpr std::int64_t kNone = INT64_MAX;

}  // namespace

TEST_CASE("a JWT's exp ends its life") {
  CHECK(life(jwt(R"({"sub":"1","exp":1790000900,"iat":1789999000})")) == 900);
  CHECK(life(" " + jwt(R"({"exp":1790000900})") + "\r\n") == 900);
  CHECK(life(jwt(R"({"exp":1790000900.9})")) == 900);
  CHECK(life(jwt(R"({"exp":1790000900000})")) == 900);
  CHECK(life(jwt(R"({"sub":"1"})")) == kNone);
  CHECK(read(jwt(R"({"sub":"1"})")).understood);
  CHECK(read(jwt(R"({"exp":1790000900,"iat":1789999000})")).iat == UnixTime{1'789'999'000});
  // A token without a signature still says when it ends.
  CHECK(life(base64url(R"({"alg":"none"})") + "." + base64url(R"({"exp":1790000001})") + ".") == 1);
}

TEST_CASE("what is no compact JWT says nothing") {
  const std::string good = jwt(R"({"exp":1790000900})");
  for (const std::string& bad :
       {std::string("a.b.c"), std::string("..."), std::string("."), std::string(".."), "." + good,
        good + ".x", good + ".x.y", good.substr(0, good.rfind('.')), "Bearer " + good,
        jwt("[1790000900]"), jwt("1790000900"), jwt(R"({"exp":1790000900)"),
        jwt("{\"exp\":1790000900,\"x\":\"\xff\"}"), std::string("plain text"), std::string(),
        std::string("  \n")}) {
    CAPTURE(bad);
    CHECK(!read(bad).understood);
    CHECK(!read(bad).exp);
  }
}

TEST_CASE("JSON names its end in several ways, of which the earliest counts") {
  CHECK(life(R"({"exp":1790000900})") == 900);
  CHECK(life(R"({"exp":"1790000900"})") == 900);
  CHECK(life(R"({"expires_at":1790000900})") == 900);
  CHECK(life(R"({"expires_at":1790000900123})") == 900);
  CHECK(life(R"({"expires_at":"2026-09-21T14:28:20Z"})") == 900);
  CHECK(life(R"({"access_token":"x","expires_in":3600})") == 3600);
  CHECK(life(R"({"expires_in":"3600"})") == 3600);
  CHECK(life(R"({"expires_in":3600,"iat":1789999000})") == 2600);
  CHECK(life(R"({"exp":1790000900,"expires_in":60,"expires_at":1790000100})") == 60);
  CHECK(life(R"({"exp":1790000900,"exp":1790000100})") == 100);
  CHECK(life(R"({"exp":1790000100,"exp":1790000900})") == 100);
  CHECK(life(R"({"user":{"exp":1790000900}})") == kNone);
  CHECK(life(R"({"exp":true,"expires_at":null,"expires_in":[1],"iat":{}})") == kNone);
  CHECK(life(R"({"exp":"soon"})") == kNone);
  CHECK(life(R"({"exp":"inf"})") == kNone);
}

TEST_CASE("token_introspection is read in JSON and in a JWT") {
  CHECK(life(R"({"iat":1789999000,"token_introspection":{"active":true,"exp":1790000900}})") ==
        900);
  const std::string response =
      jwt(R"({"iss":"https://as.example.com/","aud":"rs","iat":1790000000,)"
          R"("token_introspection":{"active":true,"exp":1790000300,"iat":1789990000}})");
  CHECK(life(response) == 300);
  CHECK(read(response).iat == UnixTime{1'789'990'000});
  CHECK(read(jwt(R"({"token_introspection":{"active":false}})")).inactive);
  CHECK(life(R"({"exp":1790000100,"token_introspection":{"exp":1790000900}})") == 100);
  CHECK(life(R"({"token_introspection":{"token_introspection":{"exp":1790000900}}})") == kNone);
  CHECK(life(R"({"token_introspection":"x"})") == kNone);
}

TEST_CASE("a negative answer is seen") {
  CHECK(read(R"({"active":false})").inactive);
  CHECK(!read(R"({"active":true})").inactive);
  CHECK(!read(R"({"active":"false"})").inactive);
  CHECK(!read(R"({"active":0})").inactive);
  CHECK(!read(R"({"x":{"active":false}})").inactive);
}

TEST_CASE("times that contradict each other end at once, and none lengthens a life") {
  CHECK(read(R"({"exp":1790000900,"nbf":1790000901})").exp == UnixTime{1});
  CHECK(read(R"({"exp":1790000900,"iat":1790000901})").exp == UnixTime{1});
  CHECK(life(R"({"exp":1790000900,"nbf":1790000900})") == 900);
  CHECK(read(R"({"exp":0})").exp == UnixTime{1});
  CHECK(read(R"({"exp":-5})").exp == UnixTime{1});
  CHECK(read(R"({"exp":-1e300})").exp == UnixTime{1});
  CHECK(life(R"({"expires_in":-10})") == -10);
  CHECK(life(R"({"exp":1e18})") == 1'000'000'000'000'000 - kNowSeconds);
  // An iat that is still to come must not push expires_in out.
  CHECK(life(R"({"expires_in":60,"iat":1790000200})") == 60);
  CHECK(life(R"({"expires_in":60,"iat":1890000000})") == kNowSeconds * -1 + 1);
  CHECK(!read(R"({"iat":1890000000})").iat);
  CHECK(read(R"({"iat":1790000200})").iat == kNow);
  CHECK(!read(R"({"iat":-1})").iat);
}

TEST_CASE("hostile JSON says nothing") {
  const std::string deep(100, '[');
  for (const std::string& bad :
       {"{\"a\":" + deep, R"({"exp":1790000900,"a":)" + deep + std::string(100, ']') + "}",
        std::string("{"), std::string("{\"exp\""), std::string("{\"exp\":1790000900}x"),
        std::string("{\"exp\":01790000900}"), std::string("{\"exp\":1e999}"),
        std::string("{\"exp\":123456789012345678901234567890}"), std::string("{\"exp\":\0}", 8),
        std::string(70'000, '{'), "{\"exp\":1790000900" + std::string(70'000, ' ') + "}",
        R"({"a":")" + std::string(70'000, 'a') + R"(","exp":1790000900})"}) {
    CAPTURE(bad.substr(0, 40));
    CHECK(!read(bad).understood);
  }
  std::string full = R"({"exp":1790000900,"a":")";
  full += std::string(ClaimsReader::kValueBytesMax - full.size() - 2, 'a') + "\"}";
  REQUIRE(full.size() == ClaimsReader::kValueBytesMax);
  CHECK(life(full) == 900);
  CHECK(!read(full + "x").understood);
}

TEST_CASE("RFC 3339 dates are read, others are not") {
  CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_rfc3339("1969-12-31T23:59:59Z") == -1);
  CHECK(parse_rfc3339("2026-09-21T14:13:20Z") == 1'790'000'000);
  CHECK(parse_rfc3339("2026-09-21 14:13:20.999z") == 1'790'000'000);
  CHECK(parse_rfc3339("2026-09-21T16:13:20+02:00") == 1'790'000'000);
  CHECK(parse_rfc3339("2026-09-21t08:43:20-05:30") == 1'790'000'000);
  CHECK(parse_rfc3339("2000-02-29T12:00:00Z") == 951'825'600);
  CHECK(parse_rfc3339("2000-03-01T00:00:00Z") == 951'868'800);
  CHECK(parse_rfc3339("2100-12-31T23:59:60Z") == 4'133'980'800);
  CHECK(parse_rfc3339("0000-01-01T00:00:00Z") == -62'167'219'200);
  CHECK(parse_rfc3339("9999-12-31T23:59:59Z") == 253'402'300'799);
  for (const char* bad : {"", "2026-09-21", "2026-09-21T14:13:20", "2026-9-21T14:13:20Z",
                          "2026-13-21T14:13:20Z", "2026-00-21T14:13:20Z", "2026-09-32T14:13:20Z",
                          "2026-09-21T24:13:20Z", "2026-09-21T14:13:20.Z", "2026-09-21T14:13:20Zx",
                          "2026-09-21T14:13:20+0200", "x026-09-21T14:13:20Z"}) {
    CAPTURE(bad);
    CHECK(!parse_rfc3339(bad));
  }
}

TEST_CASE("reading allocates nothing after the first value") {
  ClaimsReader reader;
  std::string large = R"({"expires_in":60,"a":[)";
  for (int i = 0; i < 5000; ++i) large += "[],";
  large += "1]}";
  const std::vector<std::string> values{jwt(R"({"exp":1790000900})"), R"({"active":false})", large,
                                        "no token", "{\"broken\":"};
  CHECK(reader.read(values[0], kNow).exp);
  const std::size_t before = allocations;
  bool all = true;
  for (int i = 0; i < 1000; ++i)
    for (std::size_t v = 0; v < values.size(); ++v)
      all = all && reader.read(values[v], kNow).understood == (v < 3);
  const std::size_t allocated = allocations - before;
  CHECK(allocated == 0);
  CHECK(all);
}
