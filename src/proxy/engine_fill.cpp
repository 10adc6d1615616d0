// What no node has is asked of an authorization server, stored, and given to those that wait.
//
//   deliver:  Engine::fill_ready -> ask: join a fill, or begin one -> Outbox::questions
//   answer:   end -> store, and the answer, or a miss, to all that wait
//
// Those that wait follow a slot of the fill's own, as gets that share a request follow their
// leader. The answer is stored as a client's set would be, in the name of a client of our own,
// which holds a ticket for the generation that was found when the key was missed: what was revoked
// meanwhile does not come back.
#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "wire/numbers.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kCrLf = "\r\n";
// What an item has beside its value: header, key, envelope.
constexpr std::size_t kBesideMax = 512;

bool is_miss(const Reply& reply) {
  return reply.code == ReplyCode::kEnd || reply.code == ReplyCode::kMiss;
}

// What a node shows of an item that somebody is to fetch (see engine_herd.cpp).
bool is_lease(const Reply& reply) {
  return reply.code == ReplyCode::kValue && reply.value.empty() && has_lease_flag(reply.rest);
}

// Whether an answer can take the place of what the node would have said: a value is wanted, and
// nothing is to be made or claimed.
bool may_be_answered(const Slot& slot, const Sealing& sealing) {
  if (is_text_get(slot.context.command)) return true;
  if (slot.context.command != Command::kMetaGet || !sealing.wants_value) return false;
  std::string_view flags = slot.context.flags;
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags))
    if (flag[0] == 'N' || flag[0] == 'R') return false;
  return true;
}

// The token that a key is of: what follows the prefix, and its hash tag where it begins with one,
// and a colon behind that.
std::string_view token_in(std::string_view key, const Namespace& space, const Pool& pool) {
  const std::string_view tag = pool.group_ends();
  key.remove_prefix(std::min(key.size(), space.prefix.size() - space.mark_bytes));
  if (!key.starts_with(tag[0])) return key;
  const std::size_t end = key.find(tag[1]);
  if (end == std::string_view::npos) return key;
  key.remove_prefix(end + 1);
  if (key.starts_with(':')) key.remove_prefix(1);
  return key;
}

// What a node that has the answer as its item would say. `words` holds it.
Reply show_answer(const Slot& slot, std::string_view answer, std::int64_t life_s,
                  std::string& words) {
  Reply shown{.code = ReplyCode::kValue, .value = answer};
  std::array<char, 24> digits;
  const auto number = [&](auto n) {
    return std::string_view(
        digits.data(),
        static_cast<std::size_t>(wire::write_number(digits.data(), n) - digits.data()));
  };
  words.clear();
  if (is_text_get(slot.context.command)) {
    shown.code = ReplyCode::kTextValue;
    words.append("VALUE ").append(slot.context.key).append(" 0 ");
    words.append(number(std::uint64_t{answer.size()}));
    if (slot.context.command == Command::kGets || slot.context.command == Command::kGats)
      words.append(" ").append(number(Fill::kCas));
    words.append(kCrLf);
    shown.line = words;
    return shown;
  }
  std::string_view flags = slot.context.flags;
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags)) {
    constexpr std::string_view kKnown = "fscthl";
    if (kKnown.find(flag[0]) == std::string_view::npos) continue;
    if (!words.empty()) words.append(" ");
    words.append(flag.substr(0, 1));
    if (flag[0] == 's')
      words.append(number(std::uint64_t{answer.size()}));
    else if (flag[0] == 'c')
      words.append(number(Fill::kCas));
    else if (flag[0] == 't')
      words.append(number(static_cast<std::uint64_t>(life_s)));
    else
      words.append("0");
  }
  shown.line = shown.rest = words;
  return shown;
}

}  // namespace

bool EngineFill::ask(std::uint32_t index, const Reply& shown) noexcept {
  Slot& slot = engine_.slots_[index];
  const Sealing& sealing = engine_.sealings_[slot.sealing];
  if ((!is_miss(shown) && !is_lease(shown)) || !may_be_answered(slot, sealing)) return false;
  const Fill* under_way = join(index);
  const std::uint32_t fill =
      under_way != nullptr ? under_way->slot.index : begin(index, epoch_of(slot));
  if (fill == kNoSlot) return false;
  engine_.count_reply(slot, miss_of(slot.context.command));
  if (engine_.audit_.is_on()) engine_.audit_.tell_asked(slot);
  engine_.wait_for(index, fill);
  return true;
}

