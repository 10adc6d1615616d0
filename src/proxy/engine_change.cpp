// Changes of sealed values: append, prepend, incr, decr and ma. (set, add, replace and cas take the
// same steps where tokens have rules: engine_store.cpp.)
//
//   begin_change -> mg: read -> step_change: open, change, seal -> ms with the CAS that was read
//        ^                                                          |
//        +---------- somebody else was faster (EX, NF, NS) ---------+--> answer_change
//
// While a client's change is on its way, what it sends after that waits: it must see the change.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "tokenring/parse.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kNumberBytesMax = 20;

// A number as memcached's incr reads one (strtoull): blanks in front, then digits that end with the
// value or at a blank.
bool read_number(std::string_view text, std::uint64_t& number) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec != std::errc()) return false;
  return result.ptr == text.data() + text.size() ||
         std::string_view(" \t\n\v\f\r").find(*result.ptr) != std::string_view::npos;
}

std::uint64_t changed_number(const Change& change, std::uint64_t number) {
  if (!change.decrements) return number + change.delta;
  return number > change.delta ? number - change.delta : 0;
}

// False where there is no CAS.
bool read_seen(std::string_view words, Seen& seen) {
  for (std::string_view word = next_word(words); !word.empty(); word = next_word(words)) {
    const char* const from = word.data() + 1;
    const char* const to = word.data() + word.size();
    if (word[0] == 'f' && std::from_chars(from, to, seen.flags).ec != std::errc()) return false;
    if (word[0] == 't' && std::from_chars(from, to, seen.left_s).ec != std::errc()) return false;
    if (word[0] == 'c' && std::from_chars(from, to, seen.cas).ec != std::errc()) return false;
    seen.has_size |= word[0] == 's';
  }
  return seen.cas != 0;
}

std::int64_t seconds_of(Expiry life, UnixTime now) {
  return life.is_never() ? -1 : life.remaining_s(now);
}

// What a flag of ma makes of a life. N and T take effect in the client's order: the last one
// counts.
std::int64_t life_after(std::string_view flag, const Change& change, std::int64_t life_s,
                        UnixTime now) {
  if (flag[0] == 'N' && change.creates) return seconds_of(*change.vivify, now);
  if (flag[0] == 'T' && change.ttl) return seconds_of(*change.ttl, now);
  return life_s;
}

}  // namespace

void Engine::begin_change(Link& link, Client& client, const Request& request, const Plan& plan,
                          std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  if (!rules_of(slot)->arithmetic || rules_of_tokens(slot).one_time)
    return fail(index, WireError::kSealedArithmetic);
  Change& change = sealings_[slot.sealing].change;
  change.kind = request.verb() == Verb::kArithmetic ? Change::Kind::kNumber : Change::Kind::kJoin;
  change.mode = request.store_mode;
  sealings_[slot.sealing].link = id_of(link);
  change.decrements = request.decrements;
  if (request.has_cas) change.cas = request.cas;
  change.delta = request.delta;
  change.initial = request.initial;
  change.vivify = plan.vivify;
  if (request.verb() == Verb::kArithmetic) change.ttl = plan.ttl;
  change.wants_number = request.dialect() == Dialect::kText;
  std::string_view flags = request.flags;
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags)) {
    change.wants_number |= flag[0] == 'v';
    change.wants_size |= flag[0] == 's';
  }
  if (!request.value.empty()) {
    change.operand = pool_.take(request.value.size());
    change.operand.append(request.value);
  }
  ++client.changes;
  read_for_change(link, index);
}

Plan Engine::plan_again(const Slot& slot) noexcept {
  Plan plan{.node_key = node_key_of(slot)};
  plan.key_is_base64 = slot.context.key_is_base64 &&
                       (plan.node_key == slot.context.key || sealings_[slot.sealing].keeps_base64);
  return plan;
}

