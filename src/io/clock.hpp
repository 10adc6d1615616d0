// The clock that the core is told the time from.
#pragma once

#include <cstdint>

#include "tokenring/units.hpp"

namespace tokenring {

[[nodiscard]] Now read_clock() noexcept;
// Unix time in milliseconds, for what is shown to people.
[[nodiscard]] std::int64_t unix_ms() noexcept;

}  // namespace tokenring
