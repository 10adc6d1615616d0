// Guards the TOML parser's stack: it bounds nested brackets but not a.b.c.d, and frees what it read
// by recursion.
#pragma once

#include <optional>
#include <string_view>

#include "app/toml_reader.hpp"

namespace tokenring {

constexpr int kTomlDepthMax = 32;

// Where brackets, or the dots of one key, nest deeper than kTomlDepthMax.
[[nodiscard]] std::optional<Position> too_deep(std::string_view text);

}  // namespace tokenring
