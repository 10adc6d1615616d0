// Reading a node's replies.
#include "tokenring/reply.hpp"

#include <cstring>

#include "tokenring/parse.hpp"
#include "wire/numbers.hpp"

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
  if (begins(text, "VALUE ")) {  // The most frequent one.
    text.remove_prefix(6);
    return ReplyCode::kTextValue;
  }
  const std::string_view word = next_word(text);
#define X(enumerator, code) \
  if (is(word, code)) return ReplyCode::enumerator;
  TOKENRING_REPLY_CODES(X)
#undef X
  return std::nullopt;
}

// The digits at the front of `text`, which then begins behind them and the blank that follows;
// false for anything but a plain number of at most `digits_max` digits.
bool read_number(std::string_view& text, std::size_t digits_max, std::uint64_t& number) noexcept {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* at = begin;
  number = 0;
  while (at != end && *at >= '0' && *at <= '9')
    number = number * 10 + static_cast<std::uint64_t>(*at++ - '0');
  const auto digits = static_cast<std::size_t>(at - begin);
  if (digits == 0 || digits > digits_max || (at != end && *at != ' ')) return false;
  text.remove_prefix(at == end ? digits : digits + 1);
  return true;
}

// What follows VALUE: <key> <flags> <bytes> [<cas>]. Nothing else is passed on to a client.
bool read_value_line(std::string_view text, Reply& reply, std::uint64_t& size) noexcept {
  std::uint64_t number = 0;
  reply.key = next_word(text);
  reply.rest = text;
  if (reply.key.empty() || !read_number(text, 10, number) || !read_number(text, kSizeDigits, size))
    return false;
  return text.empty() || (read_number(text, 20, number) && text.empty());
}

}  // namespace

ParsedReply parse_reply(std::string_view in, std::size_t value_bytes_max, Reply& reply) noexcept {
  if (begins(in, "END\r\n")) {  // The end of each text get.
    reply = {.code = ReplyCode::kEnd, .line = {in.data(), 5}};
    return {.kind = Kind::kReply, .consumed = 5};
  }
  const auto* lf = static_cast<const char*>(std::memchr(in.data(), '\n', in.size()));
  if (lf == nullptr) {
    if (in.size() > kReplyLineBytesMax) return {.kind = Kind::kMalformed};
    return {.kind = Kind::kIncomplete, .needed = in.size() + 1};
  }
  const auto line_bytes = static_cast<std::size_t>(lf - in.data()) + 1;
  if (line_bytes < 4 || line_bytes > kReplyLineBytesMax || lf[-1] != '\r')
    return {.kind = Kind::kMalformed};
  reply.line = {in.data(), line_bytes};
  reply.key = reply.value = {};
  std::string_view text(in.data(), line_bytes - 2);
  const std::optional<ReplyCode> code = read_code(text);
  if (!code) return {.kind = Kind::kMalformed};
  reply.code = *code;
  reply.rest = text;
  std::uint64_t size = 0;
  if (reply.code == ReplyCode::kValue) {
    if (!read_number(reply.rest, kSizeDigits, size)) return {.kind = Kind::kMalformed};
  } else if (reply.code == ReplyCode::kTextValue) {
    if (!read_value_line(text, reply, size)) return {.kind = Kind::kMalformed};
  } else {
    return {.kind = Kind::kReply, .consumed = line_bytes};
  }
  if (size > value_bytes_max) return {.kind = Kind::kMalformed};
  const std::size_t total = line_bytes + size + 2;
  if (in.size() < total) return {.kind = Kind::kIncomplete, .needed = total};
  if (in[total - 2] != '\r' || in[total - 1] != '\n') return {.kind = Kind::kMalformed};
  reply.value = {in.data() + line_bytes, size};
  return {.kind = Kind::kReply, .consumed = total};
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
