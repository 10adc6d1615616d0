// What replies may be.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "client.hpp"
#include "who.hpp"

namespace tokenring::sim {

namespace {

// The line at the front, without its end, taken off `in`; false while it is not whole.
bool take_line(std::string_view& in, std::string_view& line) {
  const std::size_t end = in.find("\r\n");
  if (end == std::string_view::npos) return false;
  line = in.substr(0, end);
  in.remove_prefix(end + 2);
  return true;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(line.size(), end + 1));
  }
  return words;
}

std::uint64_t number_of(std::string_view word) {
  std::uint64_t number = UINT64_MAX;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

// For messages: one line, and not too long.
std::string shown(std::string_view bytes) {
  std::string text;
  for (const char c : bytes.substr(0, 160))
    text += c == '\r' ? "\\r" : c == '\n' ? "\\n" : std::string(1, c);
  return text;
}

constexpr std::string_view kAccessDenied = "CLIENT_ERROR access denied";
constexpr std::string_view kBusy = "SERVER_ERROR too many requests in flight";
constexpr std::string_view kNoMemory = "SERVER_ERROR out of memory storing object";
constexpr std::string_view kNotANumber =
    "CLIENT_ERROR cannot increment or decrement non-numeric value";
constexpr std::string_view kFanOutFailed = "SERVER_ERROR not every node answered";
constexpr std::array<std::string_view, 6> kNodeFailures = {
    "SERVER_ERROR node is down",
    "SERVER_ERROR connection to node lost",
    "SERVER_ERROR node timed out",
    "SERVER_ERROR bad reply from node",
    "SERVER_ERROR node refused the request",
    "SERVER_ERROR lie"};  // A node's own error.

}  // namespace

bool Client::is_failure(std::string_view line) const {
  const Kind kind = kind_of(number_);
  if (rules_.asks && line == kAccessDenied) return kind == Kind::kLimited || kind == Kind::kOwner;
  if (line == kFanOutFailed) return rules_.faults || rules_.limits;
  if (line == kBusy || line == kNoMemory) return rules_.limits;
  if (rules_.lies && line == kNotANumber) return true;
  return rules_.faults &&
         std::find(kNodeFailures.begin(), kNodeFailures.end(), line) != kNodeFailures.end();
}

std::string Client::value_of(const std::string& key, std::uint64_t write) {
  static constexpr std::size_t kSizes[] = {0, 3, 40, 100, 300, 2000, 3000};
  std::string value = fmt::format("{}|{}|", key, write);
  const std::string_view filler = write % 3 == 0 ? "END\r\nHD\r\n" : "0123456789";
  for (const std::size_t size = value.size() + kSizes[write % std::size(kSizes)];
       value.size() < size;)
    value += filler;
  return value;
}

bool Client::value_is_possible(const std::string& key, Floor floor, std::string_view value) const {
  if (!may_see(key)) return false;
  // What change() appends; no value ends in one otherwise.
  value = value.substr(0, value.find_last_not_of('+') + 1);
  const std::size_t bar = value.find('|');
  if (bar == std::string_view::npos || value.substr(0, bar) != key) return false;
  const std::uint64_t write = number_of(value.substr(bar + 1));
  const auto written = facts_->written.find(key);
  return write >= floor.least && written != facts_->written.end() && write <= written->second &&
         value == value_of(key, write);
}

void Client::expect(std::string what, std::function<Verdict(std::string_view&)> read) {
  expected_.push_back({std::move(what), std::move(read)});
}

Client::Verdict Client::read_line(std::string_view& in, const std::vector<std::string>& lines,
                                  std::string_view& line) const {
  if (!take_line(in, line)) return Verdict::kMore;
  const bool listed = std::find(lines.begin(), lines.end(), line) != lines.end();
  return listed || is_failure(line) ? Verdict::kDone : Verdict::kWrong;
}

void Client::expect_lines(std::string what, std::vector<std::string> lines) {
  expect(std::move(what), [=, this](std::string_view& in) {
    std::string_view line;
    return read_line(in, lines, line);
  });
}

void Client::expect_change(std::string what, std::vector<std::string> lines,
                           const std::string& key) {
  expect(std::move(what), [=, this, floor = sent_[key]](std::string_view& in) {
    std::string_view line;
    const Verdict verdict = read_line(in, lines, line);
    if (verdict == Verdict::kDone && !is_failure(line)) facts_->acked[key] = floor;
    return verdict;
  });
}

Client::Verdict Client::read_get(std::string_view& in, const std::vector<std::string>& keys,
                                 const std::vector<Floor>& floors, bool with_cas) const {
  std::size_t next = 0;
  while (true) {
    std::string_view line;
    if (!take_line(in, line)) return Verdict::kMore;
    if (line == "END") {
      for (; next < keys.size(); ++next)
        if (!floors[next].gone) return Verdict::kWrong;
      return Verdict::kDone;
    }
    // An error stands alone.
    if (is_failure(line)) return rules_.get_errors && next == 0 ? Verdict::kDone : Verdict::kWrong;
    const auto words = words_of(line);
    // The key is the proof: a doubled answer to a get is one to a gets, too.
    const bool fits = words.size() == (with_cas ? 5U : 4U) || (rules_.lies && words.size() == 4);
    if (!fits || words[0] != "VALUE") return Verdict::kWrong;
    for (; next < keys.size() && keys[next] != words[1]; ++next)
      if (!floors[next].gone) return Verdict::kWrong;
    const std::uint64_t size = number_of(words[3]);
    if (next == keys.size() || size > rules_.value_bytes_max) return Verdict::kWrong;
    if (in.size() < size + 2) return Verdict::kMore;
    if (!value_is_possible(keys[next], floors[next], in.substr(0, size))) return Verdict::kWrong;
    if (in.substr(size, 2) != "\r\n") return Verdict::kWrong;
    in.remove_prefix(size + 2);
    ++next;
  }
}

