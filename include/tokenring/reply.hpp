// Reply: one reply of a node.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tokenring/units.hpp"

namespace tokenring {

// X(enumerator, code): the first word of a reply line. Text reads go upstream as text commands.
#define TOKENRING_REPLY_CODES(X)  \
  X(kValue, "VA")                 \
  X(kTextValue, "VALUE")          \
  X(kEnd, "END")                  \
  X(kHeader, "HD")                \
  X(kMiss, "EN")                  \
  X(kNotFound, "NF")              \
  X(kNotStored, "NS")             \
  X(kExists, "EX")                \
  X(kNoop, "MN")                  \
  X(kDebug, "ME")                 \
  X(kStat, "STAT")                \
  X(kOk, "OK")                    \
  X(kReset, "RESET")              \
  X(kVersion, "VERSION")          \
  X(kTouched, "TOUCHED")          \
  X(kTextNotFound, "NOT_FOUND")   \
  X(kError, "ERROR")              \
  X(kClientError, "CLIENT_ERROR") \
  X(kServerError, "SERVER_ERROR")

enum class ReplyCode : std::uint8_t {
#define X(enumerator, code) enumerator,
  TOKENRING_REPLY_CODES(X)
#undef X
};

// Borrows from the bytes it was parsed from: it must die before they are consumed.
struct Reply {
  ReplyCode code = ReplyCode::kError;
  std::string_view line = {};   // The whole first line with its CR LF.
  std::string_view key = {};    // VALUE only.
  std::string_view rest = {};   // What follows the code, a VALUE's key, and a VA's size.
  std::string_view value = {};  // VA and VALUE only, without its CR LF.

  [[nodiscard]] bool is_error() const noexcept { return code >= ReplyCode::kError; }
};

// The reply's opaque as a number; empty when it has none or one that is not ours.
[[nodiscard]] std::optional<std::uint32_t> opaque_of(const Reply& reply) noexcept;
// The item's CAS number, 0 where the reply tells none.
[[nodiscard]] Cas cas_of(const Reply& reply) noexcept;

}  // namespace tokenring
