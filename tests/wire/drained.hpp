// What waits in a queue of an engine or a node.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/buffer.hpp"

namespace tokenring {

// All that waits in the queue, which is empty then.
inline std::string drained(OutQueue& out) {
  std::string all;
  std::array<std::string_view, 1> piece;
  while (out.front(piece) > 0) {
    all += piece[0];
    out.consume(piece[0].size());
  }
  return all;
}

}  // namespace tokenring
