// Sealed namespaces: what a node sees of keys and values, and what a client sees of its replies.
//
//   serve:    veil (the node's key) -> follow_token (how long) -> write_sealed (the value)
//   deliver:  reveal: open the value, put the client's key and sizes back; or it is a miss
#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "seal/blind.hpp"
#include "seal/secret.hpp"
#include "tokenring/keyring.hpp"
#include "tokenring/parse.hpp"
#include "wire/numbers.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kCrLf = "\r\n";

template <typename T>
bool parse_number(std::string_view text, T& number) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

void append_number(std::string& to, std::int64_t number) {
  std::array<char, 24> digits;
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  to.append(digits.data(), result.ptr);
}

SpaceTally tally_of(OpenOutcome outcome) {
  switch (outcome) {
    case OpenOutcome::kPlaintext:
      return SpaceTally::kOpenPlaintext;
    case OpenOutcome::kUnknownKey:
      return SpaceTally::kOpenUnknownKey;
    case OpenOutcome::kAuthFail:
      return SpaceTally::kOpenAuthFail;
    case OpenOutcome::kExpired:
      return SpaceTally::kOpenExpired;
    case OpenOutcome::kOpened:
    case OpenOutcome::kMalformed:
      break;
  }
  return SpaceTally::kOpenMalformed;
}

}  // namespace

void Engine::adopt_keys() {
  if (!snapshot_->has_blind_keys) {
    blinded_tags_.reset();
  } else if (blinded_tags_ == nullptr) {
    blinded_tags_ = std::make_unique<BlindedTags>();
  } else {
    blinded_tags_->clear();
  }
  if (tickets_ == nullptr && snapshot_->has_revocation) tickets_ = std::make_unique<Tickets>();
  pool_.set_wipes(snapshot_->keys != nullptr);
  if (snapshot_->keys == nullptr) {
    sealer_.reset();
    compressor_.reset();
    return;
  }
  if (sealer_ == nullptr) {
    sealer_ = std::make_unique<Sealer>(snapshot_->keys, entropy());
  } else {
    sealer_->use(snapshot_->keys);
  }
  compressor_ = std::make_unique<Compressor>(snapshot_->dictionaries);
}

// The key as the node sees it, into the plan; what to ask the ring for.
std::string_view Engine::veil(Slot& slot, const Request& request, const Namespace& space,
                              std::string_view item_key, Plan& plan) noexcept {
  slot.sealing = sealings_.insert().index;
  Sealing& sealing = sealings_[slot.sealing];
  sealing.seals = space.seal.seals();
  if (sealing.seals && request.command == Command::kMetaGet) {
    sealing.wants_value = request.wants_value;
    std::string_view flags = request.flags;
    for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags))
      sealing.wants_flags |= flag[0] == 'f';
    plan.more_flags = sealing.wants_value ? (sealing.wants_flags ? "" : " f")
                                          : (sealing.wants_flags ? " v" : " v f");
  }
  if (!space.seal.blind_keys)
    return space.owner == 0 ? item_key : set_apart(sealing, request, item_key, plan);
  const std::string_view tag_ends = snapshot_->pools[space.pool].ring.hash_tag();
  const std::string_view tagged = hashed_part(item_key, tag_ends);
  const BlindedKey blinded = snapshot_->keyring->blinder().blind(
      {.space = space.prefix,
       .key = item_key,
       .tag = tagged.size() == item_key.size() ? std::string_view() : tagged},
      tag_ends, sealing.node_key_text.data(), blinded_tags_.get());
  sealing.node_key_size = blinded.size;
  plan.node_key = sealing.node_key();
  plan.key_is_base64 = false;
  return blinded.route;
}

// The key by which the node's answer is known.
std::string_view Engine::node_key_of(const Slot& slot) noexcept {
  if (slot.sealing == kNoSlot || sealings_[slot.sealing].node_key_size == 0)
    return slot.context.key;
  return sealings_[slot.sealing].node_key();
}

