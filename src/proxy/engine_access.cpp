// What a client may: its rights in a key's namespace, keys of its own, and how much it may ask for.
//
//   serve_one: is_within_rate -> serve_key: own_key -> its namespace -> may_use, or deny
//
// All of it is for clients that are asked who they are (`who_`), and for one of our own.
#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "seal/bytes.hpp"
#include "tokenring/keyring.hpp"
#include "wire/numbers.hpp"

namespace tokenring {

namespace {

// What costs nothing, and is waited for by clients that count on an answer.
bool is_free(const Request& request) {
  return request.verb() == Verb::kLocal && request.command != Command::kStats &&
         request.command != Command::kFlushAll;
}

// A get that is served key by key pays key by key.
std::uint64_t count_keys(const Request& request) {
  std::uint64_t count = 0;
  std::string_view keys = request.keys;
  if (keys.size() > kKeysAtOnceBytes) return 0;
  if (is_text_get(request.command))
    while (!next_word(keys).empty()) ++count;
  return std::max<std::uint64_t>(count, 1);
}

bool is_hidden(const Request& request) {
  return request.quiet && request.dialect() == Dialect::kText;
}

}  // namespace

// Takes what the request costs, or says that it is too much at this time.
bool Engine::is_within_rate(const Request& request) noexcept {
  if (is_free(request)) return true;
  const bool open = who_->is_within_rate(shared_now());
  const std::uint64_t per_second = who_->quota.requests_per_second;
  if (open && per_second > 0)
    who_->use->requests.take(count_keys(request), per_second, shared_now());
  return open;
}

void Engine::tell_over_rate(ClientId id, Command command) noexcept {
  count(Counter::kRateLimited);
  tell_access(AccessEvent::Kind::kRateLimited, id, command);
}

void Engine::charge_bytes(const Client& client, std::size_t n) noexcept {
  const Identity& who = *client.session->who;
  if (who.quota.bytes_per_second > 0)
    who.use->bytes.take(n, who.quota.bytes_per_second, shared_now());
}

// What belongs to the request is dropped, so that the next one is met.
void Engine::refuse_over_rate(Client& client, ClientId id, const Request& request) noexcept {
  tell_over_rate(id, request.command);
  if (!is_hidden(request)) answer(client, id, line_of(WireError::kRateLimited));
  client.swallow_value_of(request);
}

// The key among all keys: behind the mark of its owner, if it has one. Valid until the next call.
std::string_view Engine::own_key(std::string_view item_key) noexcept {
  if (who_ == nullptr || who_->mark.empty()) return item_key;
  own_key_.assign(who_->mark).append(item_key);
  return own_key_;
}

// Keys of an owner are nobody else's, whichever way their names are written.
bool Engine::may_use(const Request& request, const Slot& slot,
                     const Namespace& space) const noexcept {
  if (who_ == nullptr) return space.owner == 0;
  const Rights needed = slot.refuses_value ? Rights::kWrite : rights_needed(request);
  const std::size_t index = space.number;
  return space.owner == who_->owner && who_->may(index, needed);
}

// A client of our own names keys of owners by their marks, and is for one request their owner, who
// may delete in that namespace. It does nothing else.
void Engine::serve_inside(Client& client, ClientId id, Request& request) noexcept {
  Identity& inside = *client.session->inside;
  const Namespace* space = snapshot_->namespaces.find(request.item_key);
  if (request.command != Command::kDelete || space == nullptr) {
    client.closing = true;
    return answer(client, id, line_of(WireError::kAccessDenied));
  }
  const std::size_t index = space->number;
  inside.owner = space->owner;
  inside.mark = space->prefix.substr(0, space->mark_bytes);
  inside.rights.assign(index + 1, Rights());
  inside.rights[index] = Rights::kDelete;
  request.key.remove_prefix(space->mark_bytes);
  request.item_key.remove_prefix(space->mark_bytes);
  serve(client, id, request);
  inside.mark.clear();  // Of the next request nothing is known yet.
}

// A text get is answered as a whole, so it is refused as a whole.
bool Engine::may_use_all(const Request& request) noexcept {
  const Slot any;
  std::string_view keys = request.keys;
  for (std::string_view key = next_word(keys); !key.empty(); key = next_word(keys)) {
    const Namespace* space = snapshot_->namespaces.find(own_key(key));
    if (space != nullptr && !may_use(request, any, *space)) return false;
  }
  return true;
}

// Commands without a key: what they tell or do is of all that nodes have.
bool Engine::may_locally(const Request& request) const noexcept {
  if (request.command == Command::kFlushAll) return who_->may_everywhere(Rights::kFlush);
  if (request.command != Command::kStats) return true;
  std::string_view rest = request.keys;
  const std::string_view group = next_word(rest);
  if (group == "namespaces") return who_->may_somewhere(Rights::kStats);
  const Rights needed = group == "reset" ? Rights::kStats | Rights::kFlush : Rights::kStats;
  return who_->may_everywhere(needed);
}

// What may not be read is a miss, where it is hidden, and so it is to clients that nobody asks.
void Engine::deny(ClientId id, const Request& request, const Namespace& space,
                  std::string_view item_key, std::uint32_t index) noexcept {
  count(Counter::kAccessDenied);
  tell_access(AccessEvent::Kind::kDenied, id, request.command, &space, item_key);
  const bool reads = request.verb() == Verb::kGet || request.verb() == Verb::kDebug;
  if (reads && (who_ == nullptr || who_->hides)) return fill_with_miss(index);
  slots_[index].refuses_value = false;
  fill_with_error(index, WireError::kAccessDenied);
}

void Engine::deny_whole(Client& client, ClientId id, const Request& request) noexcept {
  count(Counter::kAccessDenied);
  tell_access(AccessEvent::Kind::kDenied, id, request.command);
  if (!is_hidden(request)) answer(client, id, line_of(WireError::kAccessDenied));
}

// Neither a key nor what a client calls itself goes into a log.
void Engine::tell_access(AccessEvent::Kind kind, ClientId id, Command command,
                         const Namespace* space, std::string_view item_key) noexcept {
  const Client& client = *clients_.find(id);
  AccessEvent event;
  event.kind = kind;
  event.command = command;
  if (client.session != nullptr) {
    event.identity = client.session->who->name;
    event.peer = text_of(client.session->peer);
  } else {
    event.peer = audit_.peer_of(id);
  }
  if (space != nullptr) event.space = space->number;
  const AuditHash* references = audit_.references();
  if (snapshot_->keyring != nullptr) references = &snapshot_->keyring->audit();
  if (space != nullptr && references != nullptr) {
    event.has_reference = true;
    references->refer({.space = space->prefix, .key = item_key}, event.reference.data());
  }
  if (audit_.is_on()) audit_.tell_access(event);
  std::vector<AccessEvent>& events = outbox_.access_work().events;
  if (events.size() < AccessWork::kEventsMax) events.push_back(std::move(event));
}

// ---- Keys of an owner at a node

// The name that an owner's key has at a node, into the plan; returns it as bytes, for the ring.
std::string_view Engine::set_apart(Sealing& sealing, const Request& request,
                                   std::string_view item_key, Plan& plan) noexcept {
  const std::string_view own = own_key(item_key);
  char* const to = sealing.node_key_text.data();
  if (request.key_is_base64) {
    sealing.keeps_base64 = true;
    sealing.node_key_size = base64_size(own.size());
    TR_ASSERT(sealing.node_key_size <= sealing.node_key_text.size());
    encode_key_base64({reinterpret_cast<const unsigned char*>(own.data()), own.size()}, to);
  } else {
    sealing.node_key_size = own.size();
    TR_ASSERT(sealing.node_key_size <= sealing.node_key_text.size());
    std::memcpy(to, own.data(), own.size());
  }
  plan.node_key = sealing.node_key();
  return own;
}

// A node's reply as one about the client's own key. Valid until the next call.
Reply Engine::put_key_back(const Slot& slot, const Reply& reply) noexcept {
  if (reply.code == ReplyCode::kDebug) return reveal_debug(slot, reply);
  Reply shown = reply;
  if (reply.code == ReplyCode::kTextValue) {
    revealed_.assign("VALUE ").append(slot.context.key).append(" ");
    revealed_.append(reply.rest).append("\r\n");
    shown.line = revealed_;
  }
  return shown;
}

}  // namespace tokenring
