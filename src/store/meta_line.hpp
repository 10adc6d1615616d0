// Reads a meta command line: tokens, flags, key. One row of kFlagRows for each flag.
//
// This is the node's half of the protocol only; it takes what memcached 1.6.18 takes, error for
// error, and the flags that newer versions added. Everything borrows from the line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tokenring/units.hpp"

namespace tokenring::store {

inline constexpr std::size_t kKeyBytesMax = 250;
inline constexpr std::size_t kOpaqueBytesMax = 32;  // Its letter included.
inline constexpr std::size_t kTokensMax = 23;       // What 1.6.18 splits a line into.
inline constexpr std::size_t kMetaTokensMax = 19;   // Of these, in a meta command.

// A whole error line without its end; empty for none.
using Refusal = std::string_view;

class Tokens {
 public:
  explicit Tokens(std::string_view line) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept { return tokens_[i]; }
  [[nodiscard]] std::span<const std::string_view> from(std::size_t first) const noexcept {
    return {tokens_.data() + first, size_ - first};
  }
  [[nodiscard]] std::string_view last() const noexcept { return tokens_[size_ - 1]; }

 private:
  std::array<std::string_view, kTokensMax> tokens_;
  std::size_t size_ = 0;
};

enum class Flag : std::uint8_t {
  kBase64Key,
  kReturnCas,
  kReturnFlags,
  kReturnHit,
  kReturnKey,
  kReturnIdle,
  kReturnSize,
  kReturnTtl,
  kReturnValue,
  kNoBump,
  kQuiet,
  kRemoveValue,
  kCompareCas,
  kDelta,
  kNewCas,
  kClientFlags,
  kInvalidate,
  kInitial,
  kRouterHint,
  kMode,
  kVivify,
  kOpaque,
  kRouterPath,
  kRecache,
  kExptime,
};
inline constexpr std::size_t kFlagCount = 25;

// What follows a flag's letter.
enum class Argument : std::uint8_t { kIgnored, kDecodesKey, kExptime, kNumber32, kNumber64, kMode };

struct FlagRow {
  Flag flag;
  char letter;
  Argument argument;
  Refusal refusal;  // When the argument cannot be read. Empty: the command's own.
};

inline constexpr Refusal kBadFormat = "CLIENT_ERROR bad command line format";
inline constexpr Refusal kBadToken = "CLIENT_ERROR bad token in command line format";

inline constexpr std::array<FlagRow, kFlagCount> kFlagRows = {{
    {Flag::kBase64Key, 'b', Argument::kDecodesKey, "CLIENT_ERROR error decoding key"},
    {Flag::kReturnCas, 'c', Argument::kIgnored, {}},
    {Flag::kReturnFlags, 'f', Argument::kIgnored, {}},
    {Flag::kReturnHit, 'h', Argument::kIgnored, {}},
    {Flag::kReturnKey, 'k', Argument::kIgnored, {}},
    {Flag::kReturnIdle, 'l', Argument::kIgnored, {}},
    {Flag::kReturnSize, 's', Argument::kIgnored, {}},
    {Flag::kReturnTtl, 't', Argument::kIgnored, {}},
    {Flag::kReturnValue, 'v', Argument::kIgnored, {}},
    {Flag::kNoBump, 'u', Argument::kIgnored, {}},
    {Flag::kQuiet, 'q', Argument::kIgnored, {}},
    {Flag::kRemoveValue, 'x', Argument::kIgnored, {}},
    {Flag::kCompareCas, 'C', Argument::kNumber64, kBadToken},
    {Flag::kDelta, 'D', Argument::kNumber64, "CLIENT_ERROR invalid numeric delta value"},
    {Flag::kNewCas, 'E', Argument::kNumber64, kBadToken},
    {Flag::kClientFlags, 'F', Argument::kNumber32, {}},
    {Flag::kInvalidate, 'I', Argument::kIgnored, {}},
    {Flag::kInitial, 'J', Argument::kNumber64, "CLIENT_ERROR invalid numeric initial value"},
    {Flag::kRouterHint, 'L', Argument::kIgnored, {}},
    {Flag::kMode, 'M', Argument::kMode, "CLIENT_ERROR incorrect length for M token"},
    {Flag::kVivify, 'N', Argument::kExptime, kBadToken},
    {Flag::kOpaque, 'O', Argument::kIgnored, {}},
    {Flag::kRouterPath, 'P', Argument::kIgnored, {}},
    {Flag::kRecache, 'R', Argument::kExptime, kBadToken},
    {Flag::kExptime, 'T', Argument::kExptime, kBadToken},
}};

// The unix second at which something that lives so long is over; 0: never.
[[nodiscard]] std::uint32_t deadline_of(Expiry expiry, std::uint32_t now) noexcept;

class MetaRequest {
 public:
  // Reads `key` and its flags. On a refusal the rest of the request is not to be used.
  [[nodiscard]] Refusal read(std::string_view key,
                             std::span<const std::string_view> flags) noexcept;

  // Decoded when the b flag is there; borrows from the line or from this request.
  [[nodiscard]] std::string_view key() const noexcept { return key_; }
  // In the order sent.
  [[nodiscard]] std::span<const Flag> flags() const noexcept { return {order_.data(), count_}; }
  [[nodiscard]] bool has(Flag flag) const noexcept { return (present_ >> index(flag) & 1) == 1; }
  [[nodiscard]] std::uint64_t number(Flag flag, std::uint64_t otherwise = 0) const noexcept {
    return has(flag) ? numbers_[index(flag)] : otherwise;
  }
  // The flag's exptime as a deadline. Never (0) without the flag.
  [[nodiscard]] std::uint32_t deadline(Flag flag, std::uint32_t now) const noexcept {
    return deadline_of(Expiry::from_exptime(static_cast<std::int32_t>(number(flag))), now);
  }
  // The letter after M; NUL without the flag.
  [[nodiscard]] char mode() const noexcept { return static_cast<char>(number(Flag::kMode)); }
  // With its letter; empty without the flag.
  [[nodiscard]] std::string_view opaque() const noexcept { return opaque_; }

 private:
  [[nodiscard]] static std::size_t index(Flag flag) noexcept {
    return static_cast<std::size_t>(flag);
  }
  [[nodiscard]] bool read_argument(const FlagRow& row, std::string_view token) noexcept;

  std::string_view key_;
  std::string_view opaque_;
  std::uint32_t present_ = 0;
  std::size_t count_ = 0;
  std::array<Flag, kTokensMax> order_;
  std::array<std::uint64_t, kFlagCount> numbers_;  // Set where the flag is present.
  std::array<char, kKeyBytesMax> decoded_key_;
};

}  // namespace tokenring::store
