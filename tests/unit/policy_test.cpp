#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "policy/namespaces.hpp"

using namespace tokenring;

namespace {

constexpr UnixTime kNow{1'790'000'000};
constexpr std::uint64_t kMost = UINT64_MAX;

NamespaceTable table_of(const std::vector<std::string>& prefixes) {
  std::vector<Namespace> namespaces;
  for (std::uint32_t i = 0; i < prefixes.size(); ++i)
    namespaces.push_back({.prefix = prefixes[i], .pool = i, .life = {}});
  return NamespaceTable(std::move(namespaces));
}

// The prefix found, or "-".
std::string found(const NamespaceTable& table, std::string_view key) {
  const Namespace* space = table.find(key);
  return space == nullptr ? "-" : space->prefix;
}

// What find() has to agree with.
std::string longest(const std::vector<std::string>& prefixes, std::string_view key) {
  const std::string* best = nullptr;
  for (const std::string& prefix : prefixes)
    if (key.starts_with(prefix) && (best == nullptr || prefix.size() > best->size()))
      best = &prefix;
  return best == nullptr ? "-" : *best;
}

std::int64_t granted(const LifeRules& rules, std::int32_t exptime, std::uint64_t random = 0) {
  return granted_life(rules, Expiry::from_exptime(exptime), kNow, random).remaining_s(kNow);
}

LifeRule reason(const LifeRules& rules, std::int32_t exptime, std::uint64_t random = 0) {
  LifeRule by = LifeRule::kNone;
  static_cast<void>(granted_life(rules, Expiry::from_exptime(exptime), kNow, random, &by));
  return by;
}

}  // namespace

TEST_CASE("a shortened life has a reason") {
  const LifeRules rules{.ttl_cap_s = 100, .ttl_default_s = 50, .ttl_jitter = 0.5};
  CHECK(reason(rules, 10) == LifeRule::kNone);
  CHECK(reason(rules, 10, kMost) == LifeRule::kJitter);
  CHECK(reason(rules, 0) == LifeRule::kDefault);
  CHECK(reason(rules, 200, kMost) == LifeRule::kCap);
  CHECK(reason(rules, -1) == LifeRule::kNone);
  CHECK(reason({.ttl_cap_s = 100, .ttl_default_s = 500}, 0) == LifeRule::kCap);
  CHECK(reason({.ttl_cap_s = 100, .max_age_s = 60}, 200) == LifeRule::kMaxAge);
  CHECK(reason({.ttl_cap_s = 100, .max_age_s = 60}, 70) == LifeRule::kMaxAge);
  CHECK(reason({}, 0) == LifeRule::kNone);
}

TEST_CASE("the longest prefix wins, whatever the order of the namespaces") {
  std::vector<std::string> prefixes{"a", "auth:", "auth:refresh:", "au", "auth:r", "b"};
  std::sort(prefixes.begin(), prefixes.end());
  do {
    const NamespaceTable table = table_of(prefixes);
    REQUIRE(found(table, "auth:refresh:1") == "auth:refresh:");
    REQUIRE(found(table, "auth:refresh") == "auth:r");
    REQUIRE(found(table, "auth:") == "auth:");
    REQUIRE(found(table, "auth:s") == "auth:");
    REQUIRE(found(table, "auth") == "au");
    REQUIRE(found(table, "azure") == "a");
    REQUIRE(found(table, "c") == "-");
    REQUIRE(found(table, "") == "-");
  } while (std::next_permutation(prefixes.begin(), prefixes.end()));
}

TEST_CASE("a table without namespaces has no key, one with the empty prefix has all") {
  CHECK(NamespaceTable().find("key") == nullptr);
  CHECK(NamespaceTable().find("") == nullptr);
  const NamespaceTable only_default = table_of({""});
  REQUIRE(only_default.find("key") != nullptr);
  CHECK(only_default.find("")->prefix.empty());
  const NamespaceTable both = table_of({"", "s:"});
  CHECK(both.find("s:1")->pool == 1);
  CHECK(both.find("s")->pool == 0);
  CHECK(both.find("\xFF")->pool == 0);
}

TEST_CASE("a copied or moved table finds its own namespaces") {
  NamespaceTable table = table_of({"a:", ""});
  const NamespaceTable copy = table;
  const NamespaceTable moved = std::move(table);
  for (const NamespaceTable* other : {&copy, &moved}) {
    CHECK(other->find("a:1") == &other->all()[0]);
    CHECK(other->find("b") == &other->all()[1]);
  }
}

TEST_CASE("all namespaces are listed from the longest prefix to the shortest") {
  const NamespaceTable table = table_of({"", "aaa", "b", "cc"});
  std::vector<std::string> listed;
  for (const Namespace& space : table.all()) listed.push_back(space.prefix);
  CHECK(listed == std::vector<std::string>{"aaa", "cc", "b", ""});
}

TEST_CASE("bytes that no text has, and keys around eight bytes, are told apart") {
  using namespace std::string_literals;
  const std::vector<std::string> prefixes{"ab",        "ab\0"s,      "ab\0\0"s,   "\x80",
                                          "\xFF\xFF",  "12345678",   "123456789", "1234567",
                                          "12345678x", "12345678\0"s};
  const NamespaceTable table = table_of(prefixes);
  for (const std::string& key :
       {"ab"s, "ab\0"s, "ab\0\0"s, "ab\0\0\0\0\0\0\0\0"s, "abc"s, "a"s, "\x80\x80"s, "\xFF"s,
        "\xFF\xFF\xFF"s, "1234567"s, "12345678"s, "123456789"s, "12345678\0"s, "12345678\xFF"s,
        "12345678y"s, "12345677"s, "12345679"s}) {
    CHECK(found(table, key) == longest(prefixes, key));
  }
}

TEST_CASE("find agrees with a scan for random prefixes and keys, few and many") {
  std::mt19937_64 random(20260701);
  const auto word = [&](std::size_t length_max) {
    std::string text;
    for (std::size_t n = random() % (length_max + 1); n > 0; --n) text += "ab\x80"[random() % 3];
    return text;
  };
  for (const std::size_t count : {1U, 3U, 16U, 300U, 1000U}) {
    std::vector<std::string> prefixes;
    for (std::size_t i = 0; i < count; ++i) prefixes.push_back(word(12));
    std::sort(prefixes.begin(), prefixes.end());
    prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
    std::shuffle(prefixes.begin(), prefixes.end(), random);
    const NamespaceTable table = table_of(prefixes);
    for (int i = 0; i < 2000; ++i) {
      const std::string key = word(20);
      REQUIRE(found(table, key) == longest(prefixes, key));
    }
  }
}

TEST_CASE("without rules a life is what was asked for") {
  for (const std::int32_t exptime : {0, -1, 1, 2'592'000, 1'790'000'100, 1})
    CHECK(granted_life({}, Expiry::from_exptime(exptime), kNow, kMost) ==
          Expiry::from_exptime(exptime));
}

TEST_CASE("a cap bounds every way to ask for a life") {
  const LifeRules rules{.ttl_cap_s = 900};
  CHECK(granted(rules, 0) == 900);
  CHECK(granted(rules, 901) == 900);
  CHECK(granted(rules, 2'592'000) == 900);
  CHECK(granted(rules, 60) == 60);
  CHECK(granted(rules, 1'790'000'060) == 60);
  CHECK(granted(rules, 1'790'009'000) == 900);
  CHECK(granted(rules, INT32_MAX) == 900);
  CHECK(granted_life(rules, Expiry::from_exptime(-1), kNow, 0).is_immediate());
  // A date that is over stays over: a cap must not revive it.
  CHECK(granted(rules, 1'780'000'000) == 0);
}

TEST_CASE("a cap beyond 30 days is a date, not a relative time") {
  const LifeRules rules{.ttl_cap_s = 90 * 86400};
  const Expiry life = granted_life(rules, Expiry::never(), kNow, 0);
  CHECK(life.exptime() == kNow.seconds + 90 * 86400);
}

TEST_CASE("the default stands in for no expiry, never above the cap") {
  CHECK(granted({.ttl_default_s = 300}, 0) == 300);
  CHECK(granted({.ttl_default_s = 300}, 1000) == 1000);
  CHECK(granted({.ttl_cap_s = 900, .ttl_default_s = 300}, 0) == 300);
  CHECK(granted({.ttl_cap_s = 900, .ttl_default_s = 300}, 1000) == 900);
  CHECK(granted({.ttl_cap_s = 100, .ttl_default_s = 300}, 0) == 100);
}

TEST_CASE("jitter shortens by up to its share, and never below one second") {
  const LifeRules rules{.ttl_cap_s = 1000, .ttl_jitter = 0.2};
  CHECK(granted(rules, 0, 0) == 1000);
  CHECK(granted(rules, 0, kMost / 2) == doctest::Approx(900).epsilon(0.002));
  CHECK(granted(rules, 0, kMost) == 801);
  CHECK(granted(rules, 1'790'000'500, kMost) == 401);
  CHECK(granted({.ttl_jitter = 1}, 1, kMost) == 1);
  CHECK(granted({.ttl_jitter = 1}, 1000, kMost) == 1);
  CHECK(granted({.ttl_jitter = 1}, 1'780'000'000, kMost) == 0);
  CHECK(granted_life({.ttl_jitter = 1}, Expiry::never(), kNow, kMost).is_never());
  CHECK(granted_life({.ttl_jitter = 1}, Expiry::immediate(), kNow, kMost).is_immediate());
}

TEST_CASE("a life is never longer than asked or the cap, nor shorter than jitter allows") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 100'000; ++i) {
    LifeRules rules;
    if (random() % 2 != 0) rules.ttl_cap_s = static_cast<std::int64_t>(random() % 10'000'000);
    if (random() % 2 != 0) rules.ttl_default_s = static_cast<std::int64_t>(random() % 10'000'000);
    if (random() % 2 != 0) rules.ttl_jitter = static_cast<double>(random() % 101) / 100;
    const auto asked = Expiry::from_exptime(static_cast<std::int32_t>(random()) >> (random() % 32));
    const std::int64_t life = granted_life(rules, asked, kNow, random()).remaining_s(kNow);
    std::int64_t bound = asked.remaining_s(kNow);
    if (asked.is_never() && rules.ttl_default_s > 0) bound = rules.ttl_default_s;
    if (rules.ttl_cap_s > 0) bound = std::min(bound, rules.ttl_cap_s);
    REQUIRE(life <= bound);
    if (bound == INT64_MAX) continue;
    const double least = std::floor(static_cast<double>(bound) * (1 - rules.ttl_jitter));
    REQUIRE(static_cast<double>(life) >= std::min(static_cast<double>(bound), least));
    REQUIRE(life >= std::min<std::int64_t>(bound, 1));
  }
}
