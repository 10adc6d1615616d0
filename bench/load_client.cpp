#include "load_client.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace tokenring::bench {
namespace {

constexpr std::string_view kEnd = "\r\n";

// The line at `from` without its end, or npos-sized nothing while it is incomplete.
bool line_at(std::string_view in, std::size_t from, std::string_view& line) {
  const std::size_t end = in.find(kEnd, from);
  if (end == std::string_view::npos) return false;
  line = in.substr(from, end - from);
  return true;
}

struct ValueLine {
  std::string_view key;
  std::size_t bytes = 0;
};

// `VALUE key flags bytes`
bool parse_value_line(std::string_view line, ValueLine& out) {
  constexpr std::string_view kWord = "VALUE ";
  if (!line.starts_with(kWord)) return false;
  line.remove_prefix(kWord.size());
  const std::size_t key_end = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (key_end == std::string_view::npos || last == key_end) return false;
  out.key = line.substr(0, key_end);
  const char* end = line.data() + line.size();
  return std::from_chars(line.data() + last + 1, end, out.bytes).ptr == end;
}

}  // namespace

std::string Workload::key(std::uint32_t number) const {
  return prefix + std::to_string(number);
}

void Workload::prepare() {
  padding_.resize(value_bytes);
  std::uint32_t state = 12345;
  for (char& c : padding_) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>('a' + (state >> 24) % 26);
  }
}

void Workload::append_value(std::string_view key, std::string& out) const {
  const std::size_t head = std::min(key.size(), value_bytes);
  out.append(key.substr(0, head)).append(padding_, head);
}

bool Workload::belongs(std::string_view key, std::string_view value) const noexcept {
  const std::size_t head = std::min(key.size(), value_bytes);
  return value.size() == value_bytes && value.starts_with(key.substr(0, head)) &&
         value.substr(head) == std::string_view(padding_).substr(head);
}

Client::Client(const Workload& workload, Tally& tally, std::uint32_t& fill_next, std::uint64_t seed)
    : workload_(workload), tally_(tally), fill_next_(fill_next), random_(seed) {}

void Client::compose_set(std::uint32_t number) {
  const std::string key = workload_.key(number);
  output.append("set ").append(key).append(" 0 0 ");
  output.append(std::to_string(workload_.value_bytes)).append(kEnd);
  workload_.append_value(key, output);
  output.append(kEnd);
}

bool Client::compose(std::uint64_t due_ns) {
  Pending request{due_ns, {}};
  if (workload_.fill) {
    if (fill_next_ >= workload_.keys) return false;
    compose_set(fill_next_++);
  } else if (turn_++ % (workload_.sets + workload_.gets) < workload_.sets) {
    compose_set(static_cast<std::uint32_t>(random_() % workload_.keys));
  } else {
    output.append("get");
    for (std::uint32_t i = 0; i < workload_.keys_per_get; ++i) {
      request.keys.push_back(static_cast<std::uint32_t>(random_() % workload_.keys));
      output.append(" ").append(workload_.key(request.keys.back()));
    }
    output.append(kEnd);
  }
  pending_.push_back(std::move(request));
  return true;
}

void Client::count_line(std::string_view line) {
  const bool error = line.starts_with("SERVER_ERROR") || line.starts_with("CLIENT_ERROR") ||
                     line.starts_with("ERROR");
  ++(error ? tally_.errors : tally_.wrong);
  if (tally_.first_error.empty()) tally_.first_error = line.substr(0, 100);
}

bool Client::read_line(std::string_view in, std::string_view expected, std::size_t& used) {
  std::string_view line;
  if (!line_at(in, 0, line)) return false;
  used = line.size() + kEnd.size();
  if (line != expected) count_line(line);
  return true;
}

bool Client::read_get(std::string_view in, const Pending& request, std::size_t& used) {
  std::size_t at = 0;
  std::size_t next_key = 0;  // Values come in the order asked; a miss leaves a gap.
  std::uint64_t hits = 0;
  std::uint64_t wrong = 0;
  std::string_view line;
  ValueLine value;
  while (true) {
    if (!line_at(in, at, line)) return false;
    at += line.size() + kEnd.size();
    if (!parse_value_line(line, value)) break;
    if (in.size() < at + value.bytes + kEnd.size()) return false;
    while (next_key < request.keys.size() && workload_.key(request.keys[next_key]) != value.key) {
      ++next_key;
    }
    const bool asked = next_key++ < request.keys.size();
    const bool right = asked && workload_.belongs(value.key, in.substr(at, value.bytes)) &&
                       in.substr(at + value.bytes, kEnd.size()) == kEnd;
    ++(right ? hits : wrong);
    if (!right && tally_.first_error.empty()) tally_.first_error = line.substr(0, 100);
    at += value.bytes + kEnd.size();
  }
  used = at;
  tally_.hits += hits;
  tally_.wrong += wrong;
  if (line == "END") {
    tally_.misses +=
        request.keys.size() - std::min<std::uint64_t>(request.keys.size(), hits + wrong);
  } else {
    count_line(line);
  }
  return true;
}

std::uint64_t Client::take_reply() {
  const std::string_view in = std::string_view(input).substr(input_begin);
  if (in.empty()) return 0;
  if (pending_.empty()) {  // Nothing was asked.
    ++tally_.wrong;
    input_begin = input.size();
    return 0;
  }
  const Pending& request = pending_.front();
  std::size_t used = 0;
  const bool whole =
      request.keys.empty() ? read_line(in, "STORED", used) : read_get(in, request, used);
  if (!whole) return 0;
  input_begin += used;
  if (input_begin == input.size()) {
    input.clear();
    input_begin = 0;
  }
  ++tally_.requests;
  const std::uint64_t due_ns = request.due_ns;
  pending_.pop_front();
  return due_ns;
}

}  // namespace tokenring::bench
