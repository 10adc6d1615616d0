#include "client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

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

bool is_failure(std::string_view line) {
  return line.starts_with("SERVER_ERROR ");
}

constexpr int kKeys = 6;

std::string key_of(std::uint32_t client, int i) {
  return fmt::format("{}c{}:k{}{}", i % 3 == 2 ? kCappedPrefix : "", client, i,
                     i % 2 == 1 ? "{tag}" : "");
}

}  // namespace

Client::Client(std::uint32_t number, std::uint64_t seed, Rules rules,
               std::shared_ptr<Written> written)
    : number_(number), random_(seed), rules_(rules), written_(std::move(written)) {
  for (int i = 0; i < kKeys; ++i) keys_.push_back(key_of(number, i));
}

std::string Client::key_to_read() {
  if (!random_.one_in(4)) return any_key();
  return key_of(static_cast<std::uint32_t>(random_.below(rules_.clients)),
                static_cast<int>(random_.below(kKeys)));
}

std::string Client::value_of(const std::string& key, std::uint64_t write) const {
  static constexpr std::size_t kSizes[] = {0, 3, 40, 100, 300, 2000, 3000};
  std::string value = fmt::format("{}|{}|", key, write);
  const std::string_view filler = write % 3 == 0 ? "END\r\nHD\r\n" : "0123456789";
  for (const std::size_t size = value.size() + kSizes[write % std::size(kSizes)];
       value.size() < size;)
    value += filler;
  return value;
}

bool Client::value_is_possible(const std::string& key, std::string_view value) {
  const std::size_t bar = value.find('|');
  if (bar == std::string_view::npos || value.substr(0, bar) != key) return false;
  const std::uint64_t write = number_of(value.substr(bar + 1));
  if (write > (*written_)[key] || value != value_of(key, write)) return false;
  return rules_.faults || (write >= acked_[key] && write > ended_[key]);
}

void Client::expect(std::string what, std::function<Verdict(std::string_view&)> read) {
  expected_.push_back({std::move(what), std::move(read)});
}

// One of `lines`, the first of which acknowledges `write` of `key`.
void Client::expect_lines(std::string what, std::vector<std::string> lines, std::string key,
                          std::uint64_t write) {
  expect(std::move(what), [=, this](std::string_view& in) {
    std::string_view line;
    if (!take_line(in, line)) return Verdict::kMore;
    if (line == lines.front() && !key.empty()) acked_[key] = write;
    if (is_failure(line) && rules_.faults) return Verdict::kDone;
    return std::find(lines.begin(), lines.end(), line) != lines.end() ? Verdict::kDone
                                                                      : Verdict::kWrong;
  });
}

Client::Verdict Client::read_get(std::string_view& in, std::vector<std::string> keys,
                                 bool with_cas) {
  auto next = keys.begin();
  while (true) {
    std::string_view line;
    if (!take_line(in, line)) return Verdict::kMore;
    if (line == "END") {
      // Without faults and evictions, what was acknowledged is there, but under a cap it may be
      // over.
      const bool all_there =
          std::all_of(next, keys.end(), [&](const std::string& key) { return may_be_gone(key); });
      return all_there ? Verdict::kDone : Verdict::kWrong;
    }
    if (is_failure(line)) {
      // An error stands alone.
      return rules_.faults && !rules_.failure_is_miss && next == keys.begin() ? Verdict::kDone
                                                                              : Verdict::kWrong;
    }
    const auto words = words_of(line);
    if (words.size() != (with_cas ? 5U : 4U) || words[0] != "VALUE") return Verdict::kWrong;
    for (; next != keys.end() && *next != words[1]; ++next)
      if (!may_be_gone(*next)) return Verdict::kWrong;
    const std::uint64_t size = number_of(words[3]);
    if (next == keys.end() || size > rules_.value_bytes_max) return Verdict::kWrong;
    if (in.size() < size + 2) return Verdict::kMore;
    if (!value_is_possible(*next, in.substr(0, size))) return Verdict::kWrong;
    if (in.substr(size, 2) != "\r\n") return Verdict::kWrong;
    in.remove_prefix(size + 2);
    ++next;
  }
}

