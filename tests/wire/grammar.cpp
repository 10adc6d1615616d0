#include "grammar.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>

#include "tokenring/parse.hpp"
#include "transcript.hpp"

namespace tokenring::test {

namespace {

using Ends = std::set<std::size_t>;  // Where in the received bytes a reply may end.

// One request of a stream and what its reply may be.
struct Asked {
  Command command = Command::kGet;
  bool known = true;            // Else an error line, and only that, answers it.
  bool may_be_silent = false;   // Quiet.
  bool must_be_silent = false;  // noreply.
  bool ends = false;            // The proxy closes behind it.
};

struct Reader {
  std::string_view rest;
  std::size_t value_bytes_max;
  bool owes_bytes = false;

  // The next request; empty at the end, where `rest` is what is not whole.
  std::optional<Asked> next();
  void skip(std::size_t n) {
    owes_bytes = n > rest.size();  // Of a value that is dropped as it comes.
    rest.remove_prefix(std::min(n, rest.size()));
  }
};

std::optional<Asked> Reader::next() {
  using Kind = ParsedRequest::Kind;
  Request request;
  const ParsedRequest parsed = parse_request(rest, request);
  Asked asked{.command = request.command};
  const bool text = request.dialect() == Dialect::kText;
  switch (parsed.kind) {
    case Kind::kIncomplete:
      return std::nullopt;
    case Kind::kKeyStream: {
      const std::size_t lf = rest.find('\n');
      if (lf == std::string_view::npos) return std::nullopt;
      skip(lf + 1);
      return asked;
    }
    case Kind::kError:
      asked.known = false;
      asked.must_be_silent = parsed.quiet;
      skip(parsed.consumed + static_cast<std::size_t>(parsed.swallow));
      return asked;
    case Kind::kClose:
    case Kind::kHangUp:
      asked.known = false;
      asked.ends = true;
      asked.must_be_silent = parsed.kind == Kind::kHangUp;
      skip(rest.size());
      return asked;
    case Kind::kRequest:
      break;
  }
  asked.may_be_silent = request.quiet && !text;
  asked.must_be_silent = (request.quiet && text) || request.command == Command::kQuit;
  asked.ends = request.command == Command::kQuit;
  asked.known = request.verb() != Verb::kRefused;
  if (request.verb() != Verb::kSet) {
    skip(parsed.consumed);
    return asked;
  }
  const std::size_t value_end = parsed.consumed + request.value_bytes;
  // What memcached counts: header, CAS, key, flags and value.
  const std::size_t item_bytes = 48 + 8 + request.item_key.size() + 1 +
                                 (request.client_flags != 0 ? 4U : 0U) + request.value_bytes + 2U;
  if (item_bytes > value_bytes_max) {
    asked.known = false;
  } else if (rest.size() < value_end + 2) {
    return std::nullopt;
  } else if (rest.substr(value_end, 2) != "\r\n") {
    asked.known = false;
  }
  if (!asked.known) asked.may_be_silent = false;
  skip(value_end + 2);
  return asked;
}

std::size_t line_end(std::string_view text, std::size_t at) {
  const std::size_t lf = text.find("\r\n", at);
  return lf == std::string_view::npos ? 0 : lf + 2;
}

// The end of a line that begins with one of the words; 0 when there is none.
std::size_t after_line(std::string_view text, std::size_t at,
                       std::initializer_list<std::string_view> words) {
  std::string_view line = text.substr(at);
  const std::string_view word = line.substr(0, line.find_first_of(" \r"));
  if (std::find(words.begin(), words.end(), word) == words.end()) return 0;
  return line_end(text, at);
}

// The end of a value reply whose size is the line's word number `size_at`.
std::size_t after_value(std::string_view text, std::size_t at, std::string_view word, int size_at) {
  const std::size_t end = after_line(text, at, {word});
  if (end == 0) return 0;
  std::string_view line = text.substr(at, end - 2 - at);
  std::string_view size;
  for (int i = 0; i <= size_at; ++i) size = next_word(line);
  if (size.empty() || size.find_first_not_of("0123456789") != std::string_view::npos) return 0;
  const std::size_t stop = end + std::stoul(std::string(size)) + 2;
  return stop <= text.size() && text.substr(stop - 2, 2) == "\r\n" ? stop : 0;
}

std::size_t after_get(std::string_view text, std::size_t at) {
  while (const std::size_t next = after_value(text, at, "VALUE", 3)) at = next;
  // A very long get whose hits went out already may end in an error.
  return after_line(text, at, {"END", "SERVER_ERROR", "CLIENT_ERROR"});
}

std::size_t after_number(std::string_view text, std::size_t at) {
  const std::size_t end = line_end(text, at);
  const std::string_view line = end == 0 ? "" : text.substr(at, end - 2 - at);
  const bool digits =
      !line.empty() && line.find_first_not_of("0123456789 ") == std::string_view::npos;
  return digits ? end : 0;
}

std::size_t after_stats(std::string_view text, std::size_t at) {
  while (const std::size_t next = after_line(text, at, {"STAT"})) at = next;
  return after_line(text, at, {"END", "RESET", "OK"});
}

std::size_t after_text(Command command, std::string_view text, std::size_t at) {
  switch (row_of(command).verb) {
    case Verb::kGet:
      return command == Command::kTouch ? after_line(text, at, {"TOUCHED", "NOT_FOUND"})
                                        : after_get(text, at);
    case Verb::kSet:
      return after_line(text, at, {"STORED", "NOT_STORED", "EXISTS", "NOT_FOUND"});
    case Verb::kDelete:
      return after_line(text, at, {"DELETED", "NOT_FOUND"});
    case Verb::kArithmetic:
      return std::max(after_number(text, at), after_line(text, at, {"NOT_FOUND"}));
    case Verb::kLocal:
      return command == Command::kStats ? after_stats(text, at)
                                        : after_line(text, at, {"OK", "VERSION"});
    case Verb::kDebug:
    case Verb::kRefused:
      break;
  }
  return 0;
}

std::size_t after_reply(Command command, std::string_view text, std::size_t at) {
  if (row_of(command).dialect == Dialect::kText) return after_text(command, text, at);
  if (const std::size_t end = after_value(text, at, "VA", 1)) return end;
  switch (row_of(command).verb) {
    case Verb::kGet:
      return after_line(text, at, {"HD", "EN"});
    case Verb::kDebug:
      return after_line(text, at, {"ME", "EN"});
    case Verb::kLocal:
      return after_line(text, at, {"MN"});
    default:
      return after_line(text, at, {"HD", "NS", "EX", "NF"});
  }
}

void advance(const Asked& asked, std::string_view received, std::size_t at, Ends& ends) {
  if (asked.must_be_silent || asked.may_be_silent) ends.insert(at);
  if (asked.must_be_silent) return;
  if (const std::size_t end =
          after_line(received, at, {"ERROR", "ERROR:", "CLIENT_ERROR", "SERVER_ERROR"}))
    ends.insert(end);
  if (!asked.known) return;
  if (const std::size_t end = after_reply(asked.command, received, at)) ends.insert(end);
}

}  // namespace

std::optional<std::string> replies_wrong(std::string_view sent, std::string_view received,
                                         std::size_t value_bytes_max, bool ended) {
  Reader reader{.rest = sent, .value_bytes_max = value_bytes_max};
  Ends at{0};
  while (const auto asked = reader.next()) {
    Ends ends;
    for (const std::size_t start : at) advance(*asked, received, start, ends);
    if (ended && at.contains(received.size())) return std::nullopt;
    if (ends.empty()) {
      return std::string(row_of(asked->command).name) + " cannot be answered by " +
             shown(received.substr(std::min(*at.begin(), received.size())));
    }
    at.swap(ends);
    if (asked->ends) break;
  }
  if (at.contains(received.size())) return std::nullopt;
  return "nothing asked for " + shown(received.substr(*at.rbegin()));
}

bool ends_between_requests(std::string_view sent, std::size_t value_bytes_max) {
  Reader reader{.rest = sent, .value_bytes_max = value_bytes_max};
  while (const auto asked = reader.next())
    if (asked->ends) return false;
  return reader.rest.empty() && !reader.owes_bytes;
}

bool are_whole_commands(std::string_view sent) {
  Reader reader{.rest = sent, .value_bytes_max = SIZE_MAX};
  while (const auto asked = reader.next())
    if (!asked->known || asked->ends) return false;
  return reader.rest.empty() && !reader.owes_bytes;
}

}  // namespace tokenring::test
