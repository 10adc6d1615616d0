#include "proxy/stats_sum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace tokenring {

namespace {

enum class Rule { kSum, kMax, kFirst };

struct NameRule {
  std::string_view end;  // Of the name: behind the last colon of items:1:age and 1:chunk_size.
  Rule rule;
};

// What is not named here is added up (names as in memcached's doc/protocol.txt).
constexpr std::array kRules = {
    NameRule{"age", Rule::kMax},
    NameRule{"age_hot", Rule::kMax},
    NameRule{"age_warm", Rule::kMax},
    NameRule{"accepting_conns", Rule::kFirst},
    NameRule{"active_slabs", Rule::kMax},
    NameRule{"chunk_size", Rule::kFirst},
    NameRule{"chunks_per_page", Rule::kFirst},
    NameRule{"evicted_time", Rule::kMax},
    NameRule{"hash_is_expanding", Rule::kMax},
    NameRule{"hash_power_level", Rule::kMax},
    NameRule{"libevent", Rule::kFirst},
    NameRule{"pointer_size", Rule::kFirst},
    NameRule{"slab_reassign_running", Rule::kMax},
    NameRule{"lru_crawler_running", Rule::kMax},
    NameRule{"time", Rule::kMax},
    NameRule{"uptime", Rule::kMax},
};

// Of `stats settings` only this is an amount.
constexpr std::string_view kAmount = "maxbytes";

Rule rule_of(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  const std::string_view end = colon == std::string_view::npos ? name : name.substr(colon + 1);
  for (const NameRule& rule : kRules)
    if (rule.end == end) return rule.rule;
  return Rule::kSum;
}

template <typename T>
bool parse(std::string_view text, T& number) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace

StatsSum::Row* StatsSum::find(std::string_view name) noexcept {
  if (next_ < rows_.size() && rows_[next_].name == name) return &rows_[next_++];
  const auto found =
      std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.name == name; });
  if (found == rows_.end()) return nullptr;
  next_ = static_cast<std::size_t>(found - rows_.begin()) + 1;
  return &*found;
}

bool StatsSum::add(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view name = line.substr(0, line.find(' '));
  std::string_view value = line.substr(name.size());
  value.remove_prefix(std::min<std::size_t>(value.size(), 1));
  if (name.empty() || line.size() > kRowBytesMax) return false;
  Row fresh;
  if (settings_ && name != kAmount)
    fresh.kind = Row::Kind::kText;
  else if (parse(value, fresh.number))
    fresh.kind = Row::Kind::kNumber;
  else if (value.find('.') != std::string_view::npos && parse(value, fresh.real))
    fresh.kind = Row::Kind::kReal;
  Row* row = find(name);
  if (row == nullptr) {
    if (rows_.size() == kRowsMax) return false;
    fresh.name = name;
    fresh.text = value;
    rows_.push_back(std::move(fresh));
    next_ = rows_.size();
    return true;
  }
  if (row->kind != fresh.kind || row->kind == Row::Kind::kText) return true;
  switch (rule_of(name)) {
    case Rule::kSum:
      row->number += fresh.number;
      row->real += fresh.real;
      break;
    case Rule::kMax:
      row->number = std::max(row->number, fresh.number);
      row->real = std::max(row->real, fresh.real);
      break;
    case Rule::kFirst:
      break;
  }
  return true;
}

void StatsSum::set(std::string_view name, std::string value) {
  Row* row = find(name);
  if (row == nullptr) row = &rows_.emplace_back();
  row->name = name;
  row->kind = Row::Kind::kText;
  row->text = std::move(value);
}

std::string StatsSum::text() const {
  std::string out;
  for (const Row& row : rows_) {
    switch (row.kind) {
      case Row::Kind::kText:
        out += fmt::format("STAT {} {}\r\n", row.name, row.text);
        break;
      case Row::Kind::kNumber:
        out += fmt::format("STAT {} {}\r\n", row.name, row.number);
        break;
      case Row::Kind::kReal:
        out += fmt::format("STAT {} {:.6f}\r\n", row.name, row.real);
        break;
    }
  }
  return out + "END\r\n";
}

}  // namespace tokenring
