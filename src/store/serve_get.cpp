// mg and me.
#include <algorithm>
#include <string_view>

#include "store/command.hpp"
#include "store/text.hpp"

namespace tokenring::store {

namespace {

constexpr FlagSet kEchoedOnHit = {Flag::kReturnCas,  Flag::kReturnFlags, Flag::kReturnHit,
                                  Flag::kReturnIdle, Flag::kReturnKey,   Flag::kReturnSize,
                                  Flag::kReturnTtl,  Flag::kOpaque};
constexpr FlagSet kEchoedOnMiss = {Flag::kReturnKey, Flag::kOpaque};

void answer_miss(NodeState& node, Call& call, const MetaRequest& request) noexcept {
  ++node.stats.cmd_get;
  ++node.stats.get_misses;
  if (request.has(Flag::kQuiet)) return;
  const Echo echo{.key = request.key(),
                  .binary_key = request.has(Flag::kBase64Key),
                  .opaque = request.opaque()};
  ReplyLine reply(call.out, call.pool, request);
  reply.put("EN");
  for (const Flag flag : request.flags())
    if (kEchoedOnMiss.has(flag)) reply.echo(flag, echo);
  reply.put("\r\n");
  reply.send();
}

// Applies the flags in the order they were sent, which decides what `t` beside `T` shows. Returns
// whether this client has won the item.
bool apply_flags(Item& item, bool created, const MetaRequest& request, ReplyLine& reply,
                 std::uint32_t now) noexcept {
  bool won = created;
  for (const Flag flag : request.flags()) {
    if (flag == Flag::kExptime) item.deadline = request.deadline(Flag::kExptime, now);
    if (flag == Flag::kVivify && created) item.deadline = request.deadline(Flag::kVivify, now);
    if (flag == Flag::kRecache && !created && !item.token_sent && item.deadline != 0 &&
        item.deadline < request.deadline(Flag::kRecache, now))
      won = true;
    if (kEchoedOnHit.has(flag)) reply.echo(flag, echo_of(item, request, now));
  }
  return won;
}

void answer_hit(Call& call, Item& item, bool created, const MetaRequest& request) noexcept {
  const bool unchanged =
      request.has(Flag::kCompareCas) && request.number(Flag::kCompareCas) == item.cas;
  const bool with_value = request.has(Flag::kReturnValue) && !unchanged;
  ReplyLine reply(call.out, call.pool, request, with_value ? item.value_size + 2 : 0);
  if (with_value) {
    reply.put("VA ");
    reply.put_number(item.value_size);
  } else {
    reply.put("HD");
  }
  bool won = apply_flags(item, created, request, reply, call.now);
  if (item.token_sent) reply.put_mark('Z');
  if (item.stale) {
    reply.put_mark('X');
    if (!item.token_sent) won = true;
  }
  if (won) {
    reply.put_mark('W');
    item.token_sent = true;
  }
  reply.put("\r\n");
  if (with_value) {
    reply.put(item.value());
    reply.put("\r\n");
  }
  reply.send();
}

}  // namespace

void serve_mg(NodeState& node, Call& call) noexcept {
  MetaRequest request;
  Refusal refusal = refusal_of_shape(call.tokens, "CLIENT_ERROR options flags are too long");
  if (refusal.empty()) refusal = request.read(call.tokens[1], call.tokens.from(2));
  if (refusal.empty()) refusal = refusal_of_opaque(request);
  if (!refusal.empty()) return call.answer(refusal);

  const HashedKey key = node.store.hashed(request.key());
  Item* item = node.store.find(key, call.now);
  const bool created = item == nullptr && request.has(Flag::kVivify);
  if (created) item = vivify(node, key, request, {}, call.now);
  if (item == nullptr) return answer_miss(node, call, request);

  answer_hit(call, *item, created, request);
  if (!request.has(Flag::kNoBump)) Store::hit(*item, call.now);
  const bool touched = request.has(Flag::kExptime);
  ++(touched ? node.stats.cmd_touch : node.stats.cmd_get);
  ++(touched ? node.stats.touch_hits : node.stats.get_hits);
}

void serve_me(NodeState& node, Call& call) noexcept {
  MetaRequest request;
  const bool binary = call.tokens.size() >= 3 && call.tokens[2] == "b";
  // Only the b flag, and only as the first, has a meaning here; the others are not even read.
  const bool bad = call.tokens.size() < 2 || call.tokens[1].size() > kKeyBytesMax ||
                   !request.read(call.tokens[1], call.tokens.from(2).first(binary ? 1 : 0)).empty();
  if (bad) return call.answer(kBadFormat);

  ++node.stats.cmd_meta;
  const Item* item = node.store.find(node.store.hashed(request.key()), call.now);
  if (item == nullptr) return call.answer("EN");
  ReplyLine reply(call.out, call.pool, request);
  reply.put("ME ");
  reply.put_key(item->key(), item->binary_key);
  reply.put(" exp=");
  if (item->deadline == 0) {
    reply.put("-1");
  } else {
    reply.put("-");  // memcached's is what is left, negative.
    reply.put_number(item->deadline - call.now);
  }
  reply.put(" la=");
  reply.put_number(call.now - std::min(call.now, item->last_access));
  reply.put(" cas=");
  reply.put_number(item->cas);
  reply.put(item->fetched ? " fetch=yes" : " fetch=no");
  reply.put(" cls=1 size=");
  reply.put_number(item->block.size * Arena::kGranuleBytes);
  reply.put("\r\n");
  reply.send();
}

}  // namespace tokenring::store
