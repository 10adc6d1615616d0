// TR_ASSERT: a check of our own reasoning that stays on in release builds.
//
// It is for our bugs only. What a peer sends is answered with a Result, what the machine refuses
// with a std::error_code; neither may reach an assertion.
#pragma once

namespace tokenring {

// Prints where and what, then aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace tokenring

#define TR_ASSERT(expression)                                         \
  do {                                                                \
    if (!(expression)) [[unlikely]]                                   \
      ::tokenring::assertion_failed(#expression, __FILE__, __LINE__); \
  } while (false)
