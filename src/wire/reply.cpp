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

std::optional<ReplyCode> code_named(std::string_view word) noexcept {
  // The table is in the order of frequency; each row is a comparison with a constant.
#define X(enumerator, code) \
  if (word == std::string_view(code)) return ReplyCode::enumerator;
  TOKENRING_REPLY_CODES(X)
#undef X
  return std::nullopt;
}

// The digits of a VA line; false for anything but a plain number that fits.
bool read_size(std::string_view word, std::size_t& size) noexcept {
  if (word.empty() || word.size() > 10) return false;
  size = 0;
  for (const char c : word) {
    if (c < '0' || c > '9') return false;
    size = size * 10 + static_cast<std::size_t>(c - '0');
  }
  return true;
}

}  // namespace

ParsedReply parse_reply(std::string_view in, std::size_t value_bytes_max, Reply& reply) noexcept {
  const auto* lf = static_cast<const char*>(std::memchr(in.data(), '\n', in.size()));
  if (lf == nullptr) {
    if (in.size() > kReplyLineBytesMax) return {.kind = Kind::kMalformed};
    return {.kind = Kind::kIncomplete, .needed = in.size() + 1};
  }
  const auto line_bytes = static_cast<std::size_t>(lf - in.data()) + 1;
  if (line_bytes < 4 || line_bytes > kReplyLineBytesMax || lf[-1] != '\r')
    return {.kind = Kind::kMalformed};
  reply.line = in.substr(0, line_bytes);
  reply.value = {};
  std::string_view text = in.substr(0, line_bytes - 2);
  const std::optional<ReplyCode> code = code_named(next_word(text));
  if (!code) return {.kind = Kind::kMalformed};
  reply.code = *code;
  reply.rest = text;
  std::string_view size_word;
  if (reply.code == ReplyCode::kValue) {
    size_word = next_word(reply.rest);
  } else if (reply.code == ReplyCode::kTextValue) {
    next_word(text);  // The key.
    next_word(text);  // The flags.
    size_word = next_word(text);
  } else {
    return {.kind = Kind::kReply, .consumed = line_bytes};
  }
  std::size_t size = 0;
  if (!read_size(size_word, size) || size > value_bytes_max) return {.kind = Kind::kMalformed};
  const std::size_t total = line_bytes + size + 2;
  if (in.size() < total) return {.kind = Kind::kIncomplete, .needed = total};
  if (in[total - 2] != '\r' || in[total - 1] != '\n') return {.kind = Kind::kMalformed};
  reply.value = in.substr(line_bytes, size);
  return {.kind = Kind::kReply, .consumed = total};
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
