// copy_short: memcpy for what is mostly shorter than 32 bytes, such as keys, without a call.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace tokenring {

// Returns the end of what was written.
inline char* copy_short(char* to, std::string_view bytes) noexcept {
  const char* const from = bytes.data();
  const std::size_t n = bytes.size();
  // Two pieces of one size, which overlap by what is too much.
  const auto copy = [&]<std::size_t kSize>() {
    char first[kSize];
    char last[kSize];
    std::memcpy(first, from, kSize);
    std::memcpy(last, from + n - kSize, kSize);
    std::memcpy(to, first, kSize);
    std::memcpy(to + n - kSize, last, kSize);
  };
  if (n > 32)
    std::memcpy(to, from, n);
  else if (n >= 16)
    copy.template operator()<16>();
  else if (n >= 8)
    copy.template operator()<8>();
  else if (n >= 4)
    copy.template operator()<4>();
  else
    for (std::size_t i = 0; i < n; ++i) to[i] = from[i];
  return to + n;
}

}  // namespace tokenring
