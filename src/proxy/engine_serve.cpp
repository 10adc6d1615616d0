// serve: from a client's bytes to a node's.
//
//   serve_input -> serve_one -> serve -> serve_key: target_of (namespace, pool, ring) -> send
#include <algorithm>

#include "base/assert.hpp"
#include "proxy/engine.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kCrLf = "\r\n";

// A get with more bytes of keys than this is served key by key, as its client has room.
constexpr std::size_t kKeysAtOnceBytes = 4096;

// Of what it reads at once, memcached serves 20 requests (its -R), at first one more, and writes
// their replies out before it goes on.
constexpr std::uint32_t kRequestsPerTurn = 20;
constexpr std::uint32_t kRequestsFirst = 21;

bool may_still_be_a_key(std::string_view word) {
  return word.size() <= kKeyBytesMax;
}

// What memcached counts for an item (ITEM_ntotal of 1.6.18): header, CAS, key with its NUL, flags
// where there are any, value with its CR LF. Its -I is in terms of this, and so is our limit: a
// node would refuse the value too, but would drop the old item with it whatever the command was.
std::size_t item_bytes(const Request& request) {
  return 48 + 8 + request.item_key.size() + 1 + (request.client_flags != 0 ? 4U : 0U) +
         std::size_t{request.value_bytes} + kCrLf.size();
}

void begin_key_stream(Client& client, const Request& request) {
  client.mode = Client::Mode::kKeyStream;
  client.stream_command = request.command;
  client.stream_exptime = request.exptime;
  client.stream_began = false;
}

}  // namespace

// Where a key goes. `pool` is null where no namespace claims it.
struct Engine::Target {
  const Namespace* space = nullptr;
  const Pool* pool = nullptr;
  std::uint32_t backend = 0;
};

Engine::Target Engine::target_of(std::string_view item_key) noexcept {
  const Namespace* space = snapshot_->namespaces.find(item_key);
  if (space == nullptr) return {};
  const Pool& pool = snapshot_->pools[space->pool];
  return {space, &pool, pool.first_backend + pool.ring.owner_of(item_key)};
}

// Whether the client may have one more request out. Replies are held until their turn, so what is
// out is weighed by the size of the replies lately seen.
bool Engine::has_room(const Client& client) const noexcept {
  const Limits& limits = snapshot_->limits;
  if (client.out.size() >= limits.output_bytes_per_client_max) return false;
  if (client.slots == 0) return true;
  const std::uint32_t window = client.reply_bytes == 0
                                   ? std::min(Client::kFirstWindow, limits.requests_per_client_max)
                                   : limits.requests_per_client_max;
  if (client.slots >= window) return false;
  const std::size_t room = limits.output_bytes_per_client_max - client.out.size();
  return std::size_t{client.slots} * client.reply_bytes < room;
}

