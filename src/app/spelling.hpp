// Text for people: quoting, escaping and guessing what a misspelt word meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tokenring {

// In double quotes on one line, cut where it is long; bytes that do not print as \xHH.
[[nodiscard]] std::string quoted(std::string_view text);

// A key as people see it: bytes outside 33..126 as \xHH, and so the backslash of a key that holds
// such an escape itself. unescaped_key() gives the key back; other backslashes stand for
// themselves.
[[nodiscard]] std::string escaped_key(std::string_view key);
[[nodiscard]] std::string unescaped_key(std::string_view text);

// The candidate that `word` is likely a misspelling of; empty when there is none. Borrows from
// `candidates`.
[[nodiscard]] std::string_view closest(std::string_view word,
                                       std::span<const std::string_view> candidates);
// `did you mean "listen"?`, else `the keys here are a, b`, where `what` is "the keys here are".
[[nodiscard]] std::string suggestion(std::string_view word, std::string_view what,
                                     std::span<const std::string_view> candidates);

}  // namespace tokenring
