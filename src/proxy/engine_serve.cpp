// serve: from a client's bytes to a node's.
//
//   serve_input -> serve_one -> serve -> serve_key: target_of, rules -> send
//
// serve_key and what follows it: engine_send.cpp. Gets of several keys: engine_gets.cpp.
#include <algorithm>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "seal/blind.hpp"
#include "seal/bytes.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kCrLf = "\r\n";
constexpr std::size_t kItemHeaderBytes = 48 + 8;

// Of what it reads at once, memcached serves 20 requests (its -R), at first one more, and writes
// their replies out before it goes on.
constexpr std::uint32_t kRequestsPerTurn = 20;
constexpr std::uint32_t kRequestsFirst = 21;

void begin_key_stream(Client& client, const Request& request) {
  client.mode = Client::Mode::kKeyStream;
  client.stream_command = request.command;
  client.stream_exptime = request.exptime;
  client.stream_began = false;
}

// Whether the value is there that a storage command announces, or will not be waited for.
bool is_whole(const Request& request, std::size_t behind_line, const Limits& limits) {
  return request.verb() != Verb::kSet || request.value_bytes > limits.value_bytes_max ||
         behind_line >= std::size_t{request.value_bytes} + kCrLf.size();
}

// Whether a connection begins with memcached's binary protocol, or with TLS (a record of its
// handshake: RFC 8446, 5.1). What comes then may never have a line's end.
bool speaks_no_text(std::string_view in) {
  constexpr char kBinaryRequest = '\x80';
  return in.starts_with(kBinaryRequest) || in.starts_with("\x16\x03");
}

}  // namespace

// What memcached counts for an item (ITEM_ntotal of 1.6.18): header, CAS, key with its NUL, flags
// where there are any, value with its CR LF. Its -I is in terms of this, and so is our limit: a
// node would refuse the value too, but would drop the old item with it whatever the command was.
std::size_t Engine::item_bytes(const Request& request) noexcept {
  std::size_t key_bytes = request.item_key.size();
  std::size_t value_bytes = request.value_bytes;
  if (snapshot_->keys != nullptr) {
    const Namespace* space = snapshot_->namespaces.find(own_key(request.item_key));
    if (space != nullptr && space->seal.seals())
      value_bytes += sealed_size(0, space->tokens.revocation == Revocation::kGeneration);
    if (space != nullptr && space->seal.blind_keys)
      key_bytes = blinded_size_max(space->prefix.size());
  }
  return kItemHeaderBytes + key_bytes + 1 + (request.client_flags != 0 ? 4U : 0U) + value_bytes +
         kCrLf.size();
}

ParseLimits Engine::parse_limits() const noexcept {
  return {.key_bytes_max = snapshot_->has_blind_keys ? kLongKeyBytesMax : kKeyBytesMax};
}

// A key that is longer than a node takes, in a namespace that does not hide it.
bool Engine::is_too_long(std::string_view key, std::string_view item_key) noexcept {
  std::size_t mark_bytes = who_ == nullptr ? 0 : who_->mark.size();
  if (mark_bytes > 0 && key.data() != item_key.data()) mark_bytes = base64_size(mark_bytes);
  if (key.size() + mark_bytes <= kKeyBytesMax) return false;
  const Namespace* space = snapshot_->namespaces.find(own_key(item_key));
  return space == nullptr || !space->seal.blind_keys || key.size() > kLongKeyBytesMax;
}

bool Engine::has_key_too_long(const Request& request) noexcept {
  if (is_too_long(request.key, request.item_key)) return true;
  if (!is_text_get(request.command)) return false;
  std::string_view keys = request.keys;
  for (std::string_view key = next_word(keys); !key.empty(); key = next_word(keys))
    if (is_too_long(key, key)) return true;
  return false;
}

