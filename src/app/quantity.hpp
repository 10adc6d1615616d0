// Sizes and durations as the configuration writes them: "64MiB", "15m".
//
// Errors read "what is wrong; what would be right".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tokenring/result.hpp"

namespace tokenring {

// Bytes from "512B", "64KiB", "1MiB" or "2GiB".
[[nodiscard]] Result<std::int64_t, std::string> parse_bytes(std::string_view text);
// Microseconds from "50us", "500ms", "10s", "15m", "12h" or "7d".
[[nodiscard]] Result<std::int64_t, std::string> parse_duration_us(std::string_view text);

// In the largest unit that leaves a whole number; what parse_... reads back.
[[nodiscard]] std::string bytes_text(std::int64_t bytes);
[[nodiscard]] std::string duration_text(std::int64_t us);

}  // namespace tokenring
