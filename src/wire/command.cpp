#include "tokenring/command.hpp"

namespace tokenring {

std::string_view line_of(WireError error) noexcept {
  static constexpr std::array<std::string_view, 64> kLines = {
#define X(enumerator, text) text "\r\n",
      TOKENRING_WIRE_ERRORS(X)
#undef X
  };
  return kLines[static_cast<std::size_t>(error)];
}

}  // namespace tokenring
