// Meta commands, after memcached 1.6.18's _meta_flag_preparse and process_m*_command
// (proto_text.c), with the flags that newer versions added.
#include <bitset>
#include <optional>

#include "wire/dialects.hpp"
#include "wire/flags.hpp"
#include "wire/numbers.hpp"

namespace tokenring::wire {

namespace {

// memcached's MFLAG_MAX_OPT_LENGTH less its terminal token: words of a meta line.
constexpr std::size_t kMetaWordsMax = 19;

struct FlagResult {
  std::optional<WireError> error;
  bool fatal = false;  // memcached stops reading flags here; else the last error wins.
};

FlagResult number_flag(bool good, WireError error) {
  return good ? FlagResult{} : FlagResult{error, false};
}

// A flag that this proxy does not know is an error, as it is for memcached.
FlagResult read_flag(std::string_view token, Request& request, char& mode) {
  if (!kFlagRows[static_cast<unsigned char>(token[0])].known)
    return {WireError::kInvalidFlag, true};
  const std::string_view number = token.substr(1);
  std::uint64_t unused = 0;
  switch (token[0]) {
    case 'b':
      request.key_is_base64 = true;
      request.item_key = {request.decoded.data(),
                          decode_base64(request.key, request.decoded.data())};
      return number_flag(!request.item_key.empty(), WireError::kBadBase64);
    case 'N':
      request.has_vivify = true;
      return number_flag(parse_i32(number, request.vivify_exptime), WireError::kBadToken);
    case 'T':
      request.has_ttl = true;
      return number_flag(parse_i32(number, request.exptime), WireError::kBadToken);
    case 'R': {
      std::int32_t recache = 0;
      return number_flag(parse_i32(number, recache), WireError::kBadToken);
    }
    case 'F':
      return number_flag(parse_u32(number, request.client_flags), WireError::kBadLine);
    case 'C':
      request.has_cas = true;
      return number_flag(parse_u64(number, request.cas.value), WireError::kBadToken);
    case 'E':
      return number_flag(parse_u64(number, unused), WireError::kBadToken);
    case 'J':
      return number_flag(parse_u64(number, request.initial), WireError::kBadInitial);
    case 'D':
      return number_flag(parse_u64(number, request.delta), WireError::kBadMetaDelta);
    case 'M':
      if (token.size() != 2) return {WireError::kBadModeLength, false};
      mode = token[1];
      return {};
    case 'O':
      request.opaque = token;
      return {};
    case 'I':
      request.wants_invalidate = true;
      return {};
    case 'k':
      request.wants_key = true;
      return {};
    case 'q':
      request.quiet = true;
      return {};
    case 'v':
      request.wants_value = true;
      return {};
    default:
      return {};
  }
}

std::optional<WireError> read_flags(const Words& words, std::size_t first, Request& request,
                                    char& mode) {
  std::bitset<128> seen;
  std::optional<WireError> error;
  for (std::size_t i = first; i < words.count; ++i) {
    const auto letter = static_cast<unsigned char>(words.at[i][0]);
    if (letter >= 127 || seen[letter]) return WireError::kDuplicateFlag;
    seen[letter] = true;
    const FlagResult result = read_flag(words.at[i], request, mode);
    // The last complaint counts, but that a bad F has no text of its own.
    if (result.error && (!error || *result.error != WireError::kBadLine)) error = result.error;
    if (result.fatal) return error;
  }
  if (words.count > first)
    request.flags = {words.at[first].data(), words.last().data() + words.last().size()};
  return error;
}

bool opaque_fits(const Request& request) {
  return request.opaque.size() <= kOpaqueBytesMax;
}

ParsedRequest parse_get(const Words& words, Request& request) {
  if (words.count > kMetaWordsMax) return failed(WireError::kTooManyFlagsGet);
  char mode = 0;
  if (const auto error = read_flags(words, 2, request, mode)) return failed(*error);
  if (!opaque_fits(request)) return failed(WireError::kOpaqueTooLong);
  return parsed();
}

bool set_store_mode(char mode, Request& request) {
  switch (mode) {
    case 0:
    case 'S':
      request.store_mode = StoreMode::kSet;
      return true;
    case 'E':
      request.store_mode = StoreMode::kAdd;
      return true;
    case 'A':
      request.store_mode = StoreMode::kAppend;
      return true;
    case 'P':
      request.store_mode = StoreMode::kPrepend;
      return true;
    case 'R':
      request.store_mode = StoreMode::kReplace;
      return true;
    default:
      return false;
  }
}

ParsedRequest parse_set(const Words& words, Request& request) {
  if (words.count < 3) return failed(WireError::kBadLine);
  if (words.count > kMetaWordsMax) return failed(WireError::kTooManyFlags);
  std::int32_t length = 0;
  if (!parse_i32(words.at[2], length) || !legal_length(length)) return failed(WireError::kBadLine);
  request.value_bytes = static_cast<std::uint32_t>(length);
  // From here on the length is known, so that an error can drop the value and stay in step.
  const std::uint64_t swallow = std::uint64_t{request.value_bytes} + 2;
  char mode = 0;
  if (const auto error = read_flags(words, 3, request, mode)) return failed(*error, false, swallow);
  if (!set_store_mode(mode, request)) return failed(WireError::kBadSetMode, false, swallow);
  if (!opaque_fits(request)) return failed(WireError::kOpaqueTooLong, false, swallow);
  return parsed();
}

ParsedRequest parse_delete_or_arithmetic(const Words& words, Request& request) {
  if (words.count > kMetaWordsMax) return failed(WireError::kTooManyFlags);
  char mode = 0;
  if (read_flags(words, 2, request, mode)) return failed(WireError::kInvalidOrDuplicateFlag);
  if (!opaque_fits(request)) return failed(WireError::kOpaqueTooLong);
  if (request.command == Command::kMetaDelete) return parsed();
  if (mode == 'D' || mode == '-') {
    request.decrements = true;
  } else if (mode != 0 && mode != 'I' && mode != '+') {
    return failed(WireError::kBadArithmeticMode);
  }
  return parsed();
}

ParsedRequest parse_debug(const Words& words, Request& request) {
  if (words.count > 2 && words.at[2] == "b") {
    char mode = 0;
    if (read_flag("b", request, mode).error) return failed(WireError::kBadLine);
  }
  return parsed();
}

}  // namespace

ParsedRequest parse_meta(const Words& words, Request& request, ParseLimits limits) noexcept {
  if (request.command == Command::kMetaNoop) return parsed();
  if (words.count < 2 || words.at[1].size() > limits.key_bytes_max)
    return failed(WireError::kBadLine);
  request.key = request.item_key = words.at[1];
  switch (request.verb()) {
    case Verb::kGet:
      return parse_get(words, request);
    case Verb::kSet:
      return parse_set(words, request);
    case Verb::kDelete:
    case Verb::kArithmetic:
      return parse_delete_or_arithmetic(words, request);
    case Verb::kDebug:
      return parse_debug(words, request);
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return parsed();
}

}  // namespace tokenring::wire