Client::Verdict Client::read_meta_get(std::string_view& in, const std::string& key,
                                      const std::string& opaque) {
  std::string_view line;
  if (!take_line(in, line)) return Verdict::kMore;
  if (is_failure(line)) return rules_.faults ? Verdict::kDone : Verdict::kWrong;
  if (line == fmt::format("EN k{} {}", key, opaque))
    return may_be_gone(key) ? Verdict::kDone : Verdict::kWrong;
  const auto words = words_of(line);
  if (words.size() != 6 || words[0] != "VA" || words[3] != "k" + key || words[4] != opaque ||
      words[2][0] != 'f' || words[5][0] != 't')
    return Verdict::kWrong;
  if (key.starts_with(kCappedPrefix) && number_of(words[5].substr(1)) > kCapS)
    return Verdict::kWrong;
  const std::uint64_t size = number_of(words[1]);
  if (size > rules_.value_bytes_max) return Verdict::kWrong;
  if (in.size() < size + 2) return Verdict::kMore;
  if (!value_is_possible(key, in.substr(0, size))) return Verdict::kWrong;
  in.remove_prefix(size + 2);
  return Verdict::kDone;
}

std::string Client::set() {
  const std::string key = any_key();
  const std::uint64_t write = (*written_)[key] = ++writes_;
  const std::string value = value_of(key, write);
  static constexpr std::string_view kTimes[] = {"0", "100", "1000", "2592000", "4000000000"};
  const std::string_view exptime = kTimes[random_.below(4)];
  // An unacknowledged write may or may not count: what is read later must allow for both.
  if (random_.one_in(5))
    return fmt::format("set {} 5 {} {} noreply\r\n{}\r\n", key, exptime, value.size(), value);
  expect_lines("set " + key, {"STORED"}, key, write);
  return fmt::format("set {} 5 {} {}\r\n{}\r\n", key, exptime, value.size(), value);
}

// What asks for a longer life than there may be.
std::string Client::prolong() {
  const std::string key = any_key();
  const std::string opaque = fmt::format("Ot{}", ++opaques_);
  switch (random_.below(5)) {
    case 0:
      expect_lines("touch " + key, {"TOUCHED", "NOT_FOUND"}, {}, 0);
      return fmt::format("touch {} {}\r\n", key, random_.one_in(2) ? "0" : "2000000000");
    case 1:
      expect_lines("mg T " + key, {"HD " + opaque, "EN " + opaque}, {}, 0);
      return fmt::format("mg {} T0 {}\r\n", key, opaque);
    case 2:
      expect_lines("ma " + key,
                   {"HD " + opaque, "NF " + opaque,
                    "CLIENT_ERROR cannot increment or decrement non-numeric value"},
                   {}, 0);
      return fmt::format("ma {} T90000 {}\r\n", key, opaque);
    case 3: {
      const std::string number = key + "#";  // A number that ma makes.
      expect_lines("ma N " + number, {"HD " + opaque}, {}, 0);
      return fmt::format("ma {} N0 J5 T{} {}\r\n", number, random_.below(4000), opaque);
    }
    default:
      expect(fmt::format("gat {}", key),
             [=, this](std::string_view& in) { return read_get(in, {key}, false); });
      return fmt::format("gat {} {}\r\n", random_.one_in(2) ? "0" : "3000", key);
  }
}

std::string Client::get() {
  std::vector<std::string> keys{key_to_read()};
  if (random_.one_in(3)) {
    keys = keys_;
    while (random_.one_in(2)) keys.push_back(key_to_read());
  }
  const bool with_cas = random_.one_in(3);
  const bool touches = random_.one_in(6);
  std::string line = touches ? (with_cas ? "gats 500" : "gat 500") : (with_cas ? "gets" : "get");
  for (const std::string& key : keys) line += " " + key;
  // A line of its own length class: longer than what is served at once.
  if (random_.one_in(40))
    for (int i = 0; i < 700; ++i) line += fmt::format(" miss{}:{}", number_, i);
  expect(line.substr(0, 60),
         [=, this](std::string_view& in) { return read_get(in, keys, with_cas); });
  return line + "\r\n";
}

std::string Client::remove() {
  const std::string key = any_key();
  // Writes go on from the last, so that none is taken for one of before the delete.
  const std::uint64_t ended = writes_;
  const auto expect_gone = [&](std::string what, std::vector<std::string> lines) {
    expect(std::move(what), [=, this](std::string_view& in) {
      std::string_view line;
      if (!take_line(in, line)) return Verdict::kMore;
      if (is_failure(line) && rules_.faults) return Verdict::kDone;
      acked_[key] = 0;
      ended_[key] = ended;
      return std::find(lines.begin(), lines.end(), line) != lines.end() ? Verdict::kDone
                                                                        : Verdict::kWrong;
    });
  };
  if (random_.one_in(3)) {
    const std::string opaque = fmt::format("Od{}", ++opaques_);
    expect_gone("md " + key, {"HD " + opaque, "NF " + opaque});
    return fmt::format("md {} {}\r\n", key, opaque);
  }
  expect_gone("delete " + key, {"DELETED", "NOT_FOUND"});
  return fmt::format("delete {}\r\n", key);
}

