// The store's promises about memory: bounded, honest, and well spent.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/arena.hpp"
#include "store/store.hpp"

using namespace tokenring;

namespace {

constexpr std::uint32_t kNow = 1'790'000'000;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

std::size_t resident_bytes() {
  long total = 0;
  long resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  REQUIRE(file != nullptr);
  REQUIRE(std::fscanf(file, "%ld %ld", &total, &resident) == 2);
  std::fclose(file);
  return static_cast<std::size_t>(resident) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

bool put(store::Store& store, std::string_view key, std::size_t size, std::uint32_t now = kNow,
         std::uint32_t deadline = 0) {
  const store::HashedKey hashed = store.hashed(key);
  store::Item* old = store.find(hashed, now);
  const store::Place place = old != nullptr ? store.remove(*old) : store.place_for(hashed);
  store::Item* item = store.allocate(hashed, size, nullptr, now);
  if (item == nullptr) return false;
  std::fill(item->value_bytes().begin(), item->value_bytes().end(), 'v');
  item->deadline = deadline;
  store.link(*item, place);
  return true;
}

bool get(store::Store& store, std::string_view key, std::uint32_t now = kNow) {
  store::Item* item = store.find(store.hashed(key), now);
  if (item == nullptr) return false;
  store::Store::hit(*item, now);
  return true;
}

// What the least recently used order would keep: as many items as the store does.
class Lru {
 public:
  explicit Lru(std::size_t items_max) : items_max_(items_max) {}
  bool get_or_put(std::uint32_t key) {
    if (const auto found = places_.find(key); found != places_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return true;
    }
    order_.push_front(key);
    places_[key] = order_.begin();
    if (order_.size() > items_max_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    return false;
  }

 private:
  std::size_t items_max_;
  std::list<std::uint32_t> order_;
  std::unordered_map<std::uint32_t, std::list<std::uint32_t>::iterator> places_;
};

// Draws keys of a Zipf law: the k-th most popular has a weight of k to the -alpha.
class Zipf {
 public:
  Zipf(std::size_t keys, double alpha) : sums_(keys) {
    double sum = 0;
    for (std::size_t i = 0; i < keys; ++i) sums_[i] = sum += std::pow(double(i + 1), -alpha);
  }
  std::uint32_t operator()(std::mt19937_64& random) const {
    const double at = std::uniform_real_distribution<double>(0, sums_.back())(random);
    return static_cast<std::uint32_t>(std::lower_bound(sums_.begin(), sums_.end(), at) -
                                      sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

struct HitRatios {
  double store;
  double lru;
};

HitRatios hit_ratios(double alpha, std::size_t keys, std::size_t bytes, std::size_t value_size) {
  const auto name = [](std::uint32_t key) { return "token:" + std::to_string(key); };
  store::Store store(bytes, 0);
  std::size_t capacity = 0;
  for (std::uint32_t i = 0; store.stats().evictions < 1000; ++i) {
    put(store, name(i + 1'000'000'000), value_size);
    capacity = std::max<std::size_t>(capacity, store.stats().items);
  }
  store.clear();
  Lru lru(capacity);
  std::mt19937_64 random(42);
  const Zipf zipf(keys, alpha);
  constexpr int kRequests = 1'000'000;
  int hits = 0;
  int lru_hits = 0;
  for (int i = 0; i < kRequests; ++i) {
    const std::uint32_t key = zipf(random);
    if (get(store, name(key))) {
      ++hits;
    } else {
      put(store, name(key), value_size);
    }
    lru_hits += lru.get_or_put(key) ? 1 : 0;
  }
  return {.store = double(hits) / kRequests, .lru = double(lru_hits) / kRequests};
}

}  // namespace

TEST_CASE("S3-FIFO keeps more of a Zipf load than LRU does") {
  struct Load {
    double alpha;
    std::size_t bytes;  // Of memory; 200,000 keys with values of 200 bytes would need 57 MB.
    double gain_min;    // In hits per request.
  };
  for (const Load load :
       {Load{0.7, 1 << 20, 0.08}, Load{0.7, 4 << 20, 0.06}, Load{0.9, 1 << 20, 0.08},
        Load{0.9, 4 << 20, 0.05}, Load{1.0, 1 << 20, 0.06}, Load{1.0, 4 << 20, 0.03}}) {
    const HitRatios ratios = hit_ratios(load.alpha, 200'000, load.bytes, 200);
    CAPTURE(load.alpha);
    CAPTURE(load.bytes);
    CAPTURE(ratios.store);
    CHECK(ratios.store > ratios.lru + load.gain_min);
  }
}

TEST_CASE("a full store grows the process by about bytes_max, and most of that is items") {
  constexpr std::size_t kBytesMax = std::size_t{64} << 20;
  const std::size_t before = resident_bytes();
  store::Store store(kBytesMax, 0);
  // meson sets MALLOC_PERTURB_, and then calloc touches all it gives.
  if (!kSanitized && std::getenv("MALLOC_PERTURB_") == nullptr)
    CHECK(resident_bytes() - before < kBytesMax / 20);
  std::mt19937_64 random(3);
  std::uniform_int_distribution<std::size_t> small(50, 900);
  std::uniform_int_distribution<std::size_t> large(20'000, 400'000);
  for (int i = 0; i < 600'000; ++i) {
    // The mix of sizes shifts from small to large and back, which leaves holes of the wrong size.
    const bool is_large = i / 100'000 % 2 == 1 && i % 50 == 0;
    REQUIRE(put(store, "token:" + std::to_string(i % 400'000),
                is_large ? large(random) : small(random)));
  }
  CHECK(store.consistent());
  CHECK(store.stats().evictions > 100'000);
  CHECK(double(store.stats().bytes) > 0.85 * kBytesMax);
  const std::size_t grown = resident_bytes() - before;
  if (!kSanitized) CHECK(grown < kBytesMax + kBytesMax * 15 / 100);
}

TEST_CASE("an item is charged its header and less than 16 bytes of slack") {
  store::Store store(1 << 20, 0);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{30}, std::size_t{5000}}) {
    const std::uint64_t before = store.stats().bytes;
    REQUIRE(put(store, "key" + std::to_string(size), size));
    const std::size_t payload = 3 + std::to_string(size).size() + size;
    CHECK(store.stats().bytes - before >= payload + store::Item::kHeaderBytes);
    CHECK(store.stats().bytes - before < payload + store::Item::kHeaderBytes + 16);
  }
}

TEST_CASE("a large item finds room among small ones, at the cost of about its size") {
  store::Store store(4 << 20, 0);
  for (int i = 0; i < 40'000; ++i) REQUIRE(put(store, std::to_string(i), 100));
  const store::StoreStats before = store.stats();
  REQUIRE(put(store, "large", 1 << 20));
  const store::StoreStats after = store.stats();
  CHECK(get(store, "large"));
  CHECK(store.consistent());
  CHECK(after.evictions - before.evictions < (1 << 20) / 160 + 100);
}

TEST_CASE("an item that is being rewritten is not evicted for its own copy") {
  store::Store store(store::Store::kBytesMin, 0);
  REQUIRE(put(store, "kept", 20'000));
  const store::HashedKey kept = store.hashed("kept");
  for (int i = 0; i < 500; ++i) {
    const store::Item* item = store.find(kept, kNow);
    REQUIRE(item != nullptr);
    const std::string name = std::to_string(i);
    store::Item* other = store.allocate(store.hashed(name), 2'000, item, kNow);
    REQUIRE(other != nullptr);
    store.link(*other, {});
  }
  CHECK(store.find(kept, kNow) != nullptr);
  CHECK(store.allocate(store.hashed("too much"), 50'000, store.find(kept, kNow), kNow) == nullptr);
  CHECK(store.stats().items == 1);
  CHECK(store.consistent());
}

TEST_CASE("expired items go before live ones do") {
  store::Store store(1 << 20, 0);
  int live = 0;
  while (store.stats().bytes < 500'000) REQUIRE(put(store, "live" + std::to_string(live++), 100));
  for (int i = 0; store.stats().bytes < 900'000; ++i)
    REQUIRE(put(store, "dying" + std::to_string(i), 100, kNow, kNow + 10));
  for (int i = 0; i < live; ++i) CHECK(get(store, "live" + std::to_string(i)));
  const std::uint64_t evictions = store.stats().evictions;
  for (int i = 0; i < 2500; ++i)
    REQUIRE(put(store, "new" + std::to_string(i), 100, kNow + 10, kNow + 1000));
  CHECK(store.stats().reclaimed > 1000);
  CHECK(store.stats().reclaimed > 2 * (store.stats().evictions - evictions));
}

TEST_CASE("CAS numbers only grow") {
  store::Store store(1 << 20, 0);
  std::uint64_t last = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t cas = store.next_cas();
    CHECK(cas > last);
    last = cas;
    if (i == 500) store.clear();
  }
}

TEST_CASE("an arena hands out pieces that do not overlap and merges what comes back") {
  constexpr std::size_t kBytes = 256 << 10;
  std::vector<std::max_align_t> memory(kBytes / sizeof(std::max_align_t));
  store::Arena arena(reinterpret_cast<char*>(memory.data()), kBytes);
  std::mt19937 random(5);
  std::vector<store::Ref> pieces;
  std::uint64_t used = 0;
  for (int i = 0; i < 50'000; ++i) {
    if (random() % 5 < 3) {
      const auto granules =
          static_cast<std::uint32_t>(1 + random() % (random() % 20 == 0 ? 2000 : 40));
      const store::Ref piece = arena.allocate(granules);
      if (piece == 0) continue;
      REQUIRE(arena.block(piece).size == granules);
      used += granules;
      pieces.push_back(piece);
    } else if (!pieces.empty()) {
      std::swap(pieces[random() % pieces.size()], pieces.back());
      used -= arena.block(pieces.back()).size;
      arena.release(pieces.back());
      pieces.pop_back();
    }
    if (i % 500 == 0) REQUIRE(arena.consistent());
    REQUIRE(arena.granules_used() == used);
  }
  for (const store::Ref piece : pieces) arena.release(piece);
  CHECK(arena.consistent());
  CHECK(arena.allocate(arena.granules_total()) != 0);
}