// Bounds the life of what is written by its token's own, and says when it is over for good. False
// where a token must say so and does not.
bool Engine::follow_token(Slot& slot, const Request& request, const LifeRules& rules,
                          Plan& plan) noexcept {
  std::int64_t bound_s = rules.max_age_s > 0 ? rules.max_age_s : INT64_MAX;
  SpaceTally by = SpaceTally::kByMaxAge;
  UnixTime iat;
  bool is_over = false;
  if (rules.token_life != TokenLife::kIgnore) {
    const Claims claims = claims_.read(request.value, now_.unix_time);
    const std::int64_t negative_ttl_s = rules_of_tokens(slot).negative_ttl_s;
    const bool is_negative = claims.inactive && negative_ttl_s > 0;
    if (rules.token_life == TokenLife::kStrict && !claims.exp && !is_negative) return false;
    if (claims.exp) {
      const std::int64_t left_s = claims.exp->seconds - now_.unix_time.seconds - rules.skew_s;
      is_over = left_s <= 0;
      if (left_s < bound_s) by = SpaceTally::kByToken;
      bound_s = std::min(bound_s, std::max<std::int64_t>(left_s, 0));
      iat = claims.iat.value_or(UnixTime{});
      count_in_space(slot.space, SpaceTally::kTokenLives);
    }
    if (claims.inactive && who_ != nullptr && !who_->may_bring_negatives(shared_now())) {
      bound_s = 0;
      by = SpaceTally::kByNegative;
      is_over = true;
      fills_.refuse_negative(slot);
    } else if (claims.inactive) {
      if (who_ != nullptr) who_->charge_negative(shared_now());
      if (is_negative) {
        if (negative_ttl_s < bound_s) by = SpaceTally::kByNegative;
        bound_s = std::min(bound_s, negative_ttl_s);
        is_over = false;  // What says no may have no end of its own.
        count_in_space(slot.space, SpaceTally::kNegative);
      }
    }
  }
  if (const Expiry life = plan.ttl.value_or(Expiry::never());
      life.remaining_s(now_.unix_time) > bound_s) {
    count_in_space(slot.space, by);
    plan.ttl = life.bounded_by(bound_s, now_.unix_time);
  }
  if (slot.sealing == kNoSlot) return true;
  Sealing& sealing = sealings_[slot.sealing];
  sealing.drops_value = is_over;
  sealing.options = {.iat = iat};
  if (bound_s != INT64_MAX) sealing.options.exp = {now_.unix_time.seconds + bound_s};
  return true;
}

// What is to be sealed of a value, packed where its namespace says so. Valid until the next call.
std::string_view Engine::body_of(const Slot& slot, std::string_view value) noexcept {
  Sealing& sealing = sealings_[slot.sealing];
  if (sealing.drops_value) return {};
  const SealRules* rules = rules_of(slot);
  if (rules == nullptr || !rules->compress) return value;
  const std::string_view packed = compressor_->pack(value, rules->dictionary.get());
  sealing.options.zstd = !packed.empty();
  return packed.empty() ? value : packed;
}

const SealRules* Engine::rules_of(const Slot& slot) const noexcept {
  if (slot.space == Slot::kNoSpace) return nullptr;
  return &snapshot_->namespaces.all()[slot.space].seal;
}

const TokenRules& Engine::rules_of_tokens(const Slot& slot) const noexcept {
  static constexpr TokenRules kNone;
  if (slot.space == Slot::kNoSpace) return kNone;
  return snapshot_->namespaces.all()[slot.space].tokens;
}

// Whether an item of before the namespace was sealed may still be read.
bool Engine::reads_unsealed(const Slot& slot) const noexcept {
  const SealRules* rules = rules_of(slot);
  return rules != nullptr && rules->mode == SealMode::kMigrate &&
         now_.unix_time < rules->migrate_until;
}

ValueIdentity Engine::identity_of(const Slot& slot, std::uint32_t client_flags) noexcept {
  std::string_view key = slot.context.key;
  if (slot.context.key_is_base64) {
    decoded_key_.resize(key.size());
    decoded_key_.resize(decode_base64(key, decoded_key_.data()));
    key = decoded_key_;
  }
  return {.space = {slot.space}, .client_key = key, .client_flags = client_flags};
}

// Writes the envelope and its CR LF; null when there was no entropy.
char* Engine::write_sealed(const Slot& slot, std::uint32_t client_flags, std::string_view body,
                           char* to) noexcept {
  const std::size_t n = sealer_->seal(identity_of(slot, client_flags), body,
                                      sealings_[slot.sealing].options, now_.unix_time, to);
  if (n == 0) return nullptr;
  count_in_space(slot.space, SpaceTally::kSealed);
  return static_cast<char*>(std::memcpy(to + n, kCrLf.data(), kCrLf.size())) + kCrLf.size();
}

