// Request: one client request, text or meta, in the one vocabulary that the proxy works with.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "tokenring/command.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

// memcached's KEY_MAX_LENGTH; for a base64 key its encoded form.
inline constexpr std::size_t kKeyBytesMax = 250;
// Where keys are hidden from nodes, a client's may be this long: a whole token, say.
inline constexpr std::size_t kLongKeyBytesMax = 8192;
// Longest opaque token, with its `O`.
inline constexpr std::size_t kOpaqueBytesMax = 32;

// The M flag of ms, or the text command that stands for it.
enum class StoreMode : std::uint8_t { kSet, kAdd, kReplace, kAppend, kPrepend };

// Borrows from the bytes it was parsed from (and from itself): it must die before they move. Not
// copyable, for `item_key` may point into `decoded`.
struct Request {
  Request() noexcept {}  // `decoded` stays uninitialised on purpose.
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  Command command = Command::kGet;
  bool quiet = false;             // noreply, or the q flag.
  bool key_is_base64 = false;     // The b flag.
  bool has_ttl = false;           // exptime, or the T flag.
  bool has_vivify = false;        // The N flag.
  bool has_cas = false;           // `cas`, or the C flag.
  bool wants_value = false;       // The v flag, or a text get.
  bool wants_key = false;         // The k flag.
  bool wants_invalidate = false;  // The I flag.
  bool decrements = false;        // decr, MD.
  StoreMode store_mode = StoreMode::kSet;

  std::string_view key;       // As the client sent it.
  std::string_view item_key;  // What it names: `key`, or its decoded form under b.
  std::string_view keys;      // get family: all keys, blank separated; read with next_word().
  std::string_view flags;     // Meta: all flags, as sent, blank separated.
  std::string_view opaque;    // Meta: the O flag's whole token; empty when absent.
  std::string_view value;     // Storage commands: set by the caller once the value is there.

  std::uint32_t client_flags = 0;
  std::uint32_t value_bytes = 0;  // Declared; the value is followed by CR LF.
  std::int32_t exptime = 0;       // REQUIRES: has_ttl.
  std::int32_t vivify_exptime = 0;
  Cas cas;
  std::uint64_t delta = 1;
  std::uint64_t initial = 0;

  [[nodiscard]] Verb verb() const noexcept { return row_of(command).verb; }
  // Whether it gives an item another life without changing it: touch, gat, mg with T. Counted so.
  [[nodiscard]] bool touches() const noexcept { return has_ttl && verb() == Verb::kGet; }
  [[nodiscard]] Dialect dialect() const noexcept { return row_of(command).dialect; }

  std::array<char, kLongKeyBytesMax> decoded;
};

}  // namespace tokenring
