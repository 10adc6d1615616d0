// Who guesses keys is noticed; who misses many of them all the time, or the same ones, is not.
#include <doctest/doctest.h>

#include <string>

#include "policy/enumeration.hpp"

using namespace tokenring;

namespace {

using Sign = EnumerationDetector::Sign;

// The n-th of many keys, as evenly spread as hashes are.
std::uint64_t hash_of(std::uint64_t n) {
  std::uint64_t z = n * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

struct Window {
  EnumerationDetector& detector;
  std::int64_t minute;

  // Misses of so many different keys; how often that was told, and the last finding.
  int miss(std::string_view who, std::uint64_t keys, std::uint64_t first = 0) {
    int told = 0;
    for (std::uint64_t n = 0; n < keys; ++n) {
      const Instant now =
          Instant{}.plus_ms(minute * 60'000 + static_cast<std::int64_t>(n % 50'000));
      if (const auto finding = detector.missed(who, hash_of(first + n), now)) {
        ++told;
        last = *finding;
      }
    }
    return told;
  }
  EnumerationDetector::Finding last = {};
};

}  // namespace

TEST_CASE("a scan by somebody new is told once in each window") {
  EnumerationDetector detector;
  Window window{detector, 0};
  CHECK(window.miss("a", 900) == 0);
  CHECK(window.miss("a", 2'000) == 1);
  CHECK(window.last.sign == Sign::kMissedKeys);
  CHECK(window.last.count > 1'000);
  CHECK(window.last.count < 1'100);
  CHECK(window.last.usual == 0);
  CHECK(window.miss("a", 2'000, 5'000) == 0);
}

TEST_CASE("the same keys missed again and again are few keys") {
  EnumerationDetector detector;
  Window window{detector, 0};
  for (int round = 0; round < 100; ++round) CHECK(window.miss("a", 300) == 0);
}

TEST_CASE("what is usual is no scan, and ten times that is") {
  EnumerationDetector detector;
  for (std::int64_t minute = 0; minute < 20; ++minute)
    CHECK(Window{detector, minute}.miss("a", 300, static_cast<std::uint64_t>(minute) * 1'000) == 0);
  Window window{detector, 20};
  CHECK(window.miss("a", 2'500, 100'000) == 0);
  CHECK(window.miss("a", 2'000, 200'000) == 1);
  CHECK(window.last.usual > 250);
  CHECK(window.last.usual < 350);
  CHECK(window.last.count > 10 * window.last.usual - 50);
}

TEST_CASE("who misses hardly anything is told of at a hundred") {
  EnumerationDetector detector;
  CHECK(Window{detector, 0}.miss("a", 2) == 0);
  Window window{detector, 1};
  CHECK(window.miss("a", 95, 1'000) == 0);
  CHECK(window.miss("a", 30, 2'000) == 1);
  CHECK(window.last.usual == 2);
}

TEST_CASE("a scan goes on being told, and does not soon become what is usual") {
  EnumerationDetector detector;
  CHECK(Window{detector, 0}.miss("a", 10) == 0);
  int told = 0;
  for (std::int64_t minute = 1; minute <= 3; ++minute)
    told += Window{detector, minute}.miss("a", 5'000, static_cast<std::uint64_t>(minute) * 10'000);
  CHECK(told == 3);
}

TEST_CASE("each is held against his own past") {
  EnumerationDetector detector;
  for (std::int64_t minute = 0; minute < 3; ++minute) {
    CHECK(Window{detector, minute}.miss("busy", 900, static_cast<std::uint64_t>(minute) * 1'000) ==
          0);
    CHECK(Window{detector, minute}.miss("quiet", 3) == 0);
  }
  CHECK(Window{detector, 3}.miss("busy", 900, 50'000) == 0);
  CHECK(Window{detector, 3}.miss("quiet", 900, 50'000) == 1);
}

TEST_CASE("windows in which nothing happened do not count") {
  EnumerationDetector detector;
  CHECK(Window{detector, 0}.miss("a", 800) == 0);
  CHECK(Window{detector, 600}.miss("a", 900, 10'000) == 0);
}

TEST_CASE("logins that fail are counted one by one") {
  EnumerationDetector detector;
  int told = 0;
  for (int n = 0; n < 40; ++n)
    if (const auto finding = detector.login_failed("a", Instant{}.plus_ms(n))) {
      ++told;
      CHECK(finding->sign == Sign::kFailedLogins);
      CHECK(finding->count == 21);
    }
  CHECK(told == 1);
}

TEST_CASE("the table is bounded, and the one that was quiet longest is forgotten") {
  EnumerationDetector detector({.subjects_max = 3});
  CHECK(Window{detector, 0}.miss("a", 900) == 0);
  for (const char* who : {"b", "c"}) CHECK(Window{detector, 0}.miss(who, 1) == 0);
  CHECK(Window{detector, 0}.miss("a", 10, 5'000) == 0);  // Heard of again.
  for (const char* who : {"d", "e"}) CHECK(Window{detector, 0}.miss(who, 1) == 0);
  CHECK(detector.subject_count() == 3);
  CHECK(Window{detector, 0}.miss("a", 200, 6'000) == 1);  // What it did before is known.
}

TEST_CASE("more keys than can be told apart are still many") {
  EnumerationDetector detector;
  CHECK(Window{detector, 0}.miss("a", 1'000'000) == 1);
}
