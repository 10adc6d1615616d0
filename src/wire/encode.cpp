// Requests as they go upstream: meta commands, whatever the client spoke.
#include "tokenring/encode.hpp"

#include "tokenring/parse.hpp"
#include "wire/flags.hpp"
#include "wire/numbers.hpp"

namespace tokenring {

namespace {

using wire::write_bytes;
using wire::write_number;

char* write_life(char* to, std::string_view flag, const std::optional<Expiry>& life) {
  if (!life) return to;
  return write_number(write_bytes(to, flag), life->exptime());
}

char* write_text_flags(const Request& request, const Plan& plan, char* to) {
  switch (request.verb()) {
    case Verb::kSet: {
      static constexpr std::string_view kModes[] = {"", " ME", " MR", " MA", " MP"};
      to = write_bytes(to, kModes[static_cast<std::size_t>(request.store_mode)]);
      if (request.has_cas) to = write_number(write_bytes(to, " C"), request.cas.value);
      if (request.client_flags != 0)
        to = write_number(write_bytes(to, " F"), std::uint64_t{request.client_flags});
      return write_life(to, " T", plan.ttl);
    }
    case Verb::kArithmetic:
      to = write_bytes(to, request.decrements ? " MD v D" : " v D");
      return write_number(to, request.delta);
    case Verb::kGet:
    case Verb::kDelete:
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return to;
}

std::uint8_t flag_use(Verb verb) {
  switch (verb) {
    case Verb::kGet:
      return wire::kByGet;
    case Verb::kSet:
      return wire::kBySet;
    case Verb::kDelete:
      return wire::kByDelete;
    case Verb::kArithmetic:
      return wire::kByArithmetic;
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return wire::kNone;
}

// The client's own flags that mean something to the node, with the lives policy granted.
char* write_meta_flags(const Request& request, const Plan& plan, char* to) {
  const std::uint8_t use = flag_use(request.verb());
  bool wrote_ttl = false;
  bool wrote_cas = false;
  std::string_view flags = request.flags;
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags)) {
    if (flag[0] == 'k' && plan.echo_key) to = write_bytes(to, " k");
    if ((wire::kFlagRows[static_cast<unsigned char>(flag[0])].sent_by & use) == 0) continue;
    if (flag[0] == 'T') {
      wrote_ttl = true;
      to = write_life(to, " T", plan.ttl);
    } else if (flag[0] == 'N') {
      to = write_life(to, " N", plan.vivify);
    } else {
      wrote_cas |= flag[0] == 'c';
      *to++ = ' ';
      to = write_bytes(to, flag);
    }
  }
  if (!wrote_ttl) to = write_life(to, " T", plan.ttl);
  // Only newer nodes know mg's C and older ones ignore it: the comparison is made here.
  if (request.command == Command::kMetaGet && request.has_cas && !wrote_cas)
    to = write_bytes(to, " c");
  return to;
}

char* write_text_read(const Request& request, const Plan& plan, char* to) {
  const bool touches = request.command == Command::kTouch;
  to = write_bytes(to, row_of(request.command).name);
  *to++ = ' ';
  if (plan.ttl && !touches) {
    to = write_number(to, plan.ttl->exptime());
    *to++ = ' ';
  }
  to = write_bytes(to, plan.node_key);
  if (!touches) return to;
  *to++ = ' ';
  return write_bytes(write_number(to, plan.ttl->exptime()), "\r\n");
}

std::string_view command_name(const Request& request) {
  switch (request.verb()) {
    case Verb::kGet:
      return "mg ";
    case Verb::kSet:
      return "ms ";
    case Verb::kDelete:
      return "md ";
    case Verb::kArithmetic:
      return "ma ";
    case Verb::kDebug:
      return "me ";
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return "mn ";
}

}  // namespace

std::size_t encoded_size_max(const Request& request, const Plan& plan) noexcept {
  // Command, length, fixed flags with their numbers (at most two of 20 digits, two of 11), opaque.
  return plan.node_key.size() + request.flags.size() + 128;
}

char* encode_request(const Request& request, const Plan& plan, char* to) noexcept {
  if (is_text_read(request.command)) return write_text_read(request, plan, to);
  to = write_bytes(to, command_name(request));
  to = write_bytes(to, plan.node_key);
  if (request.verb() == Verb::kDebug)
    return write_bytes(to, plan.key_is_base64 ? " b\r\n" : "\r\n");
  if (request.verb() == Verb::kSet) {
    *to++ = ' ';
    to = write_number(to, std::uint64_t{plan.value_bytes});
  }
  if (plan.key_is_base64) to = write_bytes(to, " b");
  to = request.dialect() == Dialect::kMeta ? write_meta_flags(request, plan, to)
                                           : write_text_flags(request, plan, to);
  to = write_bytes(to, plan.more_flags);
  *to++ = ' ';
  to = wire::write_opaque(to, plan.opaque);
  return write_bytes(to, "\r\n");
}

}  // namespace tokenring
