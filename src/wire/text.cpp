// Text commands, line by line after memcached 1.6.18's process_*_command (proto_text.c).
#include "wire/dialects.hpp"
#include "wire/numbers.hpp"

namespace tokenring::wire {

namespace {

// memcached looks for noreply in a line's last word only.
bool says_noreply(const Words& words) {
  return words.last() == "noreply";
}

ParsedRequest parse_storage(const Words& words, Request& request, ParseLimits limits) {
  request.quiet = says_noreply(words);
  request.key = request.item_key = words.at[1];
  std::int32_t length = 0;
  if (request.key.size() > limits.key_bytes_max || !parse_u32(words.at[2], request.client_flags) ||
      !parse_i32(words.at[3], request.exptime) || !parse_i32(words.at[4], length)) {
    return failed(WireError::kBadLine, request.quiet);
  }
  request.has_cas = request.command == Command::kCas;
  if (request.has_cas && !parse_u64(words.at[5], request.cas.value))
    return failed(WireError::kBadLine, request.quiet);
  if (!legal_length(length)) return failed(WireError::kBadLine, request.quiet);
  request.value_bytes = static_cast<std::uint32_t>(length);
  switch (request.command) {
    case Command::kAdd:
      request.store_mode = StoreMode::kAdd;
      break;
    case Command::kReplace:
      request.store_mode = StoreMode::kReplace;
      break;
    case Command::kAppend:
      request.store_mode = StoreMode::kAppend;
      break;
    case Command::kPrepend:
      request.store_mode = StoreMode::kPrepend;
      break;
    default:
      request.store_mode = StoreMode::kSet;
      break;
  }
  // append and prepend keep the old item's life and flags, whatever their line says.
  request.has_ttl = request.store_mode < StoreMode::kAppend;
  return parsed();
}

ParsedRequest parse_delete(const Words& words, Request& request, ParseLimits limits) {
  if (words.count > 2) {
    const bool zero = words.at[2] == "0";
    request.quiet = says_noreply(words);
    const bool valid = (words.count == 3 && (zero || request.quiet)) ||
                       (words.count == 4 && zero && request.quiet);
    if (!valid) return failed(WireError::kBadDeleteLine, request.quiet);
  }
  request.key = request.item_key = words.at[1];
  if (request.key.size() > limits.key_bytes_max) return failed(WireError::kBadLine, request.quiet);
  return parsed();
}

ParsedRequest parse_arithmetic(const Words& words, Request& request, ParseLimits limits) {
  request.quiet = says_noreply(words);
  request.key = request.item_key = words.at[1];
  if (request.key.size() > limits.key_bytes_max) return failed(WireError::kBadLine, request.quiet);
  if (!parse_u64(words.at[2], request.delta)) return failed(WireError::kBadDelta, request.quiet);
  request.decrements = request.command == Command::kDecr;
  request.wants_value = true;
  return parsed();
}

ParsedRequest parse_touch(const Words& words, Request& request, ParseLimits limits) {
  request.quiet = says_noreply(words);
  request.key = request.item_key = words.at[1];
  if (request.key.size() > limits.key_bytes_max) return failed(WireError::kBadLine, request.quiet);
  if (!parse_i32(words.at[2], request.exptime))
    return failed(WireError::kBadExptime, request.quiet);
  request.has_ttl = true;
  return parsed();
}

ParsedRequest parse_flush_all(const Words& words, Request& request) {
  request.quiet = says_noreply(words);
  request.has_ttl = words.count != (request.quiet ? 2U : 1U);
  if (request.has_ttl && !parse_i32(words.at[1], request.exptime))
    return failed(WireError::kBadExptime, request.quiet);
  return parsed();
}

ParsedRequest parse_verbosity(const Words& words, Request& request) {
  request.quiet = says_noreply(words);
  std::uint32_t level = 0;
  if (!parse_u32(words.at[1], level)) return failed(WireError::kBadLine, request.quiet);
  return parsed();
}

}  // namespace

ParsedRequest parse_text(const Words& words, Request& request, ParseLimits limits) noexcept {
  switch (request.verb()) {
    case Verb::kSet:
      return parse_storage(words, request, limits);
    case Verb::kDelete:
      return parse_delete(words, request, limits);
    case Verb::kArithmetic:
      return parse_arithmetic(words, request, limits);
    case Verb::kGet:
      return parse_touch(words, request, limits);  // The get family goes another way.
    case Verb::kRefused:
      return parse_refused(words, request);
    case Verb::kDebug:
    case Verb::kLocal:
      break;
  }
  if (request.command == Command::kFlushAll) return parse_flush_all(words, request);
  if (request.command == Command::kVerbosity) return parse_verbosity(words, request);
  if (words.count > 1)
    request.keys = {words.at[1].data(), words.last().data() + words.last().size()};
  return parsed();
}

}  // namespace tokenring::wire
