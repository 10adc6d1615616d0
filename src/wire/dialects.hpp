// The two halves of the request parser: one line, already split, of the text or the meta dialect.
#pragma once

#include "tokenring/parse.hpp"
#include "wire/words.hpp"

namespace tokenring::wire {

// Both fill `request` (whose command is set) from `words` and leave `consumed` to the caller.
// REQUIRES: words.count is at least the command's words_min.
[[nodiscard]] ParsedRequest parse_text(const Words& words, Request& request,
                                       ParseLimits limits) noexcept;
[[nodiscard]] ParsedRequest parse_meta(const Words& words, Request& request,
                                       ParseLimits limits) noexcept;
// The part of parse_text that is about Verb::kRefused.
[[nodiscard]] ParsedRequest parse_refused(const Words& words, Request& request) noexcept;

// What a parser returns for an error that is shown, hidden by noreply, or followed by a value.
[[nodiscard]] inline ParsedRequest failed(WireError error, bool quiet = false,
                                          std::uint64_t swallow = 0) noexcept {
  return {.kind = ParsedRequest::Kind::kError, .error = error, .quiet = quiet, .swallow = swallow};
}
[[nodiscard]] inline ParsedRequest parsed() noexcept {
  return {.kind = ParsedRequest::Kind::kRequest};
}

// A declared value length: memcached refuses negative ones and those it could not add CR LF to.
[[nodiscard]] inline bool legal_length(std::int32_t length) noexcept {
  return length >= 0 && length <= INT32_MAX - 2;
}

}  // namespace tokenring::wire