// The value behind a VA line.
Client::Verdict Client::read_value(std::string_view& in, const std::string& key, Floor floor,
                                   std::uint64_t size) const {
  if (size > rules_.value_bytes_max) return Verdict::kWrong;
  if (in.size() < size + 2) return Verdict::kMore;
  if (!value_is_possible(key, floor, in.substr(0, size))) return Verdict::kWrong;
  in.remove_prefix(size + 2);
  return Verdict::kDone;
}

Client::Verdict Client::read_meta_get(std::string_view& in, const std::string& key, Floor floor,
                                      const std::string& opaque) const {
  std::string_view line;
  if (!take_line(in, line)) return Verdict::kMore;
  if (is_failure(line)) return Verdict::kDone;
  if (line == fmt::format("EN k{} {}", key, opaque))
    return floor.gone ? Verdict::kDone : Verdict::kWrong;
  const auto words = words_of(line);
  if (words.size() != 6 || words[0] != "VA" || words[3] != "k" + key || words[4] != opaque ||
      words[2][0] != 'f' || words[5][0] != 't')
    return Verdict::kWrong;
  if (key.starts_with(kCappedPrefix) && number_of(words[5].substr(1)) > kCapS)
    return Verdict::kWrong;
  return read_value(in, key, floor, number_of(words[1]));
}

// A meta get of a value alone, as those that share requests are.
Client::Verdict Client::read_bare_get(std::string_view& in, const std::string& key,
                                      Floor floor) const {
  std::string_view line;
  if (!take_line(in, line)) return Verdict::kMore;
  if (is_failure(line)) return Verdict::kDone;
  if (line == "EN") return floor.gone ? Verdict::kDone : Verdict::kWrong;
  const auto words = words_of(line);
  if (words.size() != 2 || words[0] != "VA") return Verdict::kWrong;
  return read_value(in, key, floor, number_of(words[1]));
}

// Quiet gets: only hits and failures answer, in order, and MN comes last.
Client::Verdict Client::read_quiet_run(std::string_view& in,
                                       const std::vector<std::string>& opaques,
                                       const std::vector<Floor>& floors) const {
  std::size_t next = 0;
  while (true) {
    const std::string_view before = in;
    std::string_view line;
    if (!take_line(in, line)) return Verdict::kMore;
    const bool over = line == "MN";
    if (!over && is_failure(line)) continue;
    const auto words = words_of(line);
    if (!over && (words.size() != 6 || words[0] != "VA")) return Verdict::kWrong;
    for (; next < opaques.size() && (over || opaques[next] != words[4]); ++next)
      if (!floors[next].gone) return Verdict::kWrong;
    if (over) return Verdict::kDone;
    if (next == opaques.size()) return Verdict::kWrong;
    in = before;
    const Verdict verdict = read_meta_get(in, keys_[next], floors[next], opaques[next]);
    if (verdict != Verdict::kDone) return verdict;
    ++next;
  }
}

// A number of this client's own, which goes up by one where nothing is lost.
Client::Verdict Client::read_count(std::string_view& in, const std::string& number,
                                   const std::string& opaque) {
  std::string_view line;
  std::string_view digits;
  if (!take_line(in, line)) return Verdict::kMore;
  if (is_failure(line)) return Verdict::kDone;
  if (!line.starts_with("VA ") || !line.ends_with(opaque)) return Verdict::kWrong;
  if (!take_line(in, digits)) return Verdict::kMore;
  const std::uint64_t seen = number_of(digits);
  const std::uint64_t expected = std::exchange(counted_[number], seen) + 1;
  if (rules_.faults || rules_.loses || rules_.limits || rules_.expires) return Verdict::kDone;
  // Under a cap it may have begun anew.
  const bool anew = seen == 1 && number.starts_with(kCappedPrefix);
  return seen == expected || anew ? Verdict::kDone : Verdict::kWrong;
}

// Lines of STAT and one END.
Client::Verdict Client::read_stats(std::string_view& in) const {
  while (true) {
    std::string_view line;
    if (!take_line(in, line)) return Verdict::kMore;
    if (line == "END" || (line == kAccessDenied && is_failure(line))) return Verdict::kDone;
    if (!line.starts_with("STAT ") || words_of(line).size() < 3) return Verdict::kWrong;
  }
}

std::string Client::receive(std::string_view bytes) {
  received_ += bytes;
  std::string_view in = received_;
  while (!in.empty()) {
    if (expected_.empty()) return "unasked reply: " + shown(in);
    std::string_view rest = in;
    const Verdict verdict = expected_.front().read(rest);
    if (verdict == Verdict::kMore) break;
    if (verdict == Verdict::kWrong) return expected_.front().what + " answered: " + shown(in);
    expected_.pop_front();
    in = rest;
  }
  received_.erase(0, received_.size() - in.size());
  return {};
}

}  // namespace tokenring::sim
