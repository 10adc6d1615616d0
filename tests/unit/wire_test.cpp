#include <doctest/doctest.h>

#include <array>
#include <string>

#include "tokenring/encode.hpp"
#include "tokenring/parse.hpp"
#include "wire/numbers.hpp"

using namespace tokenring;

namespace {

std::string upstream_of(std::string_view line) {
  Request request;
  const ParsedRequest result = parse_request(line, request);
  if (result.kind == ParsedRequest::Kind::kError) return std::string(line_of(result.error));
  if (result.kind != ParsedRequest::Kind::kRequest) return "?";
  std::string_view keys = request.keys;
  const std::string_view key = request.keys.empty() ? request.key : next_word(keys);
  Plan plan{.node_key = key, .key_is_base64 = request.key_is_base64, .opaque = 1};
  if (request.has_ttl && (request.exptime != 0 || request.verb() == Verb::kGet))
    plan.ttl = Expiry::from_exptime(request.exptime);
  if (request.has_vivify) plan.vivify = Expiry::from_exptime(request.vivify_exptime);
  plan.value_bytes = request.value_bytes;
  std::string out(encoded_size_max(request, plan), '\0');
  out.resize(static_cast<std::size_t>(encode_request(request, plan, out.data()) - out.data()));
  return out;
}

}  // namespace

TEST_CASE("write_bytes copies just its bytes, whatever their number") {
  const std::string from = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (std::size_t n = 0; n <= from.size(); ++n) {
    CAPTURE(n);
    std::string to(from.size() + 2, '.');
    CHECK(wire::write_bytes(to.data() + 1, std::string_view(from).substr(0, n)) ==
          to.data() + 1 + n);
    CHECK(to == "." + from.substr(0, n) + std::string(from.size() + 1 - n, '.'));
  }
}

TEST_CASE("each text write becomes one meta command, each text read stays") {
  CHECK(upstream_of("get a\r\n") == "get a");
  CHECK(upstream_of("gets a\r\n") == "gets a");
  CHECK(upstream_of("gat 60 a\r\n") == "gat 60 a");
  CHECK(upstream_of("set a 0 0 5\r\n") == "ms a 5 O0001\r\n");
  CHECK(upstream_of("set a 7 60 5 noreply\r\n") == "ms a 5 F7 T60 O0001\r\n");
  CHECK(upstream_of("add a 0 -1 5\r\n") == "ms a 5 ME T-1 O0001\r\n");
  CHECK(upstream_of("append a 3 60 5\r\n") == "ms a 5 MA F3 O0001\r\n");
  CHECK(upstream_of("cas a 0 0 5 77\r\n") == "ms a 5 C77 O0001\r\n");
  CHECK(upstream_of("delete a\r\n") == "md a O0001\r\n");
  CHECK(upstream_of("incr a 5\r\n") == "ma a v D5 O0001\r\n");
  CHECK(upstream_of("decr a 5\r\n") == "ma a MD v D5 O0001\r\n");
  CHECK(upstream_of("touch a 0\r\n") == "touch a 0\r\n");
}

TEST_CASE("meta flags go on in their order, but for those between client and proxy") {
  CHECK(upstream_of("mg a k v Oabc q f t\r\n") == "mg a v f t O0001\r\n");
  CHECK(upstream_of("ms YQ== 3 b T9 k c q\r\n") == "ms YQ== 3 b T9 c O0001\r\n");
  CHECK(upstream_of("mg a v C5\r\n") == "mg a v c O0001\r\n");
  CHECK(upstream_of("ma a N30 J5 MD\r\n") == "ma a N30 J5 MD O0001\r\n");
}
