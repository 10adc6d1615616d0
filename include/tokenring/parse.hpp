// Parsing of what clients send and of what nodes answer. No I/O, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tokenring/command.hpp"
#include "tokenring/reply.hpp"
#include "tokenring/request.hpp"

namespace tokenring {

// A command line without its LF may grow to this many bytes; only the get family may go on.
inline constexpr std::size_t kLineBytesMax = 2048;

// What a client may send. A line may be longer by what a key may be longer than memcached's.
struct ParseLimits {
  std::size_t key_bytes_max = kKeyBytesMax;

  [[nodiscard]] constexpr std::size_t line_bytes_max() const noexcept {
    return kLineBytesMax + key_bytes_max - kKeyBytesMax;
  }
};

struct ParsedRequest {
  enum class Kind : std::uint8_t {
    kIncomplete,  // No whole line yet; nothing was consumed.
    kRequest,     // `request` is filled; a storage command's value follows the consumed line.
    kKeyStream,   // A get whose line exceeds what may be buffered; its head was consumed, the keys
                  // follow. `request` has command and exptime.
    kError,       // Answer with `error` (unless `quiet`), drop `swallow` further bytes, go on.
    kClose,       // Answer with `error` and close.
    kHangUp,      // Close without a word.
  };
  Kind kind = Kind::kIncomplete;
  WireError error = WireError::kError;
  bool quiet = false;
  std::size_t consumed = 0;  // Bytes of `in` that are done with.
  std::uint64_t swallow = 0;
};

// Parses the first request of `in`. `request` borrows from `in`.
[[nodiscard]] ParsedRequest parse_request(std::string_view in, Request& request,
                                          ParseLimits limits = {}) noexcept;

// The next blank-separated word of `text`, which is advanced behind it; empty at the end. A NUL
// ends the text, as it does for memcached.
std::string_view next_word(std::string_view& text) noexcept;

// The first of blank-separated flags that begins with `letter`, and what follows its letter; both
// empty where there is none.
[[nodiscard]] std::string_view find_flag(std::string_view flags, char letter) noexcept;
[[nodiscard]] std::string_view flag_value(std::string_view flags, char letter) noexcept;

struct ParsedReply {
  enum class Kind : std::uint8_t {
    kIncomplete,  // `needed` bytes in all would complete it, as far as is known now.
    kReply,
    kMalformed,  // Nothing a node may answer; the link cannot be trusted any more.
  };
  Kind kind = Kind::kIncomplete;
  std::size_t consumed = 0;
  std::size_t needed = 0;
};

// Parses the first reply of `in`: meta, one of the plain lines a node answers (VERSION, OK,
// TOUCHED, errors), or one part of the answer to a text get: a VALUE with its data, or END. `reply`
// borrows from `in`. Values above `value_bytes_max` are malformed.
[[nodiscard]] ParsedReply parse_reply(std::string_view in, std::size_t value_bytes_max,
                                      Reply& reply) noexcept;

// Decodes standard base64 as memcached does (foreign characters are skipped) into `out`, which has
// room for `in.size()` bytes. Returns the number of bytes, 0 for what does not decode.
[[nodiscard]] std::size_t decode_base64(std::string_view in, char* out) noexcept;

// True if `word` is how a node spells `key`: as it is or, where the item was made so, in base64.
[[nodiscard]] bool spells_key(std::string_view word, std::string_view key) noexcept;

}  // namespace tokenring
