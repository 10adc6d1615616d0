#include <doctest/doctest.h>

#include <string>

#include "load_client.hpp"
#include "load_histogram.hpp"

using namespace tokenring::bench;

TEST_CASE("histogram quantiles are within 0.8 percent") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100'000; ++value) histogram.add(value * 1000);
  for (const double q : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999}) {
    const double exact = q * 100'000'000 + 1000;
    CHECK(static_cast<double>(histogram.quantile(q)) == doctest::Approx(exact).epsilon(0.008));
  }
  CHECK(histogram.quantile(1) == 100'000'000);
  CHECK(histogram.count() == 100'000);
}

TEST_CASE("histogram takes the extremes") {
  Histogram histogram;
  CHECK(histogram.quantile(0.5) == 0);
  histogram.add(0);
  CHECK(histogram.quantile(1) == 0);
  histogram.add(UINT64_MAX);
  CHECK(histogram.quantile(1) == UINT64_MAX);
}

namespace {

struct Fixture {
  Workload workload;
  Tally tally;
  std::uint32_t fill_next = 0;

  Client client() {
    workload.prepare();
    return {workload, tally, fill_next, 1};
  }
  // The whole reply to the client's last request, a get of one key.
  std::string reply_to(const Client& client) const {
    const std::string key = client.output.substr(4, client.output.size() - 6);
    std::string reply = "VALUE " + key + " 0 " + std::to_string(workload.value_bytes) + "\r\n";
    workload.append_value(key, reply);
    return reply + "\r\nEND\r\n";
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a reply counts once whole, however it is cut") {
  workload.sets = 0;
  Client client = Fixture::client();
  REQUIRE(client.compose(7));
  const std::string reply = reply_to(client);
  for (std::size_t i = 0; i + 1 < reply.size(); ++i) {
    client.input += reply[i];
    REQUIRE(client.take_reply() == 0);
  }
  client.input += reply.back();
  CHECK(client.take_reply() == 7);
  CHECK(tally.requests == 1);
  CHECK(tally.hits == 1);
  CHECK(tally.wrong == 0);
}

TEST_CASE_FIXTURE(Fixture, "another key's value is wrong") {
  workload.sets = 0;
  Client client = Fixture::client();
  REQUIRE(client.compose(7));
  SUBCASE("named as asked") {
    client.input = reply_to(client);
    client.input[client.input.find("\r\n") + 2] ^= 1;
  }
  SUBCASE("named as what it is") {
    client.input = "VALUE other 0 5\r\nother\r\nEND\r\n";
  }
  SUBCASE("one value too many") {
    const std::string reply = reply_to(client);
    client.input = reply.substr(0, reply.size() - 5) + reply;
  }
  SUBCASE("a set's answer") {
    client.input = "STORED\r\n";
  }
  CHECK(client.take_reply() == 7);
  CHECK(tally.wrong == 1);
}

TEST_CASE_FIXTURE(Fixture, "misses and errors are told apart") {
  workload.sets = 0;
  workload.keys_per_get = 3;
  Client client = Fixture::client();
  REQUIRE(client.compose(1));
  REQUIRE(client.compose(2));
  client.input = "END\r\nSERVER_ERROR down\r\n";
  CHECK(client.take_reply() == 1);
  CHECK(client.take_reply() == 2);
  CHECK(tally.misses == 3);
  CHECK(tally.errors == 1);
  CHECK(tally.wrong == 0);
}

TEST_CASE_FIXTURE(Fixture, "a fill sets every key once") {
  workload.fill = true;
  workload.keys = 3;
  Client client = Fixture::client();
  CHECK(client.compose(1));
  CHECK(client.compose(2));
  CHECK(client.compose(3));
  CHECK_FALSE(client.compose(4));
  client.input = "STORED\r\nSTORED\r\n";
  CHECK(client.take_reply() == 1);
  CHECK(client.take_reply() == 2);
  CHECK(client.take_reply() == 0);
  CHECK(client.in_flight() == 1);
}

TEST_CASE_FIXTURE(Fixture, "an unasked reply is wrong") {
  Client client = Fixture::client();
  client.input = "END\r\n";
  CHECK(client.take_reply() == 0);
  CHECK(tally.wrong == 1);
}
