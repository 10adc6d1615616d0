#include "store/reply_line.hpp"

namespace tokenring::store {

void ReplyLine::put_key(std::string_view key, bool as_base64) noexcept {
  if (!as_base64) return put(key);
  encode_base64(key, at_);
  at_ += base64_size(key.size());
}

void ReplyLine::echo(Flag flag, const Echo& echo) noexcept {
  switch (flag) {
    case Flag::kReturnCas:
      put_flag('c', echo.cas);
      return;
    case Flag::kReturnFlags:
      put_flag('f', echo.client_flags);
      return;
    case Flag::kReturnHit:
      put_flag('h', echo.fetched ? 1 : 0);
      return;
    case Flag::kReturnIdle:
      put_flag('l', echo.now > echo.last_access ? echo.now - echo.last_access : 0);
      return;
    case Flag::kReturnSize:
      put_flag('s', echo.size);
      return;
    case Flag::kReturnTtl:
      if (echo.deadline == 0) return put(" t-1");
      put_flag('t', echo.deadline > echo.now ? echo.deadline - echo.now : 0);
      return;
    case Flag::kReturnKey:
      put(" k");
      put_key(echo.key, echo.binary_key);
      if (echo.binary_key) put_mark('b');
      return;
    case Flag::kOpaque:
      put(" ");
      put(echo.opaque);
      return;
    case Flag::kBase64Key:
    case Flag::kReturnValue:
    case Flag::kNoBump:
    case Flag::kQuiet:
    case Flag::kRemoveValue:
    case Flag::kCompareCas:
    case Flag::kDelta:
    case Flag::kNewCas:
    case Flag::kClientFlags:
    case Flag::kInvalidate:
    case Flag::kInitial:
    case Flag::kRouterHint:
    case Flag::kMode:
    case Flag::kVivify:
    case Flag::kRouterPath:
    case Flag::kRecache:
    case Flag::kExptime:
      return;
  }
}

}  // namespace tokenring::store
