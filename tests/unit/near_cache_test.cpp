// What a worker keeps, and how it learns that it is old.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "policy/near.hpp"
#include "proxy/near_cache.hpp"

using namespace tokenring;

namespace {

constexpr std::size_t kBytes = std::size_t{1} << 20;
constexpr Instant kStart{1'000'000'000};

Now at_ms(std::int64_t ms) {
  return {.unix_time = {1'000 + ms / 1000}, .instant = kStart.plus_ms(ms)};
}

// A hash that many keys have in common, so that only the key itself tells them apart.
NearCache::Key named(std::string_view key, std::uint64_t hash = 7, std::uint16_t space = 0) {
  return {key, space, hash};
}

NearCache::Value value_of(std::string_view value, std::int64_t until_ms = 1'000,
                          std::uint32_t epoch = 1) {
  NearCache::Value kept;
  kept.value = value;
  kept.client_flags = 4'000'000'000;
  kept.epoch = epoch;
  kept.until = kStart.plus_ms(until_ms);
  return kept;
}

std::string found(NearCache& cache, const NearCache::Key& key, std::int64_t ms = 0,
                  std::uint32_t epoch = 1) {
  const auto hit = cache.find(key, epoch, at_ms(ms));
  if (!hit) return "nothing";
  CHECK(hit->line.data() + hit->line.size() == hit->value.data());
  CHECK(std::string_view(hit->value.data() + hit->value.size(), 2) == "\r\n");
  CHECK(hit->client_flags == 4'000'000'000);
  return std::string(hit->line) + std::string(hit->value);
}

}  // namespace

TEST_CASE("a value is given out as a node would") {
  NearCache cache(kBytes);
  CHECK(found(cache, named("k")) == "nothing");
  cache.keep(named("k"), value_of("seven"), at_ms(0));
  CHECK(found(cache, named("k")) == "VALUE k 4000000000 5\r\nseven");
  cache.keep(named("k"), value_of(""), at_ms(0));
  CHECK(found(cache, named("k")) == "VALUE k 4000000000 0\r\n");
}

TEST_CASE("whoever has the same hash has another value") {
  NearCache cache(kBytes);
  cache.keep(named("k"), value_of("1"), at_ms(0));
  CHECK(found(cache, named("kk")) == "nothing");
  CHECK(found(cache, named("j")) == "nothing");
  CHECK(found(cache, named("k", 7, 1)) == "nothing");
  CHECK(found(cache, named("k")) == "VALUE k 4000000000 1\r\n1");
  cache.keep(named("j"), value_of("2"), at_ms(0));
  CHECK(found(cache, named("k")) == "nothing");
  CHECK(found(cache, named("j")) == "VALUE j 4000000000 1\r\n2");
}

TEST_CASE("it is over when a write began, when its time is up, and when the token is") {
  NearCache cache(kBytes);
  cache.keep(named("k"), value_of("1"), at_ms(0));
  CHECK(found(cache, named("k"), 0, 2) == "nothing");
  CHECK(found(cache, named("k"), 0, 1) == "nothing");  // It went with the first look.
  cache.keep(named("k"), value_of("1"), at_ms(0));
  CHECK(found(cache, named("k"), 999) != "nothing");
  CHECK(found(cache, named("k"), 1'000) == "nothing");
  NearCache::Value token = value_of("1", 60'000);
  token.exp = 1'003;
  cache.keep(named("k"), token, at_ms(0));
  CHECK(found(cache, named("k"), 2'999) != "nothing");
  CHECK(found(cache, named("k"), 3'000) == "nothing");
  cache.keep(named("k"), value_of("1", 1'000), at_ms(1'000));
  CHECK(found(cache, named("k"), 1'000) == "nothing");
}

TEST_CASE("what is over leaves nothing behind") {
  NearCache cache(kBytes);
  for (unsigned i = 0; i < 500; ++i)
    cache.keep(named(fmt::format("k{}", i), std::uint64_t{i} << 34), value_of("1"), at_ms(0));
  const std::uint64_t full = cache.bytes();
  CHECK(full > 0);
  for (int i = 0; i < 100; ++i) cache.sweep(100, at_ms(900));
  CHECK(cache.bytes() == full);
  for (int i = 0; i < 100; ++i) cache.sweep(100, at_ms(1'200));
  CHECK(cache.bytes() == 0);
}

TEST_CASE("large values are not kept, and keys of any length are") {
  NearCache cache(kBytes);
  const std::string key(8'192, 'k');
  cache.keep(named(key), value_of("1"), at_ms(0));
  CHECK(found(cache, named(key)) == "VALUE " + key + " 4000000000 1\r\n1");
  cache.keep(named("k"), value_of("1"), at_ms(0));
  cache.keep(named("j"), value_of(std::string(kBytes / NearCache::kEntryShare, 'x')), at_ms(0));
  CHECK(found(cache, named("j")) == "nothing");
  CHECK(found(cache, named("k")) != "nothing");
}

TEST_CASE("what is asked for again and again stays, whatever passes through") {
  NearCache cache(kBytes);
  const std::string value(1'000, 'v');
  const auto key = [](unsigned i) {
    return named("key", std::uint64_t{i} * 0x9E37'79B9'7F4A'7C15);
  };
  for (unsigned i = 0; i < 100; ++i) cache.keep(key(i), value_of(value), at_ms(0));
  for (unsigned i = 100; i < 20'000; ++i) {
    cache.keep(key(i), value_of(value), at_ms(0));
    for (unsigned hot = i % 10; hot < 100; hot += 10)
      CHECK(cache.find(key(hot), 1, at_ms(0)).has_value());
  }
  CHECK(cache.bytes() <= kBytes);
}

TEST_CASE("a write is under way from its beginning to its end") {
  const auto epochs = std::make_unique<NearEpochs>(2, 0);
  CHECK_FALSE(epochs->read(3).is_settled);
  epochs->join();
  CHECK_FALSE(epochs->read(3).is_settled);
  epochs->join();
  const NearEpochs::Seen before = epochs->read(3);
  const NearEpochs::Seen other = epochs->read(4);
  CHECK(before.is_settled);
  epochs->begin(3);
  CHECK_FALSE(epochs->read(3).is_settled);
  CHECK(epochs->read(3).epoch != before.epoch);
  epochs->begin(3);
  epochs->end(3);
  CHECK_FALSE(epochs->read(3).is_settled);
  epochs->end(3);
  CHECK(epochs->read(3).is_settled);
  CHECK(epochs->read(3).epoch != before.epoch);
  CHECK(epochs->read(4).epoch == other.epoch);
  epochs->begin(NearEpochs::kAll);
  CHECK_FALSE(epochs->read(4).is_settled);
  epochs->end(NearEpochs::kAll);
  CHECK(epochs->read(4).is_settled);
  CHECK(epochs->read(4).epoch != other.epoch);
  epochs->leave();
  CHECK_FALSE(epochs->read(4).is_settled);
}

TEST_CASE("what is kept by one thread is never older than what another was told is written") {
  const auto epochs = std::make_unique<NearEpochs>(0, 0);
  std::atomic<unsigned> node = 0;  // What the node has.
  std::atomic<unsigned> told = 0;  // What clients know to be written.
  std::atomic<bool> stop = false;
  std::vector<std::jthread> readers;
  std::atomic<unsigned> wrong = 0;
  std::atomic<unsigned> hits = 0;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      unsigned kept = 0;
      NearEpochs::Seen at;
      while (!stop) {
        const unsigned known = told;
        const NearEpochs::Seen now = epochs->read(5);
        if (at.is_settled && now.is_settled && now.epoch == at.epoch) {
          wrong += kept < known;
          ++hits;
          continue;
        }
        const unsigned read = node;
        const NearEpochs::Seen after = epochs->read(5);
        kept = read;
        at = now;
        at.is_settled = now.is_settled && after.is_settled && after.epoch == now.epoch;
      }
    });
  }
  for (unsigned i = 1; i <= 20'000; ++i) {
    epochs->begin(5);
    node = i;
    epochs->end(5);
    told = i;
    if (i % 64 == 0) std::this_thread::yield();
  }
  stop = true;
  readers.clear();
  CHECK(wrong == 0);
  CHECK(epochs->read(5).is_settled);
}