void Engine::read_for_change(Link& link, std::uint32_t index) noexcept {
  Sealing& sealing = sealings_[slots_[index].sealing];
  sealing.change.state = sealing.change.looks ? Change::State::kReading : Change::State::kAsking;
  if (sealing.marker != kNoSlot) {
    if (!ask_marker(index, Command::kMetaGet, true)) return;
    if (!sealing.change.looks) return wait_for(index, markers_[sealing.marker].slot);
  }
  Request look;
  look.command = Command::kMetaGet;
  Plan plan = plan_again(slots_[index]);
  plan.more_flags = " v f t c";
  send(link, look, plan, index);
}

// The slot is out of the link's FIFO, and followed nobody. False when the reply is no answer to
// what was asked.
bool Engine::step_change(std::uint32_t index, const Reply& reply) noexcept {
  Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  Change& change = sealing.change;
  if (change.state != Change::State::kAsking && reply.is_error())
    return fill(index, reply, nullptr);
  const bool is_done = change.state == Change::State::kWriting && reply.code == ReplyCode::kHeader;
  // A reload may have ended the namespace meanwhile, or its sealing.
  if (const SealRules* rules = rules_of(slot); !is_done && (rules == nullptr || !rules->seals())) {
    fail(index, WireError::kCannotSeal);
    return true;
  }
  if (is_done) {
    answer_change(index, reply);
    return true;
  }
  Link* const link = find_link(sealing.link);
  if (link == nullptr || !link->takes_requests()) {
    fail(index, WireError::kNodeLost);
    return true;
  }
  switch (change.state) {
    case Change::State::kAsking:
      write_change(*link, index, {}, change.client_flags, change.operand.view());
      return true;
    case Change::State::kReading:
      if (awaits_marker(sealing)) {
        hold(index, reply);
        wait_for(index, markers_[sealing.marker].slot);
        return true;
      }
      if (reply.code == ReplyCode::kMiss) {
        change_nothing(*link, index, {});
        return true;
      }
      return reply.code == ReplyCode::kValue && change_value(*link, index, reply);
    case Change::State::kMarking:
      if (reply.code != ReplyCode::kHeader) break;
      markers_[sealing.marker].state = Marker::State::kFound;
      markers_[sealing.marker].by_revocation = false;
      if (change.looks)
        read_for_change(*link, index);
      else
        write_change(*link, index, {}, change.client_flags, change.operand.view());
      return true;
    case Change::State::kWriting:
    case Change::State::kNone:
      break;
  }
  const bool lost_race = reply.code == ReplyCode::kExists || reply.code == ReplyCode::kNotFound ||
                         reply.code == ReplyCode::kNotStored;
  if (!lost_race) return false;
  if (++change.attempts > Change::kAttemptsMax)
    fail(index, WireError::kTooManyChanges);
  else
    read_for_change(*link, index);
  return true;
}

// There is no value to change, as far as a client can see: make it, or say so. `there` is the CAS
// of what does not open.
void Engine::change_nothing(Link& link, std::uint32_t index, Cas there) noexcept {
  const Slot& slot = slots_[index];
  Change& change = sealings_[slot.sealing].change;
  if (change.kind == Change::Kind::kStore) {
    store_over(link, index, there, false, false);
  } else if (change.kind == Change::Kind::kJoin) {
    static_cast<void>(end_change(index, {.code = ReplyCode::kNotStored, .line = "NS\r\n"}, {}));
  } else if (!change.vivify) {
    static_cast<void>(end_change(index, {.code = ReplyCode::kNotFound, .line = "NF\r\n"}, {}));
  } else {
    change.creates = true;
    change.number = change.initial;
    change.found_life_s = change.life_s = -1;
    std::string_view flags = slot.context.flags;
    for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags))
      change.life_s = life_after(flag, change, change.life_s, now_.unix_time);
    sealings_[slot.sealing].options = options_of_new(slot);
    write_number(link, index, there, 0);
  }
}

