// What is told of nodes and times: sums of their stats, and histograms of latencies.
#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/latency.hpp"
#include "proxy/stats_sum.hpp"

using namespace tokenring;

namespace {

std::string summed(std::initializer_list<std::string_view> lines, bool settings = false) {
  StatsSum sum(settings);
  for (const std::string_view line : lines) CHECK(sum.add(line));
  return sum.text();
}

}  // namespace

TEST_CASE("counters of nodes are added up, in the order in which they first came") {
  CHECK(summed({"cmd_get 3", "curr_items 1", "cmd_get 4", "curr_items 10", "new 1"}) ==
        "STAT cmd_get 7\r\nSTAT curr_items 11\r\nSTAT new 1\r\nEND\r\n");
  CHECK(summed({"curr_items 1", "cmd_get 3", "cmd_get 4"}) ==
        "STAT curr_items 1\r\nSTAT cmd_get 7\r\nEND\r\n");
  CHECK(summed({}) == "END\r\n");
}

TEST_CASE("where a sum means nothing the largest or the first counts") {
  CHECK(summed({"uptime 5", "uptime 9", "uptime 7"}) == "STAT uptime 9\r\nEND\r\n");
  CHECK(summed({"pointer_size 64", "pointer_size 32"}) == "STAT pointer_size 64\r\nEND\r\n");
  CHECK(summed({"items:1:number 2", "items:1:age 40", "items:1:number 3", "items:1:age 7"}) ==
        "STAT items:1:number 5\r\nSTAT items:1:age 40\r\nEND\r\n");
  CHECK(summed({"1:chunk_size 96", "1:total_chunks 10", "1:chunk_size 96", "1:total_chunks 10"}) ==
        "STAT 1:chunk_size 96\r\nSTAT 1:total_chunks 20\r\nEND\r\n");
}

TEST_CASE("seconds with a point are added up, and words are the first node's") {
  CHECK(summed({"rusage_user 1.250000", "rusage_user 0.500000"}) ==
        "STAT rusage_user 1.750000\r\nEND\r\n");
  CHECK(summed({"version 1.6.18", "version 1.6.40"}) == "STAT version 1.6.18\r\nEND\r\n");
  CHECK(summed({"libevent 2.1.12-stable", "libevent 2.1.11"}) ==
        "STAT libevent 2.1.12-stable\r\nEND\r\n");
  // One that changes its kind from node to node is the first one's.
  CHECK(summed({"a 5", "a five"}) == "STAT a 5\r\nEND\r\n");
  CHECK(summed({"a five", "a 5"}) == "STAT a five\r\nEND\r\n");
}

TEST_CASE("of settings only amounts are added up") {
  CHECK(summed({"maxbytes 100", "tcpport 1", "num_threads 4", "maxbytes 50", "tcpport 2",
                "num_threads 4"},
               true) == "STAT maxbytes 150\r\nSTAT tcpport 1\r\nSTAT num_threads 4\r\nEND\r\n");
}

TEST_CASE("numbers up to 2^64 keep all digits, and wrap beyond") {
  CHECK(summed({"bytes_read 18446744073709551615"}) ==
        "STAT bytes_read 18446744073709551615\r\nEND\r\n");
  CHECK(summed({"bytes_read 18446744073709551615", "bytes_read 2"}) ==
        "STAT bytes_read 1\r\nEND\r\n");
}

TEST_CASE("ours takes the place of theirs, or comes last") {
  StatsSum sum;
  REQUIRE(sum.add("pid 17"));
  REQUIRE(sum.add("cmd_get 1"));
  sum.set("pid", "42");
  sum.set("extra", "yes");
  REQUIRE(sum.add("pid 18"));
  CHECK(sum.text() == "STAT pid 42\r\nSTAT cmd_get 1\r\nSTAT extra yes\r\nEND\r\n");
}

TEST_CASE("what is no line of stats is refused, and so are too many") {
  StatsSum sum;
  CHECK(!sum.add(""));
  CHECK(!sum.add("  "));
  CHECK(!sum.add("name " + std::string(StatsSum::kRowBytesMax, 'x')));
  CHECK(sum.add("empty"));
  for (std::size_t i = 1; i < StatsSum::kRowsMax; ++i) REQUIRE(sum.add("n" + std::to_string(i)));
  CHECK(!sum.add("one_too_many 1"));
  CHECK(sum.add("n7 1"));
}

TEST_CASE("a duration is counted in a bucket whose ends are 1/16 apart at most") {
  using Histogram = LatencyHistogram;
  std::size_t last = 0;
  std::int64_t ns = 0;
  while (ns < std::int64_t{60} * 3600 * 1'000'000'000) {
    const std::size_t bucket = Histogram::bucket_of(ns);
    REQUIRE(bucket < Histogram::kBuckets);
    REQUIRE((bucket == last || bucket == last + 1));
    if (bucket + 1 < Histogram::kBuckets) {
      // It is before the bucket's end, and behind the end of the one in front.
      REQUIRE(static_cast<std::uint64_t>(ns) < Histogram::end_ns(bucket));
      if (bucket > 0) REQUIRE(static_cast<std::uint64_t>(ns) >= Histogram::end_ns(bucket - 1));
      if (bucket >= 16)
        REQUIRE(Histogram::end_ns(bucket) * 16 <= Histogram::end_ns(bucket - 1) * 17);
    }
    last = bucket;
    ns += ns / 64 + 1;
  }
  CHECK(last == Histogram::kBuckets - 1);
  CHECK(Histogram::bucket_of(-5) == 0);
  CHECK(Histogram::bucket_of(INT64_MAX) == Histogram::kBuckets - 1);
}

TEST_CASE("what was recorded is counted once, with its sum") {
  const auto histogram = std::make_unique<LatencyHistogram>();
  histogram->record(100);
  histogram->record(1'000'000);
  histogram->record(1'000'001);
  histogram->record(-1);  // A clock that went back.
  CHECK(histogram->count_at(LatencyHistogram::bucket_of(100)) == 1);
  CHECK(histogram->count_at(LatencyHistogram::bucket_of(1'000'000)) == 2);
  CHECK(histogram->count_at(0) == 1);
  CHECK(histogram->sum_ns() == 2'000'101);
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) all += histogram->count_at(i);
  CHECK(all == 4);
}
