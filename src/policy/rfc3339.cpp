#include "policy/claims.hpp"

namespace tokenring {

namespace {

// Takes fixed numbers and characters off the front, and remembers whether all were there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) noexcept : rest_(text) {}

  // A number of just `digits` digits, within the range.
  int number(std::size_t digits, int low, int high) noexcept {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const bool digit = i < rest_.size() && rest_[i] >= '0' && rest_[i] <= '9';
      if (!digit) return fail();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value >= low && value <= high ? value : fail();
  }
  // One of these characters; 0 where there is none of them.
  char any_of(std::string_view characters) noexcept {
    if (rest_.empty() || characters.find(rest_.front()) == std::string_view::npos) return 0;
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  char must(std::string_view characters) noexcept {
    const char c = any_of(characters);
    if (c == 0) fail();
    return c;
  }
  void skip_digits() noexcept {
    must("0123456789");
    while (any_of("0123456789") != 0) continue;
  }
  [[nodiscard]] bool all_well() const noexcept { return good_ && rest_.empty(); }

 private:
  int fail() noexcept {
    good_ = false;
    return 0;
  }

  std::string_view rest_;
  bool good_ = true;
};

// Days from 1970-01-01 in the Gregorian calendar; years begin in March, so that a leap day is last.
std::int64_t days_since_1970(int year, int month, int day) noexcept {
  if (month <= 2) --year;
  const int era_year = year + 400;  // Not negative for any year of four digits.
  const int from_march = (month + 9) % 12;
  const int day_of_year = (153 * from_march + 2) / 5 + day - 1;
  const int days = 365 * era_year + era_year / 4 - era_year / 100 + era_year / 400 + day_of_year;
  return days - 719'468 - 146'097;
}

}  // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept {
  Scanner in(text);
  const int year = in.number(4, 0, 9999);
  in.must("-");
  const int month = in.number(2, 1, 12);
  in.must("-");
  const int day = in.number(2, 1, 31);
  in.must("Tt ");
  const int hour = in.number(2, 0, 23);
  in.must(":");
  const int minute = in.number(2, 0, 59);
  in.must(":");
  const int second = in.number(2, 0, 60);
  if (in.any_of(".") != 0) in.skip_digits();
  const char zone = in.must("Zz+-");
  std::int64_t offset_s = 0;
  if (zone == '+' || zone == '-') {
    offset_s = in.number(2, 0, 23) * 3600;
    in.must(":");
    offset_s += in.number(2, 0, 59) * 60;
  }
  if (!in.all_well()) return std::nullopt;
  const std::int64_t local_s =
      days_since_1970(year, month, day) * 86'400 + hour * 3600 + minute * 60 + second;
  return zone == '+' ? local_s - offset_s : local_s + offset_s;
}

}  // namespace tokenring