std::string Client::meta_set() {
  const std::string key = any_key();
  const std::uint64_t write = (*written_)[key] = ++writes_;
  const std::string value = value_of(key, write);
  const std::string opaque = fmt::format("Os{}", ++opaques_);
  expect_lines("ms " + key, {fmt::format("HD {} k{}", opaque, key)}, key, write);
  return fmt::format("ms {} {} {} k{}\r\n{}\r\n", key, value.size(), opaque,
                     random_.one_in(2) ? " T200" : "", value);
}

std::string Client::meta_get() {
  const std::string key = key_to_read();
  const std::string opaque = fmt::format("Og{}", ++opaques_);
  expect("mg " + key, [=, this](std::string_view& in) { return read_meta_get(in, key, opaque); });
  return fmt::format("mg {} v f k {} t\r\n", key, opaque);
}

// Quiet gets: only hits and failures answer, in order, and MN comes last.
std::string Client::quiet_run() {
  std::string out;
  std::vector<std::string> opaques;
  for (const std::string& key : keys_) {
    opaques.push_back(fmt::format("Oq{}", ++opaques_));
    out += fmt::format("mg {} v f k {} t q\r\n", key, opaques.back());
  }
  expect("quiet run", [=, this](std::string_view& in) {
    std::size_t next = 0;
    while (true) {
      const std::string_view before = in;
      std::string_view line;
      if (!take_line(in, line)) return Verdict::kMore;
      if (line == "MN") return Verdict::kDone;
      if (is_failure(line) && rules_.faults) continue;
      const auto words = words_of(line);
      if (words.size() != 6 || words[0] != "VA") return Verdict::kWrong;
      while (next < opaques.size() && opaques[next] != words[4]) ++next;
      if (next == opaques.size()) return Verdict::kWrong;
      in = before;
      const Verdict verdict = read_meta_get(in, keys_[next], opaques[next]);
      if (verdict != Verdict::kDone) return verdict;
      ++next;
    }
  });
  return out + "mn\r\n";
}

// Requests that are wrong, refused, or answered by the proxy itself: one exact line each.
std::string Client::odd() {
  const std::string key = any_key();
  switch (random_.below(7)) {
    case 0:
      expect_lines("bogus", {"ERROR"}, {}, 0);
      return "bogus command\r\n";
    case 1:
      expect_lines("bad chunk", {"CLIENT_ERROR bad data chunk"}, {}, 0);
      expect_lines("residue", {"ERROR"}, {}, 0);
      return fmt::format("set {} 0 0 3\r\nabcd\r\n", key);
    case 2:
      expect_lines("long key", {"CLIENT_ERROR bad command line format"}, {}, 0);
      return fmt::format("get {} {}\r\n", key, std::string(251, 'x'));
    case 3: {
      const std::size_t size = rules_.value_bytes_max + 1 + random_.below(9000);
      (*written_)[key] = ++writes_;
      expect_lines("too large", {"SERVER_ERROR object too large for cache"}, key, 0);
      return fmt::format("set {} 0 0 {}\r\n{}\r\n", key, size, std::string(size, 'z'));
    }
    case 4:
      expect_lines("mn", {"MN"}, {}, 0);
      return "mn\r\n";
    case 5:
      expect_lines("touch", {"TOUCHED", "NOT_FOUND"}, {}, 0);
      return fmt::format("touch {} 300\r\n", key);
    default:
      expect_lines("verbosity", {"OK"}, {}, 0);
      return "verbosity 1\r\n";
  }
}

std::string Client::more_requests() {
  std::string out;
  const std::uint64_t count = 1 + random_.below(5);
  for (std::uint64_t i = 0; i < count; ++i) {
    switch (random_.below(14)) {
      case 0:
      case 1:
      case 2:
        out += set();
        break;
      case 3:
      case 4:
      case 5:
        out += get();
        break;
      case 6:
        out += remove();
        break;
      case 7:
        out += meta_set();
        break;
      case 8:
      case 9:
        out += meta_get();
        break;
      case 10:
        out += quiet_run();
        break;
      case 11:
      case 12:
        out += prolong();
        break;
      default:
        out += odd();
        break;
    }
  }
  return out;
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
