// Exposition: text in Prometheus' format 0.0.4, a family at a time.
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tokenring {

class Exposition {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  enum class Type : std::uint8_t { kCounter, kGauge, kHistogram };
  struct Label {
    std::string_view name;   // Empty: there is no such label.
    std::string_view value;  // Any bytes: what is no UTF-8 is told with '?'.
  };
  using Labels = std::initializer_list<Label>;

  // All samples up to the next call are of this family. `help` is one line.
  void family(std::string_view name, Type type, std::string_view help);
  void sample(Labels labels, std::uint64_t value);
  void sample(Labels labels, double value);
  // Ends of buckets are `bounds` in seconds, ascending; `counts` has one more, of what is beyond
  // them. REQUIRES: a histogram's family.
  void histogram(Labels labels, std::span<const double> bounds,
                 std::span<const std::uint64_t> counts, double sum);

  [[nodiscard]] std::string take() noexcept { return std::move(text_); }

 private:
  void begin_sample(std::string_view suffix, Labels labels, std::string_view le = {});

  std::string text_;
  std::string name_;  // Of the family.
};

}  // namespace tokenring
