// The clock that the core is told the time from.
#pragma once

#include "tokenring/units.hpp"

namespace tokenring {

[[nodiscard]] Now read_clock() noexcept;

}  // namespace tokenring
