#include "ring/hashes.hpp"

#include <array>
#include <bit>

#include "ring/digests.hpp"

namespace tokenring {
namespace {

// How C code that keeps keys in `char` sees them: bytes from 0x80 on are negative.
struct SignedBytes {
  template <typename Step>
  static void each(std::string_view text, Step step) noexcept {
    for (const char byte : text) {
      step(static_cast<std::uint32_t>(static_cast<std::int32_t>(static_cast<signed char>(byte))));
    }
  }
};

struct UnsignedBytes {
  template <typename Step>
  static void each(std::string_view text, Step step) noexcept {
    for (const char byte : text) step(std::uint32_t{static_cast<unsigned char>(byte)});
  }
};

// How Java's charAt() sees a key that it sent as UTF-8. What is not UTF-8 cannot have come from
// there; each such byte then counts as one unit.
struct Utf16Units {
  template <typename Step>
  static void each(std::string_view text, Step step) noexcept {
    std::size_t at = 0;
    while (at < text.size()) {
      const std::uint32_t point = next(text, at);
      if (point < 0x10000) {
        step(point);
      } else {
        step(0xd800 + ((point - 0x10000) >> 10));
        step(0xdc00 + ((point - 0x10000) & 0x3ff));
      }
    }
  }

 private:
  static std::uint32_t next(std::string_view text, std::size_t& at) noexcept {
    const auto byte = [&](std::size_t i) {
      return std::uint32_t{static_cast<unsigned char>(text[i])};
    };
    const std::uint32_t lead = byte(at);
    const std::size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (more == 0 || lead >= 0xf8 || text.size() - at <= more) return byte(at++);
    std::uint32_t point = lead & (0x3fu >> more);
    for (std::size_t i = 1; i <= more; ++i) {
      if ((byte(at + i) & 0xc0) != 0x80) return byte(at++);
      point = point << 6 | (byte(at + i) & 0x3f);
    }
    at += more + 1;
    return point;
  }
};

// What the C libraries call fnv*_64 keeps the low half only, and low halves depend on low halves:
// it is 32-bit arithmetic with the low half of either constant (so the prime is 435).
struct Fnv {
  std::uint32_t basis;
  std::uint32_t prime;
};
constexpr Fnv kFnv32{0x811c9dc5, 16777619};
constexpr Fnv kFnv64{0x84222325, 435};

template <typename Units, const Fnv& kFnv>
std::uint64_t fnv1(std::string_view text, std::uint64_t) noexcept {
  std::uint32_t hash = kFnv.basis;
  Units::each(text, [&](std::uint32_t unit) { hash = (hash * kFnv.prime) ^ unit; });
  return hash;
}

template <typename Units, const Fnv& kFnv>
std::uint64_t fnv1a(std::string_view text, std::uint64_t) noexcept {
  std::uint32_t hash = kFnv.basis;
  Units::each(text, [&](std::uint32_t unit) { hash = (hash ^ unit) * kFnv.prime; });
  return hash;
}

// Bob Jenkins, http://www.burtleburtle.net/bob/hash/doobs.html
template <typename Units>
std::uint64_t one_at_a_time(std::string_view text, std::uint64_t) noexcept {
  std::uint32_t hash = 0;
  Units::each(text, [&](std::uint32_t unit) {
    hash += unit;
    hash += hash << 10;
    hash ^= hash >> 6;
  });
  hash += hash << 3;
  hash ^= hash >> 11;
  hash += hash << 15;
  return hash;
}

std::uint64_t java_string(std::string_view text, std::uint64_t) noexcept {
  std::uint32_t hash = 0;
  Utf16Units::each(text, [&](std::uint32_t unit) { hash = hash * 31 + unit; });
  return hash;
}

std::uint32_t length_seed(std::string_view text) noexcept {
  return 0xdeadbeef * static_cast<std::uint32_t>(text.size());
}

// MurmurHash2 as libmemcached and twemproxy seed it.
std::uint64_t murmur2(std::string_view text, std::uint64_t) noexcept {
  constexpr std::uint32_t kFactor = 0x5bd1e995;
  std::uint32_t hash = length_seed(text) ^ static_cast<std::uint32_t>(text.size());
  for (; text.size() >= 4; text.remove_prefix(4)) {
    std::uint32_t block = load_word(text) * kFactor;
    block ^= block >> 24;
    hash = (hash * kFactor) ^ (block * kFactor);
  }
  if (!text.empty()) hash = (hash ^ load_word(text)) * kFactor;
  hash ^= hash >> 13;
  hash *= kFactor;
  return hash ^ (hash >> 15);
}

std::uint64_t murmur3(std::string_view text, std::uint64_t) noexcept {
  Murmur3 hash(length_seed(text));
  hash.update(text);
  return hash.finish();
}

// Bob Jenkins' lookup3 (hashlittle) with the initial value 13.
std::uint64_t jenkins(std::string_view text, std::uint64_t) noexcept {
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(text.size()) + 13;
  std::uint32_t b = a;
  std::uint32_t c = a;
  if (text.empty()) return c;
  const auto mix = [](std::uint32_t& x, std::uint32_t& z, std::uint32_t y, int bits) {
    x = (x - z) ^ std::rotl(z, bits);
    z += y;
  };
  for (; text.size() > 12; text.remove_prefix(12)) {
    a += load_word(text);
    b += load_word(text.substr(4));
    c += load_word(text.substr(8));
    mix(a, c, b, 4);
    mix(b, a, c, 6);
    mix(c, b, a, 8);
    mix(a, c, b, 16);
    mix(b, a, c, 19);
    mix(c, b, a, 4);
  }
  a += load_word(text);
  if (text.size() > 4) b += load_word(text.substr(4));
  if (text.size() > 8) c += load_word(text.substr(8));
  const auto finish = [](std::uint32_t& x, std::uint32_t y, int bits) {
    x = (x ^ y) - std::rotl(y, bits);
  };
  finish(c, b, 14);
  finish(a, c, 11);
  finish(b, a, 25);
  finish(c, b, 16);
  finish(a, c, 4);
  finish(b, a, 14);
  finish(c, b, 24);
  return c;
}

// Paul Hsieh's SuperFastHash from 0, with the third tail byte sign-extended as in the C libraries.
std::uint64_t hsieh(std::string_view text, std::uint64_t) noexcept {
  std::uint32_t hash = 0;
  for (; text.size() >= 4; text.remove_prefix(4)) {
    hash += load_word(text.substr(0, 2));
    hash = (hash << 16) ^ (load_word(text.substr(2, 2)) << 11) ^ hash;
    hash += hash >> 11;
  }
  if (text.size() == 3) {
    hash += load_word(text.substr(0, 2));
    hash ^= hash << 16;
    SignedBytes::each(text.substr(2), [&](std::uint32_t unit) { hash ^= unit << 18; });
    hash += hash >> 11;
  } else if (text.size() == 2) {
    hash += load_word(text);
    hash ^= hash << 11;
    hash += hash >> 17;
  } else if (text.size() == 1) {
    hash += load_word(text);
    hash ^= hash << 10;
    hash += hash >> 1;
  }
  hash ^= hash << 3;
  hash += hash >> 5;
  hash ^= hash << 4;
  hash += hash >> 17;
  hash ^= hash << 25;
  return hash + (hash >> 6);
}

std::uint64_t xxh3_row(std::string_view text, std::uint64_t seed) noexcept {
  return xxh3(text, seed);
}
std::uint64_t md5_row(std::string_view text, std::uint64_t) noexcept {
  return md5_words(text)[0];
}
std::uint64_t crc16_row(std::string_view text, std::uint64_t) noexcept {
  return crc16_wide(text);
}
std::uint64_t crc32a_row(std::string_view text, std::uint64_t) noexcept {
  return crc32_ieee(text);
}
std::uint64_t crc32_row(std::string_view text, std::uint64_t) noexcept {
  return crc32_ieee(text) >> 16 & 0x7fff;
}

using S = SignedBytes;
using U = UnsignedBytes;
using J = Utf16Units;

constexpr std::array kRows{
    KeyHashRow{KeyHash::kXxh3, "xxh3", xxh3_row, xxh3_row},
    KeyHashRow{KeyHash::kMd5, "md5", md5_row, md5_row},
    KeyHashRow{KeyHash::kOneAtATime, "one_at_a_time", one_at_a_time<S>, one_at_a_time<U>},
    KeyHashRow{KeyHash::kFnv1_32, "fnv1_32", fnv1<S, kFnv32>, fnv1<J, kFnv32>},
    KeyHashRow{KeyHash::kFnv1a_32, "fnv1a_32", fnv1a<S, kFnv32>, fnv1a<J, kFnv32>},
    KeyHashRow{KeyHash::kFnv1_64, "fnv1_64", fnv1<S, kFnv64>, fnv1<J, kFnv64>},
    KeyHashRow{KeyHash::kFnv1a_64, "fnv1a_64", fnv1a<S, kFnv64>, fnv1a<J, kFnv64>},
    KeyHashRow{KeyHash::kMurmur, "murmur", murmur2, murmur2},
    KeyHashRow{KeyHash::kMurmur3, "murmur3", murmur3, murmur3},
    KeyHashRow{KeyHash::kJenkins, "jenkins", jenkins, jenkins},
    KeyHashRow{KeyHash::kHsieh, "hsieh", hsieh, hsieh},
    KeyHashRow{KeyHash::kCrc16, "crc16", crc16_row, crc16_row},
    KeyHashRow{KeyHash::kCrc32, "crc32", crc32_row, crc32_row},
    KeyHashRow{KeyHash::kCrc32a, "crc32a", crc32a_row, crc32a_row},
    KeyHashRow{KeyHash::kJava, "java", java_string, java_string},
};

constexpr bool in_enum_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].hash) != i) return false;
  }
  return true;
}
static_assert(in_enum_order(), "row_of() indexes by the enum");

}  // namespace

std::span<const KeyHashRow> key_hash_rows() noexcept {
  return kRows;
}

const KeyHashRow& row_of(KeyHash hash) noexcept {
  return kRows[static_cast<std::size_t>(hash)];
}

}  // namespace tokenring
