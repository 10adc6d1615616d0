// Key files for tests and benchmarks. Nothing is ever sealed with them elsewhere.
#pragma once

#include <string_view>

namespace tokenring::seal_kit {

// The master is 00..1f.
inline constexpr std::string_view kKeyFile =
    "tokenring-keys 1\n"
    "primary AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    "blind ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n"
    "audit QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n";
// The same and another one, which only opens: the first step of a rotation.
inline constexpr std::string_view kPreparedKeyFile =
    "tokenring-keys 1\n"
    "primary AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    "master YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8=\n"
    "blind ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n"
    "audit QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n";
// The same and another one, which seals, with the master of kKeyFile still there to open.
inline constexpr std::string_view kRotatedKeyFile =
    "tokenring-keys 1\n"
    "primary YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8=\n"
    "master AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    "blind ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n"
    "audit QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n";

}  // namespace tokenring::seal_kit
