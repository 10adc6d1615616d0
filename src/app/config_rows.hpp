// What the rows of the configuration share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/spelling.hpp"
#include "app/toml_reader.hpp"

namespace tokenring {

// A value that could be read; else `to` stays what it was, and the error is known already.
template <typename From, typename To>
void take(std::optional<From> from, To& to) {
  if (from) to = static_cast<To>(*std::move(from));
}

// A word of a fixed set, of which `named` gives the optional meaning.
template <typename Named, typename T>
void take_word(const Value& value, std::span<const std::string_view> words, Named named, T& to) {
  const std::optional<std::string> word =
      value.text(fmt::format("one of \"{}\"", fmt::join(words, "\", \"")));
  if (!word) return;
  if (const auto meaning = named(*word)) {
    to = *meaning;
    return;
  }
  value.fail(
      fmt::format("{} is unknown; {}", quoted(*word), suggestion(*word, "give one of", words)));
}

[[nodiscard]] inline bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// Tells what is wrong with the name of one of several tables.
inline void check_table_name(const Value::Member& member) {
  constexpr std::size_t kBytesMax = 64;
  if (!member.name.empty() && member.name.size() <= kBytesMax && is_printable(member.name)) return;
  member.value.errors().add(
      member.at, member.value.key(),
      fmt::format("is not a name; give 1 to {} characters of ASCII without spaces", kBytesMax));
}

template <typename T, std::size_t N>
void append_keys(std::string_view table, const std::array<Row<T>, N>& rows,
                 std::vector<std::string>& keys) {
  for (const Row<T>& row : rows) keys.push_back(fmt::format("{}{}", table, row.key));
}

}  // namespace tokenring