// Whether the client may have one more request out. Replies are held until their turn, so what is
// out is weighed by the size of the replies lately seen, and is little while few have been seen.
bool Engine::has_room(const Client& client) const noexcept {
  const Limits& limits = snapshot_->limits;
  if (client.out.size() >= limits.output_bytes_per_client_max) return false;
  if (client.slots == 0) return true;
  if (client.changes > 0 || slots_.live() >= options_.requests_max) return false;
  if (client.slots >= std::min(client.window, limits.requests_per_client_max)) return false;
  const std::size_t room = limits.output_bytes_per_client_max - client.out.size();
  return std::size_t{client.slots} * client.reply_bytes < room;
}

// Serves what is whole in `in`; returns the bytes that are done with.
std::size_t Engine::serve_input(Client& client, ClientId id, std::string_view in) noexcept {
  std::size_t used = 0;
  std::uint32_t served = 0;
  client.needed = 0;
  who_ = nullptr;
  if (client.session != nullptr) begin_session_input(client);
  heard_backend_ = SealEvent::kNoBackend;
  while (used < in.size()) {
    if (client.closing) return in.size();
    if (++served > kRequestsFirst) {
      served = kRequestsFirst - kRequestsPerTurn + 1;
      ++reads_;
    }
    if (!has_room(client)) {
      client.stalled = true;
      break;
    }
    const std::size_t n = serve_one(client, id, in.substr(used));
    if (n == 0) break;
    used += n;
    ++client.served;
  }
  return used;
}

// Serves one request, or one piece of a longer one. 0: more bytes are needed.
std::size_t Engine::serve_one(Client& client, ClientId id, std::string_view in) noexcept {
  switch (client.mode) {
    case Client::Mode::kRequests:
      break;
    case Client::Mode::kSwallow: {
      const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(client.swallow, in.size()));
      client.swallow -= n;
      if (client.swallow == 0) client.mode = Client::Mode::kRequests;
      return n;
    }
    case Client::Mode::kKeyStream:
      return serve_keys(client, id, in);
    case Client::Mode::kSkipLine: {
      const std::size_t lf = in.find('\n');
      if (lf == std::string_view::npos) return in.size();
      client.mode = Client::Mode::kRequests;
      return lf + 1;
    }
    case Client::Mode::kLogin:
      return serve_login(client, id, in);
  }
  Request request;
  const ParsedRequest parsed = parse_request(in, request, parse_limits());
  if (parsed.kind != ParsedRequest::Kind::kRequest && client.served == 0 && speaks_no_text(in)) {
    client.closing = true;
    return in.size();
  }
  switch (parsed.kind) {
    case ParsedRequest::Kind::kIncomplete:
      return 0;
    case ParsedRequest::Kind::kRequest: {
      if ((snapshot_->has_blind_keys || who_ != nullptr) && has_key_too_long(request)) {
        if (!request.quiet || request.dialect() == Dialect::kMeta)
          answer(client, id, line_of(WireError::kBadLine));
        client.swallow_value_of(request);
        return parsed.consumed;
      }
      if (who_ != nullptr) {
        if (client.session->inside != nullptr) {
          serve_inside(client, id, request);
          return parsed.consumed;
        }
        if (is_whole(request, in.size() - parsed.consumed, snapshot_->limits) &&
            !is_within_rate(request)) {
          refuse_over_rate(client, id, request);
          return parsed.consumed;
        }
      }
      if (request.keys.size() > kKeysAtOnceBytes && request.wants_value) {
        begin_key_stream(client, request);
        return static_cast<std::size_t>(request.keys.data() - in.data());
      }
      if (request.verb() != Verb::kSet) {
        serve(client, id, request);
        return parsed.consumed;
      }
      const std::size_t whole = parsed.consumed + request.value_bytes + kCrLf.size();
      if (!serve_value(client, id, request, in, parsed.consumed)) return 0;
      return client.mode == Client::Mode::kSwallow ? parsed.consumed : whole;
    }
    case ParsedRequest::Kind::kKeyStream:
      if (who_ != nullptr && !is_within_rate(request)) {
        refuse_over_rate(client, id, request);
        client.mode = Client::Mode::kSkipLine;
        return parsed.consumed;
      }
      begin_key_stream(client, request);
      return parsed.consumed;
    case ParsedRequest::Kind::kError:
      if (!parsed.quiet) answer(client, id, line_of(parsed.error));
      client.swallow = parsed.swallow;
      if (client.swallow > 0) client.mode = Client::Mode::kSwallow;
      return parsed.consumed;
    case ParsedRequest::Kind::kClose:
      answer(client, id, line_of(parsed.error));
      break;
    case ParsedRequest::Kind::kHangUp:
      break;
  }
  client.closing = true;
  return in.size();
}