// See Fill::epoch.
std::uint64_t EngineFill::epoch_of(const Slot& slot) const noexcept {
  const std::uint32_t marker = engine_.sealings_[slot.sealing].marker;
  const bool is_found =
      marker != kNoSlot && engine_.markers_[marker].state == Marker::State::kFound;
  return is_found ? engine_.markers_[marker].generation : 0;
}

// The fill that would answer the slot too; null: there is none.
const Fill* EngineFill::join(std::uint32_t index) noexcept {
  if (fills_.empty()) return nullptr;
  const Slot& slot = engine_.slots_[index];
  const std::uint64_t epoch = epoch_of(slot);
  const std::string_view key = engine_.identity_of(slot, 0).client_key;
  const auto found = std::find_if(fills_.begin(), fills_.end(), [&](const Fill& fill) {
    return fill.is_joined && fill.epoch == epoch &&
           engine_.slots_[fill.slot.index].space == slot.space && fill.key == key;
  });
  return found == fills_.end() ? nullptr : &*found;
}

// The slot that those wait with who miss the key of slot `index`; kNoSlot where nobody is asked.
std::uint32_t EngineFill::begin(std::uint32_t index, std::uint64_t epoch) noexcept {
  const Slot& slot = engine_.slots_[index];
  const Namespace& space = engine_.snapshot_->namespaces.all()[slot.space];
  const std::string_view key = engine_.identity_of(slot, 0).client_key;
  const std::string_view token = token_in(key, space, engine_.snapshot_->pools[space.pool]);
  if (token.empty() || fills_.size() == Fill::kMax) return kNoSlot;
  const Client* client = engine_.clients_.find(slot.client);
  const Identity* asker =
      client != nullptr && client->session != nullptr ? client->session->who : nullptr;
  if (asker != nullptr && !asker->may_bring_negatives(engine_.shared_now())) {
    refuse_negative(slot);
    return kNoSlot;
  }
  const std::uint32_t aside = engine_.add_aside(Sealing::Aside::kFill, index, Command::kSet);
  engine_.keep(engine_.slots_[aside], slot.context.key, {});
  engine_.slots_[aside].context.key_is_base64 = slot.context.key_is_base64;
  const Sealing& from = engine_.sealings_[slot.sealing];
  engine_.sealings_[engine_.slots_[aside].sealing].be_of_key(from);
  if (from.marker != kNoSlot) ++engine_.markers_[from.marker].users;
  fills_.push_back(
      {.slot = engine_.slots_.id_of(aside),
       .key = std::string(key),
       .epoch = epoch,
       .deadline = engine_.now_.instant.plus_ms(
           engine_.snapshot_->introspections[space.tokens.asks]->timeout_ms + Fill::kGraceMs),
       .asker = {engine_.snapshot_, asker},
       .marker_link = engine_.id_of(engine_.links_[from.marker_link])});
  engine_.outbox_.questions.push_back(
      {.id = fills_.back().slot, .space = slot.space, .epoch = epoch, .token = std::string(token)});
  return aside;
}

void EngineFill::answer(SlabId id, const std::string* answer, bool may_store, Now now) noexcept {
  engine_.now_ = now;
  engine_.who_ = nullptr;  // Nobody's rights or quotas bear on what is stored.
  engine_.heard_backend_ = SealEvent::kNoBackend;
  const auto found =
      std::find_if(fills_.begin(), fills_.end(), [&](const Fill& fill) { return fill.slot == id; });
  if (found == fills_.end()) return;  // It was given up.
  Fill fill = std::move(*found);
  fills_.erase(found);
  fill.is_stored &= may_store;
  end(fill, answer);
}

// Whoever was asked is past its own limit of time.
void EngineFill::expire() noexcept {
  for (std::size_t i = 0; i < fills_.size();) {
    if (engine_.now_.instant < fills_[i].deadline) {
      ++i;
      continue;
    }
    Fill fill = std::move(fills_[i]);
    fills_.erase(fills_.begin() + static_cast<std::ptrdiff_t>(i));
    end(fill, nullptr);
  }
}

