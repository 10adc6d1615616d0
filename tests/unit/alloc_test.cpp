// After warm-up the engine allocates nothing for a request, whatever its kind.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "cost/engine_rig.hpp"
#include "count_allocations.hpp"

using tokenring::cost::EngineRig;

namespace {

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

void check_allocates_nothing(EngineRig& rig, const std::vector<std::string>& requests) {
  for (const std::string& request : requests) {
    for (int i = 0; i < 200; ++i) static_cast<void>(rig.ask(request));
    const std::size_t before = allocations;
    std::size_t bytes = 0;
    for (int i = 0; i < 10'000; ++i) bytes += rig.ask(request);
    const std::size_t allocated = allocations - before;
    CHECK_MESSAGE(allocated == 0, request.substr(0, 40));
    const bool silent = request.find("noreply") != std::string::npos;
    CHECK((bytes > 0) == !silent);
  }
}

}  // namespace

TEST_CASE("a request allocates nothing after warm-up") {
  const std::string big(1024, 'x');
  const std::vector<std::string> requests = {
      "get hit\r\n",
      "get miss\r\n",
      "gets hit\r\n",
      "get h1 h2 h3 h4 h5 m6 h7 h8 h9 h10\r\n",
      "set k 1 60 100\r\n" + std::string(100, 'x') + "\r\n",
      "set k 0 0 1024\r\n" + big + "\r\n",
      "set k 0 0 1024 noreply\r\n" + big + "\r\n",
      "mg k v Oabc k\r\n",
      "ms k 1024 T60 k Oabc\r\n" + big + "\r\n",
      "md k q\r\nmn\r\n",
      "delete k\r\n",
      "incr k 5\r\n",
      "bogus\r\n",
      repeated("get hit\r\n", 16),
      repeated("mg a v q\r\n", 10) + "mn\r\n",
      "get " + std::string(240, 'h') + "\r\n",
  };
  EngineRig rig({});
  check_allocates_nothing(rig, requests);
}

TEST_CASE("neither does one in a sealed namespace") {
  const std::string token = R"({"active":true,"exp":1790000300,"scope":"openid email profile",)"
                            R"("username":"a.user@example.com"})";
  const std::string big(1024, 'x');
  const std::vector<std::string> requests = {
      fmt::format("set hk 0 60 {}\r\n{}\r\n", token.size(), token),
      "get hk\r\n",
      "gets hk\r\n",
      "get hk hk hk miss hk\r\n",
      "mg hk v t s\r\n",
      "mg hk\r\n",
      fmt::format("ms h{} 1024 T60 k Oabc\r\n{}\r\n", std::string(1000, 'k'), big),
      "set hk 0 0 1 noreply\r\n5\r\n",
      "incr hk 0\r\n",
      "ma hk N0 J1 D0 v\r\n",
      "append hk 0 0 0\r\n\r\n",
      "delete hk\r\n",
      repeated("set hk 0 0 1\r\n5\r\nget hk\r\nincr hk 0\r\n", 8),
  };
  EngineRig rig({.seals = true, .compresses = true});
  check_allocates_nothing(rig, requests);
}

TEST_CASE("neither does one that is answered with what is kept near") {
  const std::vector<std::string> requests = {
      "get hit\r\n",          "get hit miss hit2\r\n",     "mg hit v f s k Oabc\r\n",
      "mg hit v q\r\nmn\r\n", repeated("get hit\r\n", 16), "set hk 0 60 3\r\nabc\r\nget hk\r\n",
      "get hk\r\n",           "mg hk v f s k Oabc\r\n",    "delete hk\r\n",
  };
  for (const bool seals : {false, true}) {
    EngineRig rig({.seals = seals, .near = true});
    static_cast<void>(rig.ask("set hk 0 60 3\r\nabc\r\n"));
    check_allocates_nothing(rig, requests);
    static_cast<void>(rig.ask("get hk\r\n"));
    static_cast<void>(rig.ask("get hk\r\n"));
    CHECK(rig.nodes_asked() == 0);
  }
}
