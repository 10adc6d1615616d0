// md and ma.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "store/command.hpp"
#include "store/text.hpp"

namespace tokenring::store {

namespace {

constexpr Refusal kTooManyFlags = "CLIENT_ERROR options flags too long";
constexpr Refusal kBadFlag = "CLIENT_ERROR invalid or duplicate flag";
constexpr FlagSet kEchoedAlways = {Flag::kReturnKey, Flag::kOpaque};
constexpr FlagSet kEchoedByArithmetic = {Flag::kReturnCas, Flag::kReturnTtl, Flag::kReturnKey,
                                         Flag::kOpaque};

// A code and what is always echoed.
void answer_code(Call& call, const MetaRequest& request, std::string_view code) noexcept {
  const Echo echo{.key = request.key(),
                  .binary_key = request.has(Flag::kBase64Key),
                  .opaque = request.opaque()};
  ReplyLine reply(call.out, call.pool, request);
  reply.put(code);
  for (const Flag flag : request.flags())
    if (kEchoedAlways.has(flag)) reply.echo(flag, echo);
  reply.put("\r\n");
  reply.send();
}

// md x: an empty item in place of `old`, without its client flags and marks.
Item& remove_value(NodeState& node, Item& old, const HashedKey& key, const MetaRequest& request,
                   std::uint32_t now) noexcept {
  const std::uint32_t deadline =
      request.has(Flag::kExptime) ? request.deadline(Flag::kExptime, now) : old.deadline;
  const bool binary_key = old.binary_key;
  const Place place = node.store.remove(old);
  Item* item = node.store.allocate(key, 0, nullptr, now);
  TR_ASSERT(item != nullptr);  // There was room for `old`.
  item->deadline = deadline;
  item->binary_key = binary_key;
  item->client_flags = static_cast<std::uint32_t>(request.number(Flag::kClientFlags));
  item->cas = new_cas(node, request);
  node.store.link(*item, place);
  return *item;
}

void mark_stale(NodeState& node, Item& item, const MetaRequest& request,
                std::uint32_t now) noexcept {
  if (request.has(Flag::kExptime)) item.deadline = request.deadline(Flag::kExptime, now);
  item.stale = true;
  item.token_sent = false;  // So that the next reader wins.
  item.cas = new_cas(node, request);
}

}  // namespace

void serve_md(NodeState& node, Call& call) noexcept {
  MetaRequest request;
  Refusal refusal = refusal_of_shape(call.tokens, kTooManyFlags);
  if (refusal.empty() && !request.read(call.tokens[1], call.tokens.from(2)).empty())
    refusal = kBadFlag;
  if (refusal.empty()) refusal = refusal_of_opaque(request);
  if (!refusal.empty()) return call.answer(refusal);

  const HashedKey key = node.store.hashed(request.key());
  Item* item = node.store.find(key, call.now);
  const bool mismatch = item != nullptr && request.has(Flag::kCompareCas) &&
                        request.number(Flag::kCompareCas) != item->cas;
  if (item == nullptr || mismatch) {
    ++node.stats.delete_misses;
    return answer_code(call, request, mismatch ? "EX" : "NF");
  }
  const bool stays = request.has(Flag::kRemoveValue) || request.has(Flag::kInvalidate);
  if (!request.has(Flag::kInvalidate)) ++node.stats.delete_hits;
  if (request.has(Flag::kRemoveValue)) item = &remove_value(node, *item, key, request, call.now);
  if (request.has(Flag::kInvalidate)) mark_stale(node, *item, request, call.now);
  if (!stays) node.store.remove(*item);
  if (!request.has(Flag::kQuiet)) answer_code(call, request, "HD");
}

namespace {

using Digits = std::array<char, 20>;

std::string_view write_number(std::uint64_t number, Digits& digits) noexcept {
  const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  return {digits.data(), static_cast<std::size_t>(end - digits.data())};
}

std::optional<bool> is_increment(const MetaRequest& request) noexcept {
  if (!request.has(Flag::kMode)) return true;
  switch (request.mode()) {
    case 'I':
    case '+':
      return true;
    case 'D':
    case '-':
      return false;
    default:
      return {};
  }
}

// An empty value does not, nor one that memcached keeps in chunks. That is found out before the CAS
// number is looked at, what the value reads as after it.
bool can_hold_number(const Item& item) noexcept {
  constexpr std::size_t kUnchunkedBytesMax = std::size_t{512} << 10;
  return item.value_size != 0 &&
         memcached_bytes(item.key_size, item.value_size, item.client_flags) <= kUnchunkedBytesMax;
}

// Writes `number` into the item: in place, padded with spaces, where it fits, as memcached does.
// Null when a longer item has no room; the item is as it was then.
Item* rewrite(NodeState& node, Item& old, const HashedKey& key, std::string_view number,
              std::uint32_t now) noexcept {
  if (number.size() <= old.value_size) {
    const auto value = old.value_bytes();
    std::fill(std::copy(number.begin(), number.end(), value.begin()), value.end(), ' ');
    old.last_access = now;
    return &old;
  }
  Item* item = node.store.allocate(key, number.size(), &old, now);
  if (item == nullptr) return nullptr;
  std::copy(number.begin(), number.end(), item->value_bytes().begin());
  item->client_flags = old.client_flags;
  item->deadline = old.deadline;
  item->binary_key = old.binary_key;
  node.store.link(*item, node.store.remove(old));
  return item;
}

void answer_number(Call& call, Item& item, bool created, const MetaRequest& request,
                   std::string_view number) noexcept {
  const bool with_value = request.has(Flag::kReturnValue);
  ReplyLine reply(call.out, call.pool, request, number.size() + 2);
  reply.put(with_value ? "VA " : "HD");
  if (with_value) reply.put_number(number.size());
  for (const Flag flag : request.flags()) {
    if (flag == Flag::kExptime) item.deadline = request.deadline(Flag::kExptime, call.now);
    if (flag == Flag::kVivify && created) item.deadline = request.deadline(Flag::kVivify, call.now);
    if (!kEchoedByArithmetic.has(flag)) continue;
    Echo echo = echo_of(item, request, call.now);
    echo.binary_key = request.has(Flag::kBase64Key);
    reply.echo(flag, echo);
  }
  reply.put("\r\n");
  if (with_value) {
    reply.put(number);
    reply.put("\r\n");
  }
  // 1.6.18 shows a number that it has just created even where the request is quiet.
  if (created || !request.has(Flag::kQuiet)) reply.send();
}

void create_number(NodeState& node, Call& call, const HashedKey& key,
                   const MetaRequest& request) noexcept {
  Digits digits;
  const std::string_view number = write_number(request.number(Flag::kInitial), digits);
  Item* item = vivify(node, key, request, number, call.now);
  if (item == nullptr) return call.answer("SERVER_ERROR Out of memory allocating new item");
  answer_number(call, *item, true, request, number);
}

// Adds to or takes from `item`, which is there and whose CAS number is right.
void change_number(NodeState& node, Call& call, Item* item, const HashedKey& key, bool increment,
                   const MetaRequest& request) noexcept {
  const auto before = can_hold_number(*item) ? read_u64(item->value()) : std::nullopt;
  if (!before) return call.answer("CLIENT_ERROR cannot increment or decrement non-numeric value");
  const std::uint64_t delta = request.number(Flag::kDelta, 1);
  // memcached's delta is signed but compared unsigned: 2^64 wraps up, 0 stops down.
  const std::uint64_t after = increment ? *before + delta : *before - std::min(*before, delta);
  ++(increment ? node.stats.incr_hits : node.stats.decr_hits);
  Digits digits;
  const std::string_view number = write_number(after, digits);
  item = rewrite(node, *item, key, number, call.now);
  if (item == nullptr) return call.answer("SERVER_ERROR out of memory");
  item->cas = new_cas(node, request);
  answer_number(call, *item, false, request, number);
}

}  // namespace

void serve_ma(NodeState& node, Call& call) noexcept {
  MetaRequest request;
  Refusal refusal = refusal_of_shape(call.tokens, kTooManyFlags);
  if (refusal.empty() && !request.read(call.tokens[1], call.tokens.from(2)).empty())
    refusal = kBadFlag;
  const auto increment = refusal.empty() ? is_increment(request) : std::nullopt;
  if (refusal.empty() && !increment) refusal = "CLIENT_ERROR invalid mode for ma M token";
  if (refusal.empty()) refusal = refusal_of_opaque(request);
  if (!refusal.empty()) return call.answer(refusal);

  const HashedKey key = node.store.hashed(request.key());
  Item* item = node.store.find(key, call.now);
  if (item == nullptr) {
    if (request.has(Flag::kVivify)) return create_number(node, call, key, request);
    ++(*increment ? node.stats.incr_misses : node.stats.decr_misses);
    return answer_code(call, request, "NF");
  }
  const std::uint64_t asked = request.number(Flag::kCompareCas);
  if (can_hold_number(*item) && asked != 0 && asked != item->cas)
    return answer_code(call, request, "EX");
  change_number(node, call, item, key, *increment, request);
}

}  // namespace tokenring::store
