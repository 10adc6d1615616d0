// The front of the request parser: find the line, name its command, hand it to its dialect.
#include "tokenring/parse.hpp"

#include <array>
#include <cstring>

#include "wire/dialects.hpp"
#include "wire/numbers.hpp"
#include "wire/words.hpp"

namespace tokenring {

namespace {

using Kind = ParsedRequest::Kind;

// Up to eight bytes of a name as a number, so that a switch can tell commands apart.
constexpr std::uint64_t packed(std::string_view word) {
  std::uint64_t value = 0;
  for (const char c : word) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

// Null when there is no such command.
const Command* find_command(std::string_view word) noexcept {
  // memcached tells commands apart by case and whole name. Those of nine and more bytes are rare.
  if (word.size() <= 8) {
    const std::uint64_t wanted = packed(word);
    switch (wanted) {
#define X(enumerator, name, ...)                               \
  case std::string_view(name).size() <= 8 ? packed(name):      \
    ~packed(#enumerator) : {                                   \
      static constexpr Command kCommand = Command::enumerator; \
      return &kCommand;                                        \
    }
      TOKENRING_COMMANDS(X)
#undef X
      default:
        return nullptr;
    }
  }
  for (std::size_t i = 0; i < kCommandRows.size(); ++i) {
    static constexpr auto kCommands = [] {
      std::array<Command, kCommandRows.size()> all{};
      for (std::size_t j = 0; j < all.size(); ++j) all[j] = static_cast<Command>(j);
      return all;
    }();
    if (kCommandRows[i].name == word) return &kCommands[i];
  }
  return nullptr;
}

// The ancient bget is a get, and newer nodes only know it as that.
Command get_command(Command command) noexcept {
  return command == Command::kBget ? Command::kGet : command;
}

bool touches(Command command) noexcept {
  return command == Command::kGat || command == Command::kGats;
}

// Every word of `keys` is short enough to be a key.
bool keys_fit(std::string_view keys, ParseLimits limits) noexcept {
  if (keys.size() <= limits.key_bytes_max) return true;
  while (!keys.empty())
    if (next_word(keys).size() > limits.key_bytes_max) return false;
  return true;
}

// A whole line of the get family; `rest` is what follows the command's name.
ParsedRequest parse_get_line(std::string_view rest, Request& request, ParseLimits limits) noexcept {
  request.wants_value = true;
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  if (rest.empty() || rest[0] == '\0') return wire::failed(WireError::kError);
  std::string_view keys = rest;
  if (touches(request.command)) {
    request.has_ttl = true;
    if (!wire::parse_i32(next_word(keys), request.exptime))
      return wire::failed(WireError::kBadExptime);
  }
  if (!keys_fit(keys, limits)) return wire::failed(WireError::kBadLine);
  request.keys = keys;
  return wire::parsed();
}

// No LF within what a line may have. Only a get may go on: its keys are then read as they come.
ParsedRequest parse_endless_line(std::string_view in, Request& request) noexcept {
  std::string_view rest = in;
  const std::string_view name = next_word(rest);
  const Command* command = find_command(name);
  if (command == nullptr || !is_text_get(*command))
    return {.kind = Kind::kClose, .error = WireError::kLineTooLong};
  request.command = get_command(*command);
  request.wants_value = true;
  if (touches(*command)) {
    const std::string_view exptime = next_word(rest);
    request.has_ttl = true;
    if (!wire::parse_i32(exptime, request.exptime))
      return {.kind = Kind::kClose, .error = WireError::kBadExptime};
  }
  return {.kind = Kind::kKeyStream, .consumed = in.size() - rest.size()};
}

// `command`: what the first word names; null: nothing.
ParsedRequest parse_words(const wire::Words& words, const Command* command, Request& request,
                          ParseLimits limits) noexcept {
  if (words.count == 0 || words.at[0].size() < 2) return wire::failed(WireError::kError);
  if (command == nullptr) {
    if (words.last().starts_with("HTTP/")) return {.kind = Kind::kHangUp};
    return wire::failed(WireError::kError);
  }
  request.command = get_command(*command);
  const CommandRow& row = row_of(*command);
  if (words.count < row.words_min || (row.words_max != 0 && words.count > row.words_max))
    return wire::failed(WireError::kError);
  return row.dialect == Dialect::kMeta ? wire::parse_meta(words, request, limits)
                                       : wire::parse_text(words, request, limits);
}

}  // namespace

ParsedRequest parse_request(std::string_view in, Request& request, ParseLimits limits) noexcept {
  // The get family may name any number of keys, so its line is not split into words.
  if (in.size() > 4 && in[0] == 'g' && (in[1] == 'e' || in[1] == 'a')) {
    const auto* lf = static_cast<const char*>(std::memchr(in.data(), '\n', in.size()));
    if (lf != nullptr) {
      const auto line_bytes = static_cast<std::size_t>(lf - in.data());
      std::string_view rest = in.substr(0, line_bytes);
      if (rest.size() > 1 && rest.back() == '\r') rest.remove_suffix(1);
      // The most frequent one by far is known at a glance.
      static constexpr Command kGet = Command::kGet;
      const bool is_get = std::memcmp(rest.data(), "get ", 4) == 0;
      if (is_get) rest.remove_prefix(4);
      const Command* command = is_get ? &kGet : find_command(next_word(rest));
      if (command != nullptr && is_text_get(*command)) {
        request.command = get_command(*command);
        ParsedRequest result = parse_get_line(rest, request, limits);
        result.consumed = line_bytes + 1;
        return result;
      }
    }
  }
  wire::Words words;
  const std::size_t line_bytes = wire::split_line(in, words);
  if (line_bytes == 0)
    return in.size() > limits.line_bytes_max() ? parse_endless_line(in, request) : ParsedRequest{};
  const Command* command = words.count > 0 ? find_command(words.at[0]) : nullptr;
  if (words.count > 1 && command != nullptr && is_text_get(*command)) {
    // A get with blanks in front of it, or the ancient bget.
    request.command = get_command(*command);
    const char* from = words.at[0].data() + words.at[0].size();
    std::string_view rest(from, static_cast<std::size_t>(in.data() + line_bytes - 1 - from));
    if (rest.ends_with('\r')) rest.remove_suffix(1);
    ParsedRequest result = parse_get_line(rest, request, limits);
    result.consumed = line_bytes;
    return result;
  }
  ParsedRequest result = parse_words(words, command, request, limits);
  result.consumed = line_bytes;
  return result;
}

std::size_t decode_base64(std::string_view in, char* out) noexcept {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static constexpr auto kValues = [] {
    std::array<std::uint8_t, 256> values{};
    values.fill(0x80);
    for (std::size_t i = 0; i < kAlphabet.size(); ++i)
      values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
    values['='] = 0;
    return values;
  }();
  std::size_t count = 0;
  for (const char c : in) count += kValues[static_cast<unsigned char>(c)] != 0x80 ? 1U : 0U;
  if (count == 0 || count % 4 != 0) return 0;
  std::uint32_t block = 0;
  std::size_t in_block = 0;
  std::size_t pads = 0;
  char* to = out;
  for (const char c : in) {
    const std::uint8_t value = kValues[static_cast<unsigned char>(c)];
    if (value == 0x80) continue;
    pads += c == '=' ? 1U : 0U;
    block = block << 6 | value;
    if (++in_block < 4) continue;
    in_block = 0;
    *to++ = static_cast<char>(block >> 16);
    *to++ = static_cast<char>(block >> 8);
    *to++ = static_cast<char>(block);
    if (pads > 2) return 0;
    if (pads > 0) return static_cast<std::size_t>(to - out) - pads;
  }
  return static_cast<std::size_t>(to - out);
}

bool spells_key(std::string_view word, std::string_view key) noexcept {
  if (word == key) return true;
  constexpr std::size_t kEncodedBytesMax = (kKeyBytesMax + 2) / 3 * 4;
  if (key.size() > kKeyBytesMax || word.size() != (key.size() + 2) / 3 * 4) return false;
  std::array<char, kEncodedBytesMax> decoded;
  return std::string_view(decoded.data(), decode_base64(word, decoded.data())) == key;
}

}  // namespace tokenring
