// Forks of this process, which copy what must not be used twice: drawn nonces.
#pragma once

#include <cstdint>

namespace tokenring {

// Another number after each fork, in the child. Costs a read of memory.
[[nodiscard]] std::uint64_t fork_count() noexcept;

}  // namespace tokenring