// Opens a value into `plain`, which then ends in CR LF as a node's value does. An item of before
// the namespace was sealed opens as what it is, while that is allowed.
OpenResult Engine::open_value(const Slot& slot, std::uint32_t client_flags, std::string_view sealed,
                              Buffer& plain) noexcept {
  const SealRules* rules = rules_of(slot);
  if (rules == nullptr || !rules->seals() || sealer_ == nullptr)
    return {.outcome = OpenOutcome::kUnknownKey};
  plain = pool_.take(sealed.size() + kCrLf.size());
  char* const to = plain.space().data();
  OpenResult result = sealer_->open(identity_of(slot, client_flags), sealed, now_.unix_time, to);
  if (result.outcome == OpenOutcome::kPlaintext && reads_unsealed(slot)) {
    count_in_space(slot.space, SpaceTally::kMigrated);
    plain.append(sealed);
    plain.append(kCrLf);
    return {.outcome = OpenOutcome::kOpened, .size = sealed.size()};
  }
  if (result.opened() && result.header.control) {
    if (rules_of_tokens(slot).fill_guard_s > 0) {
      result.outcome = OpenOutcome::kExpired;  // A tombstone: what was here is over.
      return result;
    }
    result.outcome = OpenOutcome::kMalformed;
  }
  if (result.opened() && !is_current(slot, result.header)) {
    count_in_space(slot.space, SpaceTally::kRevoked);
    sealings_[slot.sealing].oddity = Sealing::Oddity::kRevoked;
    result.outcome = OpenOutcome::kExpired;
    return result;
  }
  if (result.opened() && result.header.zstd) unpack(result, plain);
  if (!result.opened()) {
    count_in_space(slot.space, tally_of(result.outcome));
    if (result.outcome != OpenOutcome::kExpired) tell_unopened(slot, result.outcome);
    return result;
  }
  sealings_[slot.sealing].exp = result.header.exp;
  count_in_space(slot.space, SpaceTally::kOpened);
  count_opened_by(result.header.key_id);
  if (!result.header.zstd) {
    plain.commit(result.size);
    plain.append(kCrLf);
  }
  return result;
}

// The frame that was opened into `plain` becomes what is in it.
void Engine::unpack(OpenResult& result, Buffer& plain) noexcept {
  const std::string_view frame(plain.space().data(), result.size);
  const std::size_t bytes_max = snapshot_->limits.value_bytes_max;
  const auto size = Compressor::unpacked_size(frame, bytes_max);
  Buffer whole;
  if (size) {
    whole = pool_.take(*size + kCrLf.size());
    if (compressor_->unpack(frame, bytes_max, whole.space().data())) {
      whole.commit(*size);
      whole.append(kCrLf);
      result.size = *size;
      plain = std::move(whole);
      return;
    }
  }
  result.outcome = OpenOutcome::kMalformed;
}

// What the client sees of a node's reply. Borrows from `reply`, `plain` and the engine: valid until
// the next call.
Reply Engine::reveal(const Slot& slot, const Reply& reply, Buffer& plain) noexcept {
  if (reply.code == ReplyCode::kTextValue) return reveal_text(slot, reply, plain);
  if (reply.code == ReplyCode::kValue) return reveal_meta(slot, reply, plain);
  if (slot.context.command == Command::kMetaSet) return reveal_size(slot, reply);
  if (reply.code != ReplyCode::kDebug || node_key_of(slot) == slot.context.key) return reply;
  return reveal_debug(slot, reply);
}

// ME <key> <what is known of the item>, with the client's key. What was asked for in base64 may be
// spelled in either way; another key than the asked one is left to be seen as such.
Reply Engine::reveal_debug(const Slot& slot, const Reply& reply) noexcept {
  std::string_view rest = reply.rest;
  if (!spells_key(next_word(rest), node_key_of(slot)) && !slot.context.key_is_base64) return reply;
  revealed_.assign("ME ").append(slot.context.key).append(" ").append(rest).append(kCrLf);
  Reply shown = reply;
  shown.line = revealed_;
  shown.rest = std::string_view(revealed_).substr(3, revealed_.size() - 3 - kCrLf.size());
  return shown;
}

