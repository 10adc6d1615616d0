#include "policy/namespaces.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/assert.hpp"

namespace tokenring {

namespace {

static_assert(std::endian::native == std::endian::little);

template <typename T>
std::uint64_t load(const char* from) noexcept {
  T bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  return bytes;
}

// The first 8 bytes as a number that compares as they do; a shorter text ends in zeros.
std::uint64_t head_of(std::string_view text) noexcept {
  const char* data = text.data();
  const std::size_t size = text.size();
  if (size >= 8) return __builtin_bswap64(load<std::uint64_t>(data));
  std::uint64_t low = 0;
  if (size >= 4) {
    const std::size_t rest = (size - 4) * 8;
    low = load<std::uint32_t>(data) | load<std::uint32_t>(data + size - 4) << rest;
  } else if (size > 0) {
    low = load<std::uint8_t>(data) | load<std::uint8_t>(data + size / 2) << (size / 2 * 8) |
          load<std::uint8_t>(data + size - 1) << ((size - 1) * 8);
  }
  return __builtin_bswap64(low);
}

// memcmp() as a call costs more than a short comparison does.
bool same_bytes(const char* a, const char* b, std::size_t size) noexcept {
  if (size < 8) return head_of({a, size}) == head_of({b, size});
  for (std::size_t i = 0; i + 8 < size; i += 8)
    if (load<std::uint64_t>(a + i) != load<std::uint64_t>(b + i)) return false;
  return load<std::uint64_t>(a + size - 8) == load<std::uint64_t>(b + size - 8);
}

// A number in [0, 1) from 64 random bits: the 53 that a double holds.
double unit_interval(std::uint64_t random) noexcept {
  return static_cast<double>(random >> 11) * 0x1p-53;
}

}  // namespace

Expiry granted_life(const LifeRules& rules, Expiry asked, UnixTime now, std::uint64_t random,
                    LifeRule* by) noexcept {
  if (asked.is_immediate()) return asked;
  Expiry granted = asked;
  const auto bound = [&](std::int64_t life_s, LifeRule rule) {
    const Expiry before = std::exchange(granted, granted.bounded_by(life_s, now));
    if (by != nullptr && !(granted == before)) *by = rule;
  };
  if (granted.is_never() && rules.ttl_default_s > 0) bound(rules.ttl_default_s, LifeRule::kDefault);
  if (rules.ttl_cap_s > 0) bound(rules.ttl_cap_s, LifeRule::kCap);
  if (rules.max_age_s > 0) bound(rules.max_age_s, LifeRule::kMaxAge);
  if (!(rules.ttl_jitter > 0) || granted.is_never()) return granted;

  const std::int64_t life_s = granted.remaining_s(now);
  const double share = std::min(rules.ttl_jitter, 1.0) * unit_interval(random);
  const auto cut_s = static_cast<std::int64_t>(static_cast<double>(life_s) * share);
  if (cut_s <= 0) return granted;
  if (by != nullptr && *by == LifeRule::kNone) *by = LifeRule::kJitter;
  return granted.bounded_by(std::max<std::int64_t>(1, life_s - cut_s), now);
}

NamespaceTable::NamespaceTable(std::vector<Namespace> namespaces)
    : namespaces_(std::move(namespaces)) {
  TR_ASSERT(namespaces_.size() <= kNamespacesMax);
  std::sort(namespaces_.begin(), namespaces_.end(), [](const Namespace& a, const Namespace& b) {
    if (a.prefix.size() != b.prefix.size()) return a.prefix.size() > b.prefix.size();
    return a.prefix < b.prefix;
  });
  for (std::uint16_t i = 0; i < namespaces_.size(); ++i) {
    const std::string& prefix = namespaces_[i].prefix;
    namespaces_[i].number = i;
    namespaces_[i].has_token_rules = namespaces_[i].tokens.any();
    TR_ASSERT(prefix.size() < kNone && (i == 0 || namespaces_[i - 1U].prefix != prefix));
    if (prefix.empty())
      default_ = i;
    else
      entries_.push_back({.size = static_cast<std::uint16_t>(prefix.size()), .index = i});
  }
  std::sort(entries_.begin(), entries_.end(),
            [&](const Entry& a, const Entry& b) { return prefix_of(a) < prefix_of(b); });
  for (std::size_t begin = 0; begin < entries_.size();) {
    std::size_t end = begin + 1;
    while (end < entries_.size() && prefix_of(entries_[end])[0] == prefix_of(entries_[begin])[0])
      ++end;
    add_group(begin, end);
    begin = end;
  }
}

void NamespaceTable::add_group(std::size_t begin, std::size_t end) {
  // In byte order the first and the last have in common what all have.
  const std::string& first = prefix_of(entries_[begin]);
  const std::string& last = prefix_of(entries_[end - 1]);
  const auto different = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  const auto shared = static_cast<std::size_t>(different - first.begin());

  for (std::size_t i = begin; i < end; ++i) {
    const std::string_view prefix = prefix_of(entries_[i]);
    const std::string_view rest = prefix.substr(shared);
    entries_[i].head = head_of(rest);
    entries_[i].has_twin = i > begin && entries_[i].head == entries_[i - 1].head;
    entries_[i].head_mask = head_of(std::string(std::min<std::size_t>(rest.size(), 8), '\xFF'));
    // A prefix's prefixes come before it, and from one to the next there is a link.
    std::uint16_t parent = i == begin ? kNone : static_cast<std::uint16_t>(i - 1);
    while (parent != kNone && !prefix.starts_with(prefix_of(entries_[parent])))
      parent = entries_[parent].parent;
    entries_[i].parent = parent;
  }
  groups_[static_cast<unsigned char>(first[0])] = {.begin = static_cast<std::uint16_t>(begin),
                                                   .count = static_cast<std::uint16_t>(end - begin),
                                                   .shared = static_cast<std::uint16_t>(shared),
                                                   .any = entries_[begin].index};
}

std::size_t NamespaceTable::last_not_above(std::string_view key, Group group) const noexcept {
  const auto begin = entries_.begin() + group.begin;
  const auto above = std::upper_bound(
      begin, begin + group.count, key,
      [&](std::string_view text, const Entry& entry) { return text < prefix_of(entry); });
  return above == begin ? kNone : static_cast<std::size_t>(above - entries_.begin()) - 1;
}

const Namespace* NamespaceTable::find_by_prefix(std::string_view key) const noexcept {
  if (key.empty()) return fallback();
  const Group group = groups_[static_cast<unsigned char>(key[0])];
  if (group.count == 0 || key.size() < group.shared ||
      !same_bytes(key.data(), namespaces_[group.any].prefix.data(), group.shared))
    return fallback();

  // The last entry whose head is not above the key's, without a branch to mispredict.
  const std::uint64_t head = head_of(key.substr(group.shared));
  std::size_t last = group.begin;
  for (std::size_t count = group.count; count > 1;) {
    const std::size_t half = count / 2;
    last += entries_[last + half].head <= head ? half : 0;
    count -= half;
  }
  if (entries_[last].head > head) return fallback();
  // Were it above the key by what follows the head, all that begins the key would begin it as well.
  if (entries_[last].has_twin && entries_[last].head == head) last = last_not_above(key, group);

  for (std::size_t i = last; i != kNone; i = entries_[i].parent) {
    const Entry& entry = entries_[i];
    if (entry.size > key.size() || ((head ^ entry.head) & entry.head_mask) != 0) continue;
    const std::size_t compared = group.shared + 8U;
    if (entry.size <= compared ||
        same_bytes(key.data() + compared, prefix_of(entry).data() + compared,
                   entry.size - compared))
      return &namespaces_[entry.index];
  }
  return fallback();
}

}  // namespace tokenring
