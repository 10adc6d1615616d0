// StatsSum: the answers of several memcacheds to `stats` as the answer of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tokenring {

// Counters are added up; where a sum means nothing the largest or the first counts (see the rules
// in stats_sum.cpp). Names keep the order in which they first came.
class StatsSum {
 public:
  static constexpr std::size_t kRowsMax = 8192;
  static constexpr std::size_t kRowBytesMax = 1024;

  // `settings`: only amounts are added up, all else is the first node's.
  explicit StatsSum(bool settings = false) noexcept : settings_(settings) {}

  // What follows STAT in one line. False when there are too many, or it is no such line.
  [[nodiscard]] bool add(std::string_view name_and_value);
  // Takes the place of what nodes say.
  void set(std::string_view name, std::string value);
  // STAT lines and END.
  [[nodiscard]] std::string text() const;

 private:
  struct Row {
    std::string name;
    std::string text;  // Where it is no number, or the first counts.
    double real = 0;
    std::uint64_t number = 0;
    enum class Kind : std::uint8_t { kText, kNumber, kReal } kind = Kind::kText;
  };
  [[nodiscard]] Row* find(std::string_view name) noexcept;

  bool settings_;
  std::vector<Row> rows_;
  std::size_t next_ = 0;  // Where the next name is likely to be.
};

}  // namespace tokenring