bool Engine::change_value(Link& link, std::uint32_t index, const Reply& reply) noexcept {
  Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  Change& change = sealing.change;
  Seen seen;
  if (!read_seen(reply.rest, seen)) return false;
  Buffer plain;
  OpenResult opened{.outcome = OpenOutcome::kOpened};
  if (!reply.value.empty()) opened = open_value(slot, seen.flags, reply.value, plain);
  if (change.kind == Change::Kind::kStore) {
    // What is empty is a node's own stub: a lease for who fetches the value.
    const bool is_visible = opened.opened() && !reply.value.empty();
    store_over(link, index, Cas{seen.cas}, is_visible, is_tombstone(opened));
    return true;
  }
  if (!opened.opened()) {
    change_nothing(link, index, Cas{seen.cas});
    return true;
  }
  const std::string_view value = plain.view().substr(0, opened.size);
  // As memcached has it: C0 is no condition, and an empty value is no number whatever its CAS.
  const bool is_other = change.cas.value != 0 && change.cas.value != seen.cas;
  if (is_other && (change.kind == Change::Kind::kJoin || !value.empty())) {
    return end_change(index, {.code = ReplyCode::kExists, .line = "EX\r\n"}, {});
  }
  sealing.options = options_of_new(slot);
  if (opened.header.exp > 0) sealing.options.exp = {opened.header.exp};
  if (opened.header.iat > 0) sealing.options.iat = {opened.header.iat};
  change.creates = false;
  change.life_s = seen.left_s < 0 ? -1 : life_to_keep(slot, seen.left_s);
  if (change.kind == Change::Kind::kJoin) {
    write_joined(link, index, Cas{seen.cas}, seen.flags, value);
  } else if (std::uint64_t number = 0; !read_number(value, number)) {
    fail(index, WireError::kNonNumeric);
  } else {
    change.found_life_s = change.life_s;
    if (change.ttl) change.life_s = seconds_of(*change.ttl, now_.unix_time);
    change.number = changed_number(change, number);
    write_number(link, index, Cas{seen.cas}, seen.flags);
  }
  return true;
}

// What is left of a life, to be written back. The node counts in whole seconds, and the life grows
// by one when its clock ticks between the read and the write; under steady changes it would never
// end. So one is taken off as often as that happens: the way to the node takes this share of a
// second.
std::int64_t Engine::life_to_keep(const Slot& slot, std::int64_t left_s) noexcept {
  constexpr std::int64_t kSecondNs = 1'000'000'000;
  const std::int64_t way_ns = std::max<std::int64_t>(0, now_.instant.ns - slot.sent.ns);
  const auto part_ns = static_cast<std::int64_t>(random() % kSecondNs);
  return std::max<std::int64_t>(1, left_s - (way_ns + part_ns) / kSecondNs);
}

SealOptions Engine::options_of_new(const Slot& slot) const noexcept {
  SealOptions options;
  const std::int64_t max_age_s = snapshot_->namespaces.all()[slot.space].life.max_age_s;
  if (max_age_s > 0) options.exp = {now_.unix_time.seconds + max_age_s};
  return options;
}

void Engine::write_number(Link& link, std::uint32_t index, Cas there,
                          std::uint32_t client_flags) noexcept {
  std::array<char, kNumberBytesMax> digits;
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(),
                                    sealings_[slots_[index].sealing].change.number);
  write_change(link, index, there, client_flags,
               {digits.data(), static_cast<std::size_t>(result.ptr - digits.data())});
}

void Engine::write_joined(Link& link, std::uint32_t index, Cas there, std::uint32_t client_flags,
                          std::string_view value) noexcept {
  const Change& change = sealings_[slots_[index].sealing].change;
  const std::string_view operand = change.operand.view();
  Buffer whole = pool_.take(value.size() + operand.size());
  whole.append(change.mode == StoreMode::kAppend ? value : operand);
  whole.append(change.mode == StoreMode::kAppend ? operand : value);
  Request grown;
  grown.item_key = identity_of(slots_[index], client_flags).client_key;
  grown.client_flags = client_flags;
  grown.value_bytes = static_cast<std::uint32_t>(whole.size());
  if (item_bytes(grown) > snapshot_->limits.value_bytes_max) {
    static_cast<void>(end_change(index, {.code = ReplyCode::kNotStored, .line = "NS\r\n"}, {}));
  } else {
    write_change(link, index, there, client_flags, whole.view());
  }
}

