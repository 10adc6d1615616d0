// The screen of `tokenring top`: two readings as lines of text.
#pragma once

#include <cstddef>
#include <string>

#include "app/top_reading.hpp"

namespace tokenring {

struct TopView {
  const StatusReading& now;
  const StatusReading* before = nullptr;  // Of the same process; null: rates are not known yet.
  double seconds = 0;                     // Between the two.
  std::size_t columns = 80;
  std::size_t rows = 0;  // 0: as many as there is to tell.
  bool colours = false;
};

// Lines that fit, each with its end. What is down or has trouble comes first where there is too
// little room for all.
[[nodiscard]] std::string top_screen(const TopView& view);

}  // namespace tokenring
