// What answers of an introspection endpoint say, and when it is asked no more.
#include "policy/introspection.hpp"

#include <doctest/doctest.h>

#include <string>

#include "policy/breaker.hpp"

using namespace tokenring;

TEST_CASE("an answer is an object with a boolean active") {
  CHECK(read_verdict(R"({"active":true})") == Verdict::kActive);
  CHECK(read_verdict(R"( {"x":[{}],"active": false } )") == Verdict::kInactive);
  CHECK(read_verdict(R"({"active":true,"active":false})") == Verdict::kInactive);
  for (const std::string_view bad :
       {"", "{}", "[]", "true", "nonsense", R"({"active":"true"})", R"({"active":1})",
        R"({"active":null})", R"({"active":true)", R"({"active":true}})", R"([{"active":true}])",
        R"({"a":{"active":true}})"})
    CHECK(read_verdict(bad) == Verdict::kMalformed);
}

TEST_CASE("an answer has a bound") {
  const std::string big(Introspection::kAnswerBytesMax, 'x');
  CHECK(read_verdict(R"({"active":true,"x":")" + big + "\"}") == Verdict::kMalformed);
}

TEST_CASE("a breaker opens after failures in a row, and one probe decides") {
  constexpr Breaker::Limits kLimits{.failures = 3, .pause_ms = 100};
  const Instant start{1};
  Breaker breaker;
  CHECK_FALSE(breaker.failed(kLimits, start));
  CHECK_FALSE(breaker.failed(kLimits, start));
  CHECK_FALSE(breaker.succeeded());  // Not in a row, then.
  CHECK_FALSE(breaker.failed(kLimits, start));
  CHECK_FALSE(breaker.failed(kLimits, start));
  CHECK(breaker.may_ask(start));
  CHECK(breaker.failed(kLimits, start));
  CHECK(breaker.is_open());
  CHECK_FALSE(breaker.may_ask(start.plus_ms(99)));
  CHECK_FALSE(breaker.failed(kLimits, start.plus_ms(99)));  // It was asked before.
  CHECK(breaker.may_ask(start.plus_ms(100)));
  CHECK_FALSE(breaker.may_ask(start.plus_ms(100)));  // One probe at a time.
  CHECK(breaker.failed(kLimits, start.plus_ms(150)));
  CHECK_FALSE(breaker.may_ask(start.plus_ms(249)));
  CHECK(breaker.may_ask(start.plus_ms(250)));
  CHECK(breaker.succeeded());
  CHECK_FALSE(breaker.is_open());
  CHECK(breaker.may_ask(start.plus_ms(250)));
  CHECK(breaker.may_ask(start.plus_ms(250)));
}