// Gives all that wait the answer, or a miss where there is none.
void EngineFill::end(Fill& fill, const std::string* answer) noexcept {
  const std::uint32_t aside = fill.slot.index;
  // A reload may have ended the namespace meanwhile, or the asking.
  const bool is_known =
      answer != nullptr && engine_.rules_of_tokens(engine_.slots_[aside]).asks_elsewhere();
  const bool has_quota = fill.asker != nullptr && fill.asker->quota.negative_per_second > 0;
  const bool is_inactive = is_known && (has_quota || engine_.audit_.is_on()) &&
                           engine_.claims_.read(*answer, engine_.now_.unix_time).inactive;
  const Sealing::Oddity oddity = !is_known     ? Sealing::Oddity::kUnanswered
                                 : is_inactive ? Sealing::Oddity::kInactive
                                               : Sealing::Oddity::kIntrospected;
  Buffer value;
  if (is_known) {
    value = engine_.pool_.take(answer->size() + kCrLf.size());
    value.append(*answer);
    value.append(kCrLf);
    if (fill.is_stored) fill.life_s = store(fill, *answer);
    if (has_quota && is_inactive) fill.asker->charge_negative(engine_.shared_now());
  }
  for (std::uint32_t waiting; (waiting = engine_.take_follower(aside)) != kNoSlot;) {
    Slot& slot = engine_.slots_[waiting];
    if (!slot.in_client || slot.filled) {
      engine_.release_if_unlisted(waiting);
      continue;
    }
    engine_.count_in_space(slot.space,
                           is_known ? SpaceTally::kIntrospected : SpaceTally::kUnanswered);
    const Reply shown = is_known ? show_answer(slot, value.view().substr(0, answer->size()),
                                               fill.life_s, engine_.revealed_)
                                 : miss_of(slot.context.command);
    engine_.sealings_[slot.sealing].oddity = oddity;
    const bool filled = engine_.fill(waiting, shown, nullptr);
    TR_ASSERT(filled);
  }
  engine_.release(aside);
}

// Sets the item to the answer, sealed. Nobody waits for what comes of it. Returns how long it is to
// live, in seconds; 0 where it is not stored.
std::int64_t EngineFill::store(const Fill& fill, std::string_view answer) noexcept {
  const Slot& asked = engine_.slots_[fill.slot.index];
  const Sealing& from = engine_.sealings_[asked.sealing];
  const Namespace& space = engine_.snapshot_->namespaces.all()[asked.space];
  Link* link = engine_.find_link(from.link);
  if (link == nullptr || !link->takes_requests() || engine_.is_overloaded(*link)) return 0;
  Request request;
  request.command = Command::kSet;
  request.key = asked.context.key;
  request.key_is_base64 = asked.context.key_is_base64;
  request.item_key = fill.key;
  request.value = answer;
  request.value_bytes = static_cast<std::uint32_t>(answer.size());
  if (answer.size() + kBesideMax > engine_.snapshot_->limits.value_bytes_max) return 0;
  if (engine_.clients_.find(client_) == nullptr) {
    client_ = engine_.clients_.insert();
    ++clients_;
    engine_.clients_.find(client_)->last_heard.ns = INT64_MAX / 2;  // It never idles.
  }
  Client& client = *engine_.clients_.find(client_);
  const std::uint32_t index = engine_.reserve(client, client_, request, request.key);
  Slot& slot = engine_.slots_[index];
  slot.space = asked.space;
  slot.swallows_reply = true;
  if (space.near.is_on()) engine_.near_.begin_write(slot, space, fill.key);
  slot.sealing = engine_.sealings_.insert().index;
  engine_.sealings_[slot.sealing].be_of_key(from);
  if (from.marker != kNoSlot) ++engine_.markers_[from.marker].users;
  engine_.keep_ticket(slot, from.marker == kNoSlot ? nullptr : &engine_.markers_[from.marker],
                      fill.marker_link);
  Plan plan = engine_.plan_again(slot);
  plan.value_bytes = answer.size();
  static_cast<void>(
      engine_.plan_life(request, {&space, &engine_.snapshot_->pools[space.pool]}, false, plan));
  engine_.store(*link, request, plan, index);
  return plan.ttl ? std::max<std::int64_t>(0, plan.ttl->remaining_s(engine_.now_.unix_time)) : 0;
}

void EngineFill::refuse_negative(const Slot& slot) noexcept {
  engine_.count_in_space(slot.space, SpaceTally::kOverQuota);
  engine_.tell_access(AccessEvent::Kind::kRateLimited, slot.client, slot.context.command,
                      &engine_.snapshot_->namespaces.all()[slot.space],
                      engine_.identity_of(slot, 0).client_key);
}

void EngineFill::retract(const Slot& slot, std::string_view key, bool is_delete) noexcept {
  for (Fill& fill : fills_) {
    if (engine_.slots_[fill.slot.index].space != slot.space || fill.key != key) continue;
    fill.is_joined = false;
    fill.is_stored = false;
  }
  if (!is_delete) return;
  const Namespace& space = engine_.snapshot_->namespaces.all()[slot.space];
  const std::string_view token = token_in(key, space, engine_.snapshot_->pools[space.pool]);
  if (token.empty()) return;
  engine_.outbox_.questions.push_back(
      {.space = slot.space, .forgets = true, .token = std::string(token)});
}

}  // namespace tokenring
