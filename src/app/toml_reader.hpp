// Reads typed values out of a TOML document, by tables of rows, and keeps the first error.
//
// A row names a key and the function that reads it, so that reading, the check for unknown keys and
// the list of all keys come from one place. Values borrow from the document and from the Errors.
#pragma once

#include <toml++/toml.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tokenring {

// Counted from 1; zeros where there is none.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

// Keeps, of all errors, the one that stands first in the file.
class Errors {
 public:
  // `message` reads "what is wrong; what would be right".
  void add(Position at, std::string_view key, std::string_view message);

  [[nodiscard]] bool any() const noexcept { return !message_.empty(); }
  // FILE:LINE:COLUMN: key: message. REQUIRES: any().
  [[nodiscard]] std::string line(std::string_view file_name) const;

 private:
  Position at_;
  std::string message_;
};

// Both ends belong to it.
struct Range {
  std::int64_t min;
  std::int64_t max;
};

// Microseconds in the unit that a duration is counted in.
enum class TimeUnit : std::int64_t { kMicrosecond = 1, kMillisecond = 1'000, kSecond = 1'000'000 };

// A value with the key under which messages speak of it. What cannot be read as asked is an error,
// and gives nothing.
class Value {
 public:
  Value(const toml::node& node, std::string key, Errors& errors)
      : node_(&node), key_(std::move(key)), errors_(&errors) {}

  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  [[nodiscard]] Position position() const noexcept;
  [[nodiscard]] Errors& errors() const noexcept { return *errors_; }
  void fail(std::string_view message) const { errors_->add(position(), key_, message); }

  // `what` says what belongs here.
  [[nodiscard]] std::optional<std::string> text(std::string_view what = "a string") const;
  [[nodiscard]] std::optional<std::int64_t> integer(Range range) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view what = "true or false") const;
  [[nodiscard]] std::optional<double> number(double min, double max) const;
  // A moment as Unix seconds: a date and time with an offset, as TOML's own or as a string.
  [[nodiscard]] std::optional<std::int64_t> moment() const;
  // Bytes: an integer, or a string with a unit.
  [[nodiscard]] std::optional<std::int64_t> bytes(Range range) const;
  // A duration in `unit`: an integer of seconds, or a string with a unit. `range` is in `unit` too.
  [[nodiscard]] std::optional<std::int64_t> duration(TimeUnit unit, Range range) const;

  [[nodiscard]] bool is_array() const noexcept { return node_->is_array(); }
  [[nodiscard]] bool is_text() const noexcept { return node_->is_string(); }
  [[nodiscard]] bool is_table() const noexcept { return node_->is_table(); }
  // The members in the order of the file.
  struct Member;
  [[nodiscard]] std::vector<Member> members() const;
  // The elements of an array; a lone value counts as an array of one. `what` as above.
  [[nodiscard]] std::vector<Value> elements(std::string_view what) const;

 private:
  void fail_type(std::string_view wanted) const;

  const toml::node* node_;
  std::string key_;
  Errors* errors_;
};

struct Value::Member {
  std::string_view name;
  Position at;  // Of the name.
  Value value;
};

template <typename T>
struct Row {
  std::string_view key;
  void (*read)(const Value& value, T& into);
};

// Adds the error for a key that no row has.
void fail_unknown(const Value::Member& member, std::span<const std::string_view> known);

template <typename T, std::size_t N>
void read_table(const Value& table, const std::array<Row<T>, N>& rows, T& into) {
  for (const Value::Member& member : table.members()) {
    std::array<std::string_view, N> known;
    bool found = false;
    for (std::size_t i = 0; i < N; ++i) {
      known[i] = rows[i].key;
      if (known[i] != member.name) continue;
      rows[i].read(member.value, into);
      found = true;
    }
    if (!found) fail_unknown(member, known);
  }
}

// The document's table; nothing, and an error, where it is not TOML.
[[nodiscard]] std::optional<toml::table> parse_toml(std::string_view text, Errors& errors);

}  // namespace tokenring
