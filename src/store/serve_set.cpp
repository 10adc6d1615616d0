// ms.
#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "store/command.hpp"
#include "store/text.hpp"

namespace tokenring::store {

namespace {

constexpr FlagSet kEchoed = {Flag::kReturnCas, Flag::kReturnKey, Flag::kReturnSize, Flag::kOpaque};

enum class Mode : std::uint8_t { kSet, kAdd, kReplace, kCompareAndSet, kAppend, kPrepend };

std::optional<Mode> mode_of(const MetaRequest& request) noexcept {
  switch (request.mode()) {
    case 'E':
      return Mode::kAdd;
    case 'A':
      return Mode::kAppend;
    case 'P':
      return Mode::kPrepend;
    case 'R':
    case 'S':
    case '\0':
      break;
    default:
      return {};
  }
  if (request.mode() == '\0' && request.has(Flag::kMode)) return {};  // "M" and a NUL byte.
  if (request.has(Flag::kCompareCas)) return Mode::kCompareAndSet;
  return request.mode() == 'R' ? Mode::kReplace : Mode::kSet;
}

// A request whose value is all there.
struct Write {
  NodeState& node;
  const MetaRequest& request;
  HashedKey key;
  std::string_view value;
  Mode mode;
  std::uint32_t now;
  // The outcome.
  std::uint64_t stored_cas = 0;
  std::size_t stored_size = 0;
};

void finish(Write& write, Item& item, Place place) noexcept {
  item.cas = new_cas(write.node, write.request);
  write.stored_cas = item.cas;
  write.stored_size = item.value_size;
  write.node.store.link(item, place);
}

// Puts the request's value in place of `old`, if there is one. The size was checked before.
Item& put_new(Write& write, Item* old) noexcept {
  Store& store = write.node.store;
  const Place place = old != nullptr ? store.remove(*old) : store.place_for(write.key);
  Item* item = store.allocate(write.key, write.value.size(), nullptr, write.now);
  TR_ASSERT(item != nullptr);
  std::copy(write.value.begin(), write.value.end(), item->value_bytes().begin());
  item->client_flags = static_cast<std::uint32_t>(write.request.number(Flag::kClientFlags));
  const bool joins = write.mode == Mode::kAppend || write.mode == Mode::kPrepend;
  item->deadline = write.request.deadline(joins ? Flag::kVivify : Flag::kExptime, write.now);
  item->binary_key = write.request.has(Flag::kBase64Key);
  finish(write, *item, place);
  return *item;
}

std::string_view join(Write& write, Item& old) noexcept {
  Store& store = write.node.store;
  const std::size_t size = old.value_size + write.value.size();
  if (memcached_bytes(write.key.key.size(), size, old.client_flags) >
      write.node.options.item_bytes_max)
    return "NS";
  Item* item = store.allocate(write.key, size, &old, write.now);
  if (item == nullptr) return "NS";
  const bool append = write.mode == Mode::kAppend;
  const std::string_view first = append ? old.value() : write.value;
  const std::string_view second = append ? write.value : old.value();
  const auto middle = std::copy(first.begin(), first.end(), item->value_bytes().begin());
  std::copy(second.begin(), second.end(), middle);
  item->client_flags = old.client_flags;
  item->deadline = old.deadline;
  item->binary_key = old.binary_key;
  finish(write, *item, store.remove(old));
  return "HD";
}

// ms with C: the CAS number must match; with I an older one may still put in a stale value.
std::string_view compare_and_set(Write& write, Item* old) noexcept {
  NodeStats& stats = write.node.stats;
  if (old == nullptr) {
    ++stats.cas_misses;
    return "NF";
  }
  const std::uint64_t asked = write.request.number(Flag::kCompareCas);
  const bool match = asked != 0 && asked == old->cas;
  const bool late = asked != 0 && asked < old->cas && write.request.has(Flag::kInvalidate);
  ++(match || late ? stats.cas_hits : stats.cas_badval);
  if (!match && !late) return "EX";
  const std::uint32_t deadline = old->deadline;
  const bool token_sent = old->token_sent;
  Item& item = put_new(write, old);
  if (late) {
    item.deadline = deadline;
    item.stale = true;
    item.token_sent = token_sent;
  }
  return "HD";
}

// Returns the reply's code.
std::string_view store_value(Write& write) noexcept {
  Item* old = write.node.store.find(write.key, write.now);
  switch (write.mode) {
    case Mode::kSet:
      put_new(write, old);
      return "HD";
    case Mode::kAdd:
      if (old != nullptr) {
        old->last_access = write.now;
        return "NS";
      }
      put_new(write, nullptr);
      return "HD";
    case Mode::kReplace:
      if (old == nullptr) return "NS";
      put_new(write, old);
      return "HD";
    case Mode::kCompareAndSet:
      return compare_and_set(write, old);
    case Mode::kAppend:
    case Mode::kPrepend: {
      if (old == nullptr) {
        if (!write.request.has(Flag::kVivify)) return "NS";
        put_new(write, nullptr);
        return "HD";
      }
      const std::uint64_t asked = write.request.number(Flag::kCompareCas);
      if (asked != 0 && asked != old->cas) return "EX";
      return join(write, *old);
    }
  }
  return "NS";
}

void answer(Call& call, const Write& write, std::string_view code) noexcept {
  const MetaRequest& request = write.request;
  if (code == "HD" && request.has(Flag::kQuiet)) return;
  const Echo echo{.key = request.key(),
                  .binary_key = request.has(Flag::kBase64Key),
                  .opaque = request.opaque(),
                  .cas = write.stored_cas,
                  .size = code == "HD" ? write.stored_size : write.value.size()};
  ReplyLine reply(call.out, call.pool, request);
  reply.put(code);
  for (const Flag flag : request.flags())
    if (kEchoed.has(flag)) reply.echo(flag, echo);
  reply.put("\r\n");
  reply.send();
}

// Refuses the request for its size; what the key held must not outlive the attempt.
Refusal refusal_of_size(NodeState& node, const MetaRequest& request, const HashedKey& key,
                        std::size_t value_size, std::uint32_t now) noexcept {
  const auto client_flags = static_cast<std::uint32_t>(request.number(Flag::kClientFlags));
  const bool large =
      memcached_bytes(key.key.size(), value_size, client_flags) > node.options.item_bytes_max;
  if (!large && node.store.fits(key.key.size(), value_size)) return {};
  ++(large ? node.stats.store_too_large : node.stats.store_no_memory);
  if (Item* old = node.store.find(key, now)) node.store.remove(*old);
  return large ? "SERVER_ERROR object too large for cache"
               : "SERVER_ERROR out of memory storing object";
}

// The length that follows the key, as 1.6.18 reads it.
std::optional<std::size_t> value_size_of(const Tokens& tokens) noexcept {
  const auto size = tokens.size() < 3 ? std::nullopt : read_i32(tokens[2]);
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max() - 2;
  if (!size || *size < 0 || *size > kMax) return {};
  return static_cast<std::size_t>(*size);
}

}  // namespace

void serve_ms(NodeState& node, Call& call) noexcept {
  Refusal refusal = refusal_of_shape(call.tokens, "CLIENT_ERROR options flags too long");
  const auto value_size = value_size_of(call.tokens);
  if (refusal.empty() && !value_size) refusal = kBadFormat;
  if (!refusal.empty()) return call.answer(refusal);

  MetaRequest request;
  refusal = request.read(call.tokens[1], call.tokens.from(3));
  const auto mode = mode_of(request);
  if (refusal.empty() && !mode) refusal = "CLIENT_ERROR invalid mode for ms M token";
  if (refusal.empty()) refusal = refusal_of_opaque(request);
  const HashedKey key = node.store.hashed(request.key());
  if (refusal.empty()) refusal = refusal_of_size(node, request, key, *value_size, call.now);
  if (!refusal.empty()) {
    call.bytes_to_swallow = *value_size + 2;
    return call.answer(refusal);
  }

  if (call.behind.size() < *value_size + 2) {
    call.incomplete = true;
    return;
  }
  call.value_bytes = *value_size + 2;
  ++node.stats.cmd_set;
  if (call.behind.substr(*value_size, 2) != "\r\n")
    return call.answer("CLIENT_ERROR bad data chunk");
  Write write{.node = node,
              .request = request,
              .key = key,
              .value = call.behind.substr(0, *value_size),
              .mode = *mode,
              .now = call.now};
  const std::string_view code = store_value(write);
  answer(call, write, code);
}

}  // namespace tokenring::store
