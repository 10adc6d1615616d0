#include "app/toml_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "app/quantity.hpp"
#include "app/spelling.hpp"
#include "app/toml_depth.hpp"
#include "policy/claims.hpp"

namespace tokenring {

namespace {

Position position_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::none:
      return "nothing";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a point";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date";
  }
  return "nothing";
}

// The name as TOML writes it.
std::string as_key(std::string_view name) {
  const auto is_bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), is_bare);
  return bare && name.size() <= 80 ? std::string(name) : quoted(name);
}

// toml++ quotes the file in its messages; they have to stay one line of text.
std::string syntax_error(std::string_view text) {
  constexpr std::string_view kOpening = "Error while parsing ";
  if (text.starts_with(kOpening)) text.remove_prefix(kOpening.size());
  std::string out;
  for (const char c : text) out += c >= ' ' && c <= '~' ? c : '?';
  if (text.find("cannot redefine existing table 'namespaces'") != std::string_view::npos)
    out += "; give each namespace under [[namespaces]]";
  return out;
}

}  // namespace

void Errors::add(Position at, std::string_view key, std::string_view message) {
  if (any() && at_ <= at) return;
  at_ = at;
  message_ = fmt::format("{}: {}", key, message);
}

std::string Errors::line(std::string_view file_name) const {
  return fmt::format("{}:{}:{}: {}", file_name, at_.line, at_.column, message_);
}

Position Value::position() const noexcept {
  return position_of(node_->source());
}

void Value::fail_type(std::string_view wanted) const {
  fail(fmt::format("is {}; give {}", type_name(*node_), wanted));
}

std::optional<std::string> Value::text(std::string_view what) const {
  if (const auto text = node_->value_exact<std::string>()) return text;
  fail_type(what);
  return std::nullopt;
}

std::optional<std::int64_t> Value::integer(Range range) const {
  const std::string wanted = fmt::format("an integer from {} to {}", range.min, range.max);
  const auto value = node_->value_exact<std::int64_t>();
  if (!value) {
    fail_type(wanted);
    return std::nullopt;
  }
  if (*value >= range.min && *value <= range.max) return value;
  fail(fmt::format("{} is out of range; give {}", *value, wanted));
  return std::nullopt;
}

std::optional<bool> Value::boolean(std::string_view what) const {
  if (const auto value = node_->value_exact<bool>()) return value;
  fail_type(what);
  return std::nullopt;
}

std::optional<double> Value::number(double min, double max) const {
  const std::string wanted = fmt::format("a number from {} to {}", min, max);
  std::optional<double> value = node_->value_exact<double>();
  if (const auto whole = node_->value_exact<std::int64_t>()) value = static_cast<double>(*whole);
  if (!value) {
    fail_type(wanted);
    return std::nullopt;
  }
  if (*value >= min && *value <= max) return value;
  fail(fmt::format("{} is out of range; give {}", *value, wanted));
  return std::nullopt;
}

std::optional<std::int64_t> Value::moment() const {
  constexpr std::string_view kWanted = "a time, such as \"2026-12-31T00:00:00Z\"";
  if (const auto time = node_->value_exact<toml::date_time>(); time && time->offset) {
    const std::chrono::sys_days day = std::chrono::year(time->date.year) /
                                      std::chrono::month(time->date.month) /
                                      std::chrono::day(time->date.day);
    return std::int64_t{day.time_since_epoch().count()} * 86400 + time->time.hour * 3600 +
           (time->time.minute - time->offset->minutes) * 60 + time->time.second;
  }
  if (node_->is_date_time()) {
    fail(fmt::format("is a time of no known place; give {}", kWanted));
    return std::nullopt;
  }
  const std::optional<std::string> written = text(kWanted);
  if (!written) return std::nullopt;
  const std::optional<std::int64_t> seconds = parse_rfc3339(*written);
  if (!seconds) fail(fmt::format("{} is no time; give {}", quoted(*written), kWanted));
  return seconds;
}