// A storage command, once its value is there. False: it is not, yet.
bool Engine::serve_value(Client& client, ClientId id, Request& request, std::string_view in,
                         std::size_t line_bytes) noexcept {
  const std::size_t with_crlf = std::size_t{request.value_bytes} + kCrLf.size();
  if (item_bytes(request) > snapshot_->limits.value_bytes_max) {
    serve_too_large(client, id, request);
    client.swallow_value_of(request);
    return true;
  }
  if (in.size() - line_bytes < with_crlf &&
      pool_.bytes_lent() >= snapshot_->limits.buffer_bytes_per_worker_max) {
    count(Counter::kRequestsRefused);
    if (!request.quiet || request.dialect() == Dialect::kMeta)
      answer(client, id, line_of(WireError::kOutOfMemory));
    client.swallow_value_of(request);
    return true;
  }
  if (in.size() - line_bytes < with_crlf) {
    client.needed = line_bytes + with_crlf;
    return false;
  }
  request.value = in.substr(line_bytes, request.value_bytes);
  if (in.substr(line_bytes + request.value_bytes, kCrLf.size()) != kCrLf) {
    // Text noreply hides even this; meta q does not.
    if (!request.quiet || request.dialect() == Dialect::kMeta)
      answer(client, id, line_of(WireError::kBadChunk));
    return true;
  }
  const bool is_whole = client.in.owns() && client.in.view().data() == in.data() &&
                        in.size() == line_bytes + with_crlf && with_crlf > kMoveBytes;
  whole_input_ = is_whole ? &client.in : nullptr;
  serve(client, id, request);
  whole_input_ = nullptr;
  return true;
}

// The refusal, and the end of the old item, which must not outlive the write that replaced it: the
// client is told only when the node has acknowledged that, and gets an error where it did not.
void Engine::serve_too_large(Client& client, ClientId id, const Request& request) noexcept {
  const bool hidden = request.quiet && request.dialect() == Dialect::kText;
  if (request.dialect() == Dialect::kText && request.command != Command::kSet) {
    if (!hidden) answer(client, id, line_of(WireError::kTooLarge));
    return;
  }
  Request removal;
  removal.command = Command::kMetaDelete;
  removal.key = request.key;
  removal.item_key = request.item_key;
  removal.key_is_base64 = request.key_is_base64;
  const std::uint32_t slot = reserve(client, id, removal, request.key);
  slots_[slot].refuses_value = true;
  slots_[slot].swallows_reply = hidden;
  serve_key(id, removal, slot);
}

void Engine::serve(Client& client, ClientId id, Request& request) noexcept {
  switch (request.verb()) {
    case Verb::kGet:
      if (request.dialect() == Dialect::kText && request.command != Command::kTouch)
        return serve_get(client, id, request);
      count(request.touches() ? Counter::kCmdTouch : Counter::kCmdGet);
      break;
    case Verb::kSet:
      count(Counter::kCmdSet);
      break;
    case Verb::kDelete:
      count(Counter::kCmdDelete);
      break;
    case Verb::kArithmetic:
      count(Counter::kCmdArithmetic);
      break;
    case Verb::kDebug:
      break;
    case Verb::kLocal:
      if (who_ != nullptr && !may_locally(request)) return deny_whole(client, id, request);
      return serve_local(client, id, request);
    case Verb::kRefused:
      return refuse(client, id, request, row_of(request.command).name,
                    request.command == Command::kShutdown ? WireError::kShutdownRefused
                                                          : WireError::kNotAllowed);
  }
  const std::uint32_t slot = reserve(client, id, request, request.key);
  serve_key(id, request, slot);
}

}  // namespace tokenring
