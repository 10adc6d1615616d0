// Envelope v1 in numbers; FORMAT.md draws it.
#pragma once

#include <cstddef>

#include "seal/xaes.hpp"
#include "tokenring/envelope.hpp"

namespace tokenring {

inline constexpr char kMagic0 = '\xf5';  // Never begins UTF-8.
inline constexpr char kMagic1 = '\xc7';
inline constexpr char kVersion = 1;

inline constexpr unsigned kSuiteMask = 0x0f;
inline constexpr unsigned kSuiteXaes = 0x01;
inline constexpr unsigned kZstdBit = 0x10;
inline constexpr unsigned kGenerationBit = 0x20;
inline constexpr unsigned kControlBit = 0x40;
inline constexpr unsigned kKnownBits = kSuiteMask | kZstdBit | kGenerationBit | kControlBit;

inline constexpr std::size_t kNonceAt = 16;  // What precedes it is authenticated as it is.
inline constexpr std::size_t kGenerationAt = kNonceAt + kXaesNonceBytes;
static_assert(kGenerationAt + kXaesTagBytes == kEnvelopeBytes);

}  // namespace tokenring