// What is there is replaced if it is still what was read; where nothing was, nothing may be yet.
void Engine::write_change(Link& link, std::uint32_t index, Cas there, std::uint32_t client_flags,
                          std::string_view value) noexcept {
  Slot& slot = slots_[index];
  if (!link.takes_requests()) return fail(index, WireError::kNodeLost);
  Change& change = sealings_[slot.sealing].change;
  if (!take_generation(index)) return;
  change.state = Change::State::kWriting;
  Request write;
  write.command = there.value != 0 ? Command::kCas : Command::kAdd;
  write.store_mode = there.value != 0 || !change.looks ? StoreMode::kSet : StoreMode::kAdd;
  write.has_cas = there.value != 0;
  write.cas = there;
  write.client_flags = client_flags;
  write.value = value;
  Plan plan = plan_again(slot);
  plan.value_bytes = value.size();
  plan.more_flags = change.wants_size ? " c s" : " c";
  if (change.kind == Change::Kind::kStore)
    finish_store_plan(slot, plan);
  else if (change.life_s >= 0)
    plan.ttl = Expiry::in_seconds(change.life_s, now_.unix_time);
  send(link, write, plan, index);
}

// It is done.
void Engine::answer_change(std::uint32_t index, const Reply& reply) noexcept {
  Slot& slot = slots_[index];
  const Change& change = sealings_[slot.sealing].change;
  if (change.creates) slot.context.quiet = false;  // memcached shows what a quiet ma made.
  Seen seen;
  static_cast<void>(read_seen(reply.rest, seen));
  Reply shown{.code = ReplyCode::kHeader, .line = "HD\r\n"};
  std::array<char, kNumberBytesMax + 2> number;
  if (change.kind == Change::Kind::kNumber && change.wants_number) {
    char* const end = std::to_chars(number.begin(), number.end(), change.number).ptr;
    end[0] = '\r';
    end[1] = '\n';
    shown.code = ReplyCode::kValue;
    shown.value = {number.data(), static_cast<std::size_t>(end - number.data())};
  }
  static_cast<void>(end_change(index, shown, seen));
}

// Fills the slot with what memcached would say, and the flags that the client asked for in its
// order: those of ms whatever came of it, those of ma where it was done.
bool Engine::end_change(std::uint32_t index, Reply shown, const Seen& seen) noexcept {
  const Slot& slot = slots_[index];
  const Sealing& sealing = sealings_[slot.sealing];
  const Change& change = sealing.change;
  const bool is_done = shown.code == ReplyCode::kHeader || shown.code == ReplyCode::kValue;
  const bool is_number = change.kind == Change::Kind::kNumber;
  std::int64_t life_s = change.found_life_s;
  revealed_.clear();
  std::string_view asked = is_done || !is_number ? slot.context.flags : std::string_view();
  for (std::string_view flag = next_word(asked); !flag.empty(); flag = next_word(asked)) {
    std::array<char, kNumberBytesMax + 1> digits;
    char* end = digits.begin();
    life_s = life_after(flag, change, life_s, now_.unix_time);
    if (flag[0] == 'c')
      end = std::to_chars(digits.begin(), digits.end(), seen.cas).ptr;
    else if (flag[0] == 't' && is_number)
      end = std::to_chars(digits.begin(), digits.end(), life_s).ptr;
    else if (flag[0] == 's' && seen.has_size)
      end = std::to_chars(digits.begin(), digits.end(), sealing.value_bytes).ptr;
    if (end == digits.begin()) continue;
    if (!revealed_.empty()) revealed_.append(" ");
    revealed_.append(flag.substr(0, 1)).append(digits.data(), end);
  }
  shown.rest = revealed_;
  return fill(index, shown, nullptr);
}

}  // namespace tokenring
