#include "app/quantity.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "app/spelling.hpp"

namespace tokenring {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

// Smallest first.
constexpr std::array kSizeUnits{Unit{"B", 1}, Unit{"KiB", 1 << 10}, Unit{"MiB", 1 << 20},
                                Unit{"GiB", 1 << 30}};
constexpr std::array kTimeUnits{Unit{"us", 1},           Unit{"ms", 1'000},
                                Unit{"s", 1'000'000},    Unit{"m", 60'000'000},
                                Unit{"h", 3600'000'000}, Unit{"d", 24 * 3600'000'000}};

std::optional<std::int64_t> parse_quantity(std::string_view text, std::span<const Unit> units) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || count < 0 || text.starts_with('-')) return std::nullopt;
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& unit : units) {
    std::int64_t product = 0;
    if (unit.name == name && !__builtin_mul_overflow(count, unit.factor, &product)) return product;
  }
  return std::nullopt;
}

std::string quantity_text(std::int64_t value, std::span<const Unit> units) {
  std::size_t i = units.size() - 1;
  while (i > 0 && (value == 0 || value % units[i].factor != 0)) --i;
  return fmt::format("{}{}", value / units[i].factor, units[i].name);
}

}  // namespace

Result<std::int64_t, std::string> parse_bytes(std::string_view text) {
  if (const auto bytes = parse_quantity(text, kSizeUnits)) return *bytes;
  return unexpected(
      fmt::format("{} is not a size; give an integer of bytes, or a string such as \"64KiB\", "
                  "\"1MiB\" or \"2GiB\"",
                  quoted(text)));
}

Result<std::int64_t, std::string> parse_duration_us(std::string_view text) {
  if (const auto us = parse_quantity(text, kTimeUnits)) return *us;
  return unexpected(
      fmt::format("{} is not a duration; give an integer of seconds, or a string such as \"50us\", "
                  "\"500ms\", \"10s\", \"15m\", \"12h\" or \"7d\"",
                  quoted(text)));
}

std::string bytes_text(std::int64_t bytes) {
  return quantity_text(bytes, kSizeUnits);
}

std::string duration_text(std::int64_t us) {
  return us == 0 ? "0s" : quantity_text(us, kTimeUnits);
}

}  // namespace tokenring