// Serves what is whole in `in`; returns the bytes that are done with.
std::size_t Engine::serve_input(Client& client, ClientId id, std::string_view in) noexcept {
  std::size_t used = 0;
  std::uint32_t served = 0;
  client.needed = 0;
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
  }
  Request request;
  const ParsedRequest parsed = parse_request(in, request);
  switch (parsed.kind) {
    case ParsedRequest::Kind::kIncomplete:
      return 0;
    case ParsedRequest::Kind::kRequest: {
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
    client.mode = Client::Mode::kSwallow;
    client.swallow = with_crlf;
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
  removal.key_is_base64 = request.key_is_base64;
  const std::uint32_t slot = reserve(client, id, removal, request.key);
  slots_[slot].refuses_value = true;
  slots_[slot].swallows_reply = hidden;
  serve_key(id, removal, request.key, request.item_key, slot);
}

void Engine::serve(Client& client, ClientId id, Request& request) noexcept {
  switch (request.verb()) {
    case Verb::kGet:
      if (request.dialect() == Dialect::kText && request.command != Command::kTouch)
        return serve_get(client, id, request);
      count(request.command == Command::kTouch ? Counter::kCmdTouch : Counter::kCmdGet);
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
      return serve_local(client, id, request);
    case Verb::kRefused:
      return answer(client, id,
                    line_of(request.command == Command::kShutdown ? WireError::kShutdownRefused
                                                                  : WireError::kNotAllowed));
  }
  const std::uint32_t slot = reserve(client, id, request, request.key);
  serve_key(id, request, request.key, request.item_key, slot);
}

// get, gets, gat, gats: a slot per key, the last of which carries the END.
void Engine::serve_get(Client& client, ClientId id, Request& request) noexcept {
  std::string_view keys = request.keys;
  std::string_view key = next_word(keys);
  if (key.empty()) return answer(client, id, "END\r\n");
  bool first = true;
  while (!key.empty()) {
    const std::string_view next = next_word(keys);
    const std::uint32_t index = reserve(client, id, request, key);
    Slot& slot = slots_[index];
    slot.context.ends_get = next.empty();
    if (gets_may_fail_ && !(first && next.empty())) {
      slot.group = Slot::Group::kGet;
      slot.first_of_group = first;
      slot.last_of_group = next.empty();
    }
    count(Counter::kCmdGet);
    serve_key(id, request, key, key, index);
    first = false;
    key = next;
  }
}

// A get whose line is longer than what we hold: its keys are served as they come. Each call takes
// one.
std::size_t Engine::serve_keys(Client& client, ClientId id, std::string_view in) noexcept {
  const std::size_t blanks = std::min(in.find_first_not_of(' '), in.size());
  std::string_view rest = in.substr(blanks);
  if (rest.empty()) return blanks;
  const std::size_t stop = rest.find_first_of(std::string_view(" \n\0", 3));
  std::string_view key = rest.substr(0, stop);
  if (stop == std::string_view::npos && may_still_be_a_key(key)) return blanks;
  const bool ends = stop != std::string_view::npos && rest[stop] != ' ';
  if (ends && key.ends_with('\r')) key.remove_suffix(1);
  const bool too_long = !may_still_be_a_key(key);

  Request request;
  request.command = client.stream_command;
  request.has_ttl = request.command == Command::kGat || request.command == Command::kGats;
  request.exptime = client.stream_exptime;
  request.wants_value = true;
  if (!key.empty() || ends || too_long) {
    // The line's end has a slot of its own where it has no key: it carries END, or the error.
    const bool is_key = !key.empty() && !too_long;
    const std::uint32_t index = reserve(client, id, request, is_key ? key : std::string_view());
    Slot& slot = slots_[index];
    slot.context.ends_get = ends && !too_long;
    slot.group = Slot::Group::kGet;
    slot.first_of_group = !client.stream_began;
    slot.last_of_group = ends || too_long;
    client.stream_began = true;
    if (is_key) {
      count(Counter::kCmdGet);
      serve_key(id, request, key, key, index);
    } else if (too_long) {
      slot.miss_on_failure = false;
      fail(index, WireError::kBadLine);
    } else {
      static_cast<void>(fill(index, Reply{.code = ReplyCode::kEnd, .line = "END\r\n"}, nullptr));
    }
  }
  if (too_long) client.mode = Client::Mode::kSkipLine;
  if (ends && !too_long)
    client.mode = rest[stop] == '\n' ? Client::Mode::kRequests : Client::Mode::kSkipLine;
  if (too_long) return blanks + std::min(rest.size(), kKeyBytesMax);
  return blanks + stop + (ends && rest[stop] == '\0' ? 0 : 1);
}

// One key of one request, whose slot is already in its client's order.
void Engine::serve_key(ClientId id, const Request& request, std::string_view key,
                       std::string_view item_key, std::uint32_t slot) noexcept {
  const Target target = target_of(item_key);
  if (target.space == nullptr) return fail(slot, WireError::kNoPool);
  Slot& s = slots_[slot];
  s.miss_on_failure = request.verb() == Verb::kGet && request.wants_value && !request.has_vivify &&
                      target.pool->options.on_failure == OnFailure::kMiss;
  Link& link = link_of(target.backend, id);
  if (!link.takes_requests())
    return fail(slot, link.too_old ? WireError::kNodeTooOld : WireError::kNodeDown);
  if (link.slots >= snapshot_->limits.pending_per_backend_max) return fail(slot, WireError::kBusy);

  Plan plan{.node_key = key, .key_is_base64 = request.key_is_base64};
  plan.value_bytes = request.value.size();
  const LifeRules& rules = target.space->life;
  const bool sets_life = request.has_ttl || (rules.any() && request.verb() == Verb::kSet &&
                                             request.store_mode < StoreMode::kAppend);
  if (sets_life) {
    const Expiry asked = request.has_ttl ? Expiry::from_exptime(request.exptime) : Expiry::never();
    const Expiry granted =
        rules.any() ? granted_life(rules, asked, now_.unix_time, random()) : asked;
    if (!(granted == asked)) count(Counter::kTtlCapped);
    // A write without T already means never; a touch has to say so.
    if (!granted.is_never() || request.verb() != Verb::kSet) plan.ttl = granted;
  }
  if (request.has_vivify) {
    const Expiry asked = Expiry::from_exptime(request.vivify_exptime);
    plan.vivify = rules.any() ? granted_life(rules, asked, now_.unix_time, random()) : asked;
  }
  send(link, request, plan, slot);
}

void Engine::send(Link& link, const Request& request, Plan& plan, std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  part_from_earlier_reads(link, request);
  if (is_text_get(request.command)) return send_get(link, request, plan, index);
  end_get_line(link);
  slot.plain_reply = request.verb() == Verb::kDebug || is_text_read(request.command);
  slot.context.matches_hide = request.command == Command::kMetaGet && request.has_cas;
  slot.context.cas = request.cas;
  // memcached hides the good outcome of a quiet ma, but shows it where N made the item. Only a look
  // just before can tell which it was.
  if (request.command == Command::kMetaArithmetic && request.quiet && request.has_vivify)
    send_probe(link, plan, index);
  plan.opaque = slot.opaque = link.next_opaque++ & 0xFF'FFFF;
  // What mg gives back for k is the item's key as it was made, which may be base64 where this
  // request is not, and the reverse. As bytes it is harmless unless these would end the line.
  plan.echo_key = request.command == Command::kMetaGet && request.wants_key &&
                  request.item_key.find('\n') == std::string_view::npos;
  link.unchecked = slot.plain_reply;

  const bool has_value = request.verb() == Verb::kSet;
  const bool moves = has_value && whole_input_ != nullptr;
  const std::size_t value_room = has_value && !moves ? request.value.size() + kCrLf.size() : 0;
  char* const to = link.out.prepare(pool_, encoded_size_max(request, plan) + value_room);
  char* end = encode_request(request, plan, to);
  if (value_room > 0) {
    std::memcpy(end, request.value.data(), value_room);  // Its CR LF follows it in the input.
    end += value_room;
  }
  link.out.commit(static_cast<std::size_t>(end - to));
  if (moves) {
    Buffer value = std::move(*whole_input_);
    value.consume(static_cast<std::size_t>(request.value.data() - value.view().data()));
    link.out.append(std::move(value));
  }
  await(link, index);
  if (link.state == Link::State::kUp) mark_dirty(link);
}

// A key of a text get joins the get line at the end of the link's output, whichever client it is
// from.
void Engine::send_get(Link& link, const Request& request, const Plan& plan,
                      std::uint32_t index) noexcept {
  const bool joins = link.line_bytes > 0 && link.line_command == request.command &&
                     link.line_exptime == (plan.ttl ? plan.ttl->exptime() : 0) &&
                     link.line_bytes + plan.node_key.size() < kGetLineBytesMax;
  if (!joins) end_get_line(link);
  char* const to = link.out.prepare(pool_, encoded_size_max(request, plan));
  char* end = to;
  if (joins) {
    slots_[link.last_slot].last_of_line = false;
    *end++ = ' ';
    std::memcpy(end, plan.node_key.data(), plan.node_key.size());
    end += plan.node_key.size();
  } else {
    end = encode_request(request, plan, to);
    link.line_command = request.command;
    link.line_exptime = plan.ttl ? plan.ttl->exptime() : 0;
  }
  const auto written = static_cast<std::size_t>(end - to);
  link.out.commit(written);
  link.line_bytes += written;
  Slot& slot = slots_[index];
  slot.plain_reply = slot.in_get_line = slot.last_of_line = true;
  await(link, index);
  if (link.state == Link::State::kUp) mark_dirty(link);
}

// A memcached changes a number in place, padding it, only while no reply still refers to the item.
// What a client sent earlier on, or 20 requests ago, would have been written out to it by now, so
// it is here, too.
void Engine::part_from_earlier_reads(Link& link, const Request& request) noexcept {
  if (request.verb() == Verb::kArithmetic && link.last_read != reads_ && !link.out.empty())
    close_batch(link);
  link.last_read = reads_;
}

void Engine::end_get_line(Link& link) noexcept {
  if (link.line_bytes == 0) return;
  link.out.append(pool_, kCrLf);
  link.line_bytes = 0;
  link.unchecked = true;
}

// Asks whether the item is there, without touching or holding it (memcached changes a number in
// place only while nobody holds it); the answer is for slot `index` alone.
void Engine::send_probe(Link& link, const Plan& plan, std::uint32_t index) noexcept {
  Request look;
  look.command = Command::kMetaDebug;
  const std::uint32_t probe = slots_.insert().index;
  Slot& slot = slots_[probe];
  slot.context.command = look.command;
  slot.informs = index;
  slot.plain_reply = true;
  char* const to = link.out.prepare(pool_, encoded_size_max(look, plan));
  link.out.commit(static_cast<std::size_t>(encode_request(look, plan, to) - to));
  await(link, probe);
}

}  // namespace tokenring