std::optional<std::int64_t> Value::bytes(Range range) const {
  std::optional<std::int64_t> value = node_->value_exact<std::int64_t>();
  if (const auto text = node_->value_exact<std::string>()) {
    const auto parsed = parse_bytes(*text);
    if (!parsed) {
      fail(parsed.error());
      return std::nullopt;
    }
    value = *parsed;
  }
  const std::string wanted = fmt::format("{} to {}", bytes_text(range.min), bytes_text(range.max));
  if (!value) {
    fail_type(fmt::format("a size such as \"1MiB\", from {}", wanted));
    return std::nullopt;
  }
  if (*value >= range.min && *value <= range.max) return value;
  fail(fmt::format("{} is out of range; give {}",
                   *value < 0 ? std::to_string(*value) : bytes_text(*value), wanted));
  return std::nullopt;
}

std::optional<std::int64_t> Value::duration(TimeUnit unit, Range range) const {
  const auto unit_us = static_cast<std::int64_t>(unit);
  const Range range_us{range.min * unit_us, range.max * unit_us};
  const std::string wanted =
      fmt::format("{} to {}", duration_text(range_us.min), duration_text(range_us.max));
  const auto whole = node_->value_exact<std::int64_t>();
  const auto text = node_->value_exact<std::string>();
  std::int64_t us = 0;
  if (whole) {
    if (__builtin_mul_overflow(*whole, std::int64_t{1'000'000}, &us)) us = *whole;
  } else if (text) {
    const auto parsed = parse_duration_us(*text);
    if (!parsed) {
      fail(parsed.error());
      return std::nullopt;
    }
    us = *parsed;
  } else {
    fail_type(fmt::format("a duration such as \"10s\", from {}", wanted));
    return std::nullopt;
  }
  if (us < range_us.min || us > range_us.max) {
    const std::string given = whole ? std::to_string(*whole) : duration_text(us);
    fail(fmt::format("{} is out of range; give {}", given, wanted));
    return std::nullopt;
  }
  if (us % unit_us != 0) {
    fail(fmt::format("{} is too fine; give whole {}", duration_text(us),
                     unit == TimeUnit::kSecond ? "seconds" : "milliseconds"));
    return std::nullopt;
  }
  return us / unit_us;
}

std::vector<Value::Member> Value::members() const {
  std::vector<Member> members;
  const toml::table* table = node_->as_table();
  if (table == nullptr) {
    fail_type("a table");
    return members;
  }
  for (const auto& [name, node] : *table) {
    const std::string key =
        key_.empty() ? as_key(name.str()) : fmt::format("{}.{}", key_, as_key(name.str()));
    members.push_back({name.str(), position_of(name.source()), Value(node, key, *errors_)});
  }
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return a.at < b.at; });
  return members;
}

std::vector<Value> Value::elements(std::string_view what) const {
  std::vector<Value> elements;
  const toml::array* array = node_->as_array();
  if (array == nullptr) {
    elements.emplace_back(*node_, key_, *errors_);
    return elements;
  }
  for (const toml::node& node : *array)
    elements.emplace_back(node, fmt::format("{}[{}]", key_, elements.size()), *errors_);
  if (elements.empty()) fail(fmt::format("is empty; give {}", what));
  return elements;
}

void fail_unknown(const Value::Member& member, std::span<const std::string_view> known) {
  member.value.errors().add(
      member.at, member.value.key(),
      fmt::format("unknown key; {}", suggestion(member.name, "the keys here are", known)));
}

std::optional<toml::table> parse_toml(std::string_view text, Errors& errors) {
  if (const std::optional<Position> deep = too_deep(text)) {
    errors.add(*deep, "syntax",
               fmt::format("nested too deeply; no more than {} levels", kTomlDepthMax));
    return std::nullopt;
  }
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    errors.add(position_of(error.source()), "syntax", syntax_error(error.description()));
  } catch (const std::exception& error) {
    errors.add({1, 1}, "syntax", syntax_error(error.what()));
  }
  return std::nullopt;
}

}  // namespace tokenring
