// Reading a node's replies.
#include "tokenring/reply.hpp"

#include <cstring>

#include "tokenring/parse.hpp"
#include "wire/numbers.hpp"
#include "wire/words.hpp"

namespace tokenring {

namespace {

using Kind = ParsedReply::Kind;

// A reply line without its LF may grow to this many bytes. memcached's longest is about 2 KiB.
constexpr std::size_t kReplyLineBytesMax = 4096;
constexpr std::size_t kSizeDigits = 10;

// Comparisons with a constant, which take no call.
template <std::size_t N>
bool begins(std::string_view text, const char (&name)[N]) noexcept {
  return text.size() >= N - 1 && std::memcmp(text.data(), name, N - 1) == 0;
}
template <std::size_t N>
bool is(std::string_view word, const char (&name)[N]) noexcept {
  return word.size() == N - 1 && begins(word, name);
}

// The code at the front of `text`, which then begins behind it and a blank.
std::optional<ReplyCode> read_code(std::string_view& text) noexcept {
  const std::string_view word = next_word(text);
#define X(enumerator, code) \
  if (is(word, code)) return ReplyCode::enumerator;
  TOKENRING_REPLY_CODES(X)
#undef X
  return std::nullopt;
}

// The digits at `at`, which then stands behind them; false where there are none, or more than
// `digits_max`.
bool read_number(const char*& at, const char* end, std::size_t digits_max,
                 std::uint64_t& number) noexcept {
  const char* const begin = at;
  number = 0;
  for (; at != end; ++at) {
    const unsigned digit = static_cast<unsigned char>(*at) - unsigned{'0'};
    if (digit > 9) break;
    number = number * 10 + digit;
  }
  return at != begin && at - begin <= static_cast<std::ptrdiff_t>(digits_max);
}

// Whether `byte` stands at `at`, which then is behind it.
bool read_byte(const char*& at, const char* end, char byte) noexcept {
  if (at == end || *at != byte) return false;
  ++at;
  return true;
}

// No LF so far: more is needed, unless that is too much for a line already.
ParsedReply wait_for_line(std::string_view in) noexcept {
  if (in.size() > kReplyLineBytesMax) return {.kind = Kind::kMalformed};
  return {.kind = Kind::kIncomplete, .needed = in.size() + 1};
}

// A line of `bytes` that says nothing more.
ParsedReply take_line(ReplyCode code, std::size_t bytes, std::string_view in,
                      Reply& reply) noexcept {
  reply = {.code = code, .line = {in.data(), bytes}};
  return {.kind = Kind::kReply, .consumed = bytes};
}

// The value of `size` bytes behind the line of `line_bytes`, and its CR LF.
ParsedReply take_value(std::string_view in, std::size_t line_bytes, std::uint64_t size,
                       std::size_t value_bytes_max, Reply& reply) noexcept {
  if (size > value_bytes_max) return {.kind = Kind::kMalformed};
  const std::size_t total = line_bytes + size + 2;
  if (in.size() < total) return {.kind = Kind::kIncomplete, .needed = total};
  if (in[total - 2] != '\r' || in[total - 1] != '\n') return {.kind = Kind::kMalformed};
  reply.value = {in.data() + line_bytes, size};
  return {.kind = Kind::kReply, .consumed = total};
}

// VALUE <key> <flags> <bytes> [<cas>], the most frequent one, read once from front to back. Nothing
// else is passed on to a client.
ParsedReply parse_value(std::string_view in, std::size_t value_bytes_max, Reply& reply) noexcept {
  const char* const end = in.data() + in.size();
  const char* const key = in.data() + std::string_view("VALUE ").size();
  const char* const key_end = wire::find_delimiter(key, end);
  const char* at = key_end;
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  bool fits = key_end != key && read_byte(at, end, ' ');
  const char* const rest = at;
  fits = fits && read_number(at, end, 10, number) && read_byte(at, end, ' ') &&
         read_number(at, end, kSizeDigits, size) &&
         (!read_byte(at, end, ' ') || read_number(at, end, 20, number));
  const char* const line_end = at;
  fits = fits && read_byte(at, end, '\r') && read_byte(at, end, '\n');
  const auto line_bytes = static_cast<std::size_t>(at - in.data());
  if (!fits) {
    const bool has_line = std::memchr(in.data(), '\n', in.size()) != nullptr;
    return has_line ? ParsedReply{.kind = Kind::kMalformed} : wait_for_line(in);
  }
  if (line_bytes > kReplyLineBytesMax) return {.kind = Kind::kMalformed};
  reply.code = ReplyCode::kTextValue;
  reply.line = {in.data(), line_bytes};
  reply.key = {key, static_cast<std::size_t>(key_end - key)};
  reply.rest = {rest, static_cast<std::size_t>(line_end - rest)};
  return take_value(in, line_bytes, size, value_bytes_max, reply);
}

}  // namespace

ParsedReply parse_reply(std::string_view in, std::size_t value_bytes_max, Reply& reply) noexcept {
  if (begins(in, "VALUE ")) return parse_value(in, value_bytes_max, reply);
  // The ends of a text get, and of all that was sent at once.
  if (begins(in, "END\r\n")) return take_line(ReplyCode::kEnd, 5, in, reply);
  if (begins(in, "MN\r\n")) return take_line(ReplyCode::kNoop, 4, in, reply);
  const auto* lf = static_cast<const char*>(std::memchr(in.data(), '\n', in.size()));
  if (lf == nullptr) return wait_for_line(in);
  const auto line_bytes = static_cast<std::size_t>(lf - in.data()) + 1;
  if (line_bytes < 4 || line_bytes > kReplyLineBytesMax || lf[-1] != '\r')
    return {.kind = Kind::kMalformed};
  reply.line = {in.data(), line_bytes};
  reply.key = reply.value = {};
  std::string_view text(in.data(), line_bytes - 2);
  const std::optional<ReplyCode> code = read_code(text);
  if (!code || *code == ReplyCode::kTextValue) return {.kind = Kind::kMalformed};
  reply.code = *code;
  reply.rest = text;
  if (reply.code != ReplyCode::kValue) return {.kind = Kind::kReply, .consumed = line_bytes};
  const char* at = text.data();
  const char* const end = at + text.size();
  std::uint64_t size = 0;
  if (!read_number(at, end, kSizeDigits, size) || (at != end && !read_byte(at, end, ' ')))
    return {.kind = Kind::kMalformed};
  reply.rest = {at, static_cast<std::size_t>(end - at)};
  return take_value(in, line_bytes, size, value_bytes_max, reply);
}

Cas cas_of(const Reply& reply) noexcept {
  std::string_view rest = reply.rest;
  if (reply.code == ReplyCode::kTextValue) {  // <flags> <bytes> <cas>
    next_word(rest);
    next_word(rest);
    rest = next_word(rest);
  } else {
    rest = flag_value(rest, 'c');
  }
  Cas cas;
  return wire::parse_u64(rest, cas.value) ? cas : Cas();
}

std::optional<std::uint32_t> opaque_of(const Reply& reply) noexcept {
  // Flags come in the order asked, ours last, then only W, X and Z: look from the back.
  std::string_view rest = reply.rest;
  while (rest.size() >= wire::kOpaqueSize) {
    const std::size_t blank = rest.rfind(' ');
    const std::string_view word = blank == std::string_view::npos ? rest : rest.substr(blank + 1);
    std::uint32_t opaque = 0;
    if (wire::parse_opaque(word, opaque)) return opaque;
    if (word.size() > 1 || blank == std::string_view::npos) return std::nullopt;
    rest = rest.substr(0, blank);
  }
  return std::nullopt;
}

}  // namespace tokenring
