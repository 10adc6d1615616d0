// The meta flag table: one row per flag letter.
#pragma once

#include <array>
#include <cstdint>

namespace tokenring::wire {

// Which command a flag means something to, and so goes upstream with.
enum FlagUse : std::uint8_t { kNone = 0, kByGet = 1, kBySet = 2, kByDelete = 4, kByArithmetic = 8 };

// X(letter, commands it is sent upstream for). A flag that memcached accepts and ignores there is
// known but not sent, which also keeps our line below the node's limit of 20 words. b, k, O and q
// are between client and proxy. Source: memcached's doc/protocol.txt, "Meta commands".
#define TOKENRING_META_FLAGS(X)                       \
  X('b', kNone)                                       \
  X('c', kByGet | kBySet | kByArithmetic)             \
  X('f', kByGet)                                      \
  X('h', kByGet)                                      \
  X('k', kNone)                                       \
  X('l', kByGet)                                      \
  X('q', kNone)                                       \
  X('s', kByGet | kBySet)                             \
  X('t', kByGet | kByArithmetic)                      \
  X('u', kByGet)                                      \
  X('v', kByGet | kByArithmetic)                      \
  X('x', kByDelete)                                   \
  X('C', kBySet | kByDelete | kByArithmetic)          \
  X('D', kByArithmetic)                               \
  X('E', kByGet | kBySet | kByDelete | kByArithmetic) \
  X('F', kBySet)                                      \
  X('I', kBySet | kByDelete)                          \
  X('J', kByArithmetic)                               \
  X('L', kNone)                                       \
  X('M', kBySet | kByArithmetic)                      \
  X('N', kByGet | kBySet | kByArithmetic)             \
  X('O', kNone)                                       \
  X('P', kNone)                                       \
  X('R', kByGet)                                      \
  X('T', kByGet | kBySet | kByDelete | kByArithmetic)

struct FlagRow {
  bool known = false;
  std::uint8_t sent_by = kNone;
};

inline constexpr auto kFlagRows = [] {
  std::array<FlagRow, 128> rows{};
#define X(letter, uses) rows[letter] = {true, static_cast<std::uint8_t>(uses)};
  TOKENRING_META_FLAGS(X)
#undef X
  return rows;
}();

}  // namespace tokenring::wire