Reply Engine::reveal_text(const Slot& slot, const Reply& reply, Buffer& plain) noexcept {
  const Reply miss{.code = ReplyCode::kEnd, .line = "END\r\n"};
  std::string_view rest = reply.rest;  // <flags> <bytes> [<cas>]
  const std::string_view flags = next_word(rest);
  next_word(rest);
  std::uint32_t client_flags = 0;
  // A node's own stub (mg N) holds nothing that could be sealed; to a text get it is not there.
  const bool is_stub = reply.value.empty() && !reads_unsealed(slot);
  if (is_stub || !parse_number(flags, client_flags)) return miss;
  const OpenResult opened = open_value(slot, client_flags, reply.value, plain);
  if (!opened.opened()) return miss;
  const std::string_view key = slot.context.key;
  constexpr std::size_t kMoreBytesMax = 6 + 1 + 1 + 20 + 2;  // VALUE, blanks, the size, CR LF.
  revealed_.resize(std::max(revealed_.size(), key.size() + reply.rest.size() + kMoreBytesMax));
  char* to = wire::write_bytes(wire::write_bytes(revealed_.data(), "VALUE "), key);
  *to++ = ' ';
  to = wire::write_bytes(to, flags);
  *to++ = ' ';
  to = wire::write_number(to, std::uint64_t{opened.size});
  const bool shows_cas =
      slot.context.command == Command::kGets || slot.context.command == Command::kGats;
  if (const std::string_view cas = next_word(rest); !cas.empty() && shows_cas) {
    *to++ = ' ';
    to = wire::write_bytes(to, cas);
  }
  to = wire::write_bytes(to, kCrLf);
  Reply shown = reply;
  shown.line = {revealed_.data(), static_cast<std::size_t>(to - revealed_.data())};
  shown.value = plain.view().substr(0, opened.size);
  return shown;
}

// ms s: how large the value is, not its envelope.
Reply Engine::reveal_size(const Slot& slot, const Reply& reply) noexcept {
  revealed_.clear();
  std::string_view flags = reply.rest;
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags)) {
    if (!revealed_.empty()) revealed_.append(" ");
    if (flag[0] == 's')
      append_number(revealed_.append("s"), sealings_[slot.sealing].value_bytes);
    else
      revealed_.append(flag);
  }
  Reply shown = reply;
  shown.rest = revealed_;
  return shown;
}

Reply Engine::reveal_meta(const Slot& slot, const Reply& reply, Buffer& plain) noexcept {
  const Reply miss{.code = ReplyCode::kMiss, .line = "EN\r\n"};
  const Sealing& sealing = sealings_[slot.sealing];
  OpenResult opened;
  Reply shown = reply;
  const bool is_stub = reply.value.empty() && has_lease_flag(reply.rest);
  if (!is_stub) {
    std::uint32_t client_flags = 0;
    std::string_view flags = reply.rest;
    for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags))
      if (flag[0] == 'f' && !parse_number(flag.substr(1), client_flags)) return miss;
    opened = open_value(slot, client_flags, reply.value, plain);
    if (!opened.opened()) return miss;
    shown.value = plain.view().substr(0, opened.size);
  }
  revealed_.clear();
  std::string_view flags = reply.rest;
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags)) {
    if (flag[0] == 'f' && !sealing.wants_flags) continue;
    if (flag[0] == 'c' && sealing.hides_cas) continue;
    if (!revealed_.empty()) revealed_.append(" ");
    std::int64_t left_s = 0;
    if (flag[0] == 's' && !is_stub) {
      append_number(revealed_.append("s"), static_cast<std::int64_t>(opened.size));
    } else if (flag[0] == 't' && opened.header.exp > 0 && parse_number(flag.substr(1), left_s)) {
      const std::int64_t ends_s = std::int64_t{opened.header.exp} - now_.unix_time.seconds;
      append_number(revealed_.append("t"), left_s < 0 ? ends_s : std::min(left_s, ends_s));
    } else {
      revealed_.append(flag);
    }
  }
  shown.rest = revealed_;
  if (sealing.wants_value) return shown;
  shown.code = ReplyCode::kHeader;
  shown.line = "HD\r\n";
  shown.value = {};
  return shown;
}

// Neither key nor value goes into a log.
void Engine::tell_unopened(const Slot& slot, OpenOutcome outcome) noexcept {
  if (audit_.is_on()) audit_.tell_unopened(slot, outcome);
  if (outbox_.seal_events.size() == Outbox::kSealEventsMax) return;
  SealEvent& event = outbox_.seal_events.emplace_back();
  event.backend = heard_backend_;
  event.space = slot.space;
  event.outcome = outcome;
  snapshot_->keyring->audit().refer({.space = snapshot_->namespaces.all()[slot.space].prefix,
                                     .key = identity_of(slot, 0).client_key},
                                    event.reference.data());
}

void Engine::count_opened_by(std::uint32_t key_id) noexcept {
  if (snapshot_->tallies == nullptr) return;
  const int place = sealer_->keys().place_of(key_id);
  KeyTallies& keys = snapshot_->tallies->keys;
  if (place >= 0 && keys.has(options_.worker, static_cast<std::size_t>(place)))
    keys.at(options_.worker, static_cast<std::size_t>(place)).add(KeyTally::kOpened);
}

}  // namespace tokenring
