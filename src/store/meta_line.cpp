#include "store/meta_line.hpp"

#include <algorithm>
#include <limits>

#include "store/text.hpp"

namespace tokenring::store {

namespace {

constexpr std::uint8_t kNoRow = 0xff;

constexpr auto kRowOfLetter = [] {
  std::array<std::uint8_t, 128> rows{};
  rows.fill(kNoRow);
  for (std::size_t i = 0; i < kFlagRows.size(); ++i)
    rows[static_cast<std::size_t>(kFlagRows[i].letter)] = static_cast<std::uint8_t>(i);
  return rows;
}();

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < kFlagRows.size(); ++i)
    if (static_cast<std::size_t>(kFlagRows[i].flag) != i) return false;
  return true;
}
static_assert(rows_are_in_order(), "a flag's row is found by its number");
static_assert(kFlagCount <= 32, "one bit each");

}  // namespace

Tokens::Tokens(std::string_view line) noexcept {
  for (std::size_t at = 0; size_ < kTokensMax;) {
    while (at < line.size() && line[at] == ' ') ++at;
    if (at == line.size()) return;
    const std::size_t begin = at;
    while (at < line.size() && line[at] != ' ') ++at;
    tokens_[size_++] = line.substr(begin, at - begin);
  }
}

std::uint32_t deadline_of(Expiry expiry, std::uint32_t now) noexcept {
  if (expiry.is_never()) return 0;
  const std::int64_t deadline = now + expiry.remaining_s(UnixTime{now});
  return static_cast<std::uint32_t>(
      std::min<std::int64_t>(deadline, std::numeric_limits<std::uint32_t>::max()));
}

// As 1.6.18's _meta_flag_preparse: an unknown or repeated flag ends the reading, of other errors
// the last one counts.
Refusal MetaRequest::read(std::string_view key, std::span<const std::string_view> flags) noexcept {
  key_ = key;
  Refusal refusal;
  for (const std::string_view token : flags) {
    const auto letter = static_cast<unsigned char>(token[0]);
    if (letter >= 127) return "CLIENT_ERROR duplicate flag";
    const std::uint8_t at = kRowOfLetter[letter];
    if (at == kNoRow) return "CLIENT_ERROR invalid flag";
    const FlagRow& row = kFlagRows[at];
    if (has(row.flag)) return "CLIENT_ERROR duplicate flag";
    present_ |= std::uint32_t{1} << index(row.flag);
    order_[count_++] = row.flag;
    if (row.flag == Flag::kOpaque) opaque_ = token;
    if (read_argument(row, token)) continue;
    if (!row.refusal.empty()) refusal = row.refusal;
    if (refusal.empty()) refusal = kBadFormat;
  }
  return refusal;
}

bool MetaRequest::read_argument(const FlagRow& row, std::string_view token) noexcept {
  std::uint64_t& number = numbers_[index(row.flag)];
  const std::string_view argument = token.substr(1);
  switch (row.argument) {
    case Argument::kIgnored:
      return true;
    case Argument::kDecodesKey:
      key_ = {decoded_key_.data(), decode_base64(key_, decoded_key_)};
      return !key_.empty();
    case Argument::kExptime: {
      const auto value = read_i32(argument);
      number = static_cast<std::uint64_t>(value.value_or(0));
      return value.has_value();
    }
    case Argument::kNumber32: {
      const auto value = read_u32(argument);
      number = value.value_or(0);
      return value.has_value();
    }
    case Argument::kNumber64: {
      const auto value = read_u64(argument);
      number = value.value_or(0);
      return value.has_value();
    }
    case Argument::kMode:
      number = argument.size() == 1 ? static_cast<unsigned char>(argument[0]) : 0;
      return argument.size() == 1;
  }
  return false;
}

}  // namespace tokenring::store
