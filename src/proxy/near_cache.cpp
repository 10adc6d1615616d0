#include "proxy/near_cache.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "wire/numbers.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kCrLf = "\r\n";
constexpr std::string_view kValueWord = "VALUE ";
// VALUE, three blanks, flags, size and CR LF.
constexpr std::size_t kLineBytesMax = 6 + 1 + 10 + 1 + 20 + 2;

}  // namespace

// In front of an entry's line and value. Items are not aligned to it: it is copied.
struct NearCache::Head {
  std::int64_t until_ns;
  std::uint64_t generation;
  std::uint32_t epoch;
  std::uint32_t exp;
  std::uint32_t client_flags;
  std::uint16_t space;
  std::uint16_t key_bytes;
  std::uint16_t line_bytes;
  bool has_flags;
};

namespace {

// The item's name: its key's hash.
struct Name {
  std::array<char, sizeof(std::uint64_t)> bytes;
  explicit Name(std::uint64_t hash) noexcept { std::memcpy(bytes.data(), &hash, bytes.size()); }
  [[nodiscard]] store::HashedKey hashed(std::uint64_t hash) const noexcept {
    return {{bytes.data(), bytes.size()}, static_cast<std::uint32_t>(hash >> 32)};
  }
};

}  // namespace

std::optional<NearCache::Hit> NearCache::find(const Key& key, std::uint32_t epoch,
                                              Now now) noexcept {
  const Name name(key.hash);
  const std::uint32_t tick = tick_of(now.instant);
  store::Item* const item = store_.find(name.hashed(key.hash), tick);
  if (item == nullptr) return std::nullopt;
  Head head;
  std::memcpy(&head, item->value().data(), sizeof head);
  const std::string_view text = item->value().substr(sizeof head);
  if (head.space != key.space || text.substr(kValueWord.size(), head.key_bytes) != key.key)
    return std::nullopt;
  const bool is_good = head.epoch == epoch && now.instant.ns < head.until_ns &&
                       (head.exp == 0 || now.unix_time.seconds < std::int64_t{head.exp});
  if (!is_good) {
    static_cast<void>(store_.remove(*item));
    return std::nullopt;
  }
  store::Store::hit(*item, tick);
  const std::size_t value_bytes = text.size() - head.line_bytes - kCrLf.size();
  return Hit{.line = text.substr(0, head.line_bytes),
             .value = text.substr(head.line_bytes, value_bytes),
             .client_flags = head.client_flags,
             .has_flags = head.has_flags,
             .generation = head.generation};
}

void NearCache::keep(const Key& key, const Value& value, Now now) noexcept {
  const std::size_t size_max =
      sizeof(Head) + kLineBytesMax + key.key.size() + value.value.size() + kCrLf.size();
  if (size_max > store_.bytes_max() / kEntryShare || now.instant >= value.until) return;
  Head head{.until_ns = value.until.ns,
            .generation = value.generation,
            .epoch = value.epoch,
            .exp = value.exp,
            .client_flags = value.client_flags,
            .space = key.space,
            .key_bytes = static_cast<std::uint16_t>(key.key.size()),
            .line_bytes = 0,
            .has_flags = value.has_flags};
  std::array<char, kLineBytesMax> words;
  words[0] = ' ';
  char* end = wire::write_number(words.data() + 1, std::uint64_t{value.client_flags});
  *end++ = ' ';
  end = wire::write_number(end, std::uint64_t{value.value.size()});
  end = wire::write_bytes(end, kCrLf);
  const std::string_view behind_key(words.data(), static_cast<std::size_t>(end - words.data()));
  head.line_bytes =
      static_cast<std::uint16_t>(kValueWord.size() + key.key.size() + behind_key.size());

  const Name name(key.hash);
  const store::HashedKey hashed = name.hashed(key.hash);
  const std::uint32_t tick = tick_of(now.instant);
  // What takes the place of another keeps its standing.
  store::Item* const before = store_.find(hashed, tick);
  const store::Place place = before != nullptr ? store_.remove(*before) : store_.place_for(hashed);
  store::Item* const item = store_.allocate(
      hashed, sizeof head + head.line_bytes + value.value.size() + kCrLf.size(), nullptr, tick);
  if (item == nullptr) return;
  item->deadline = tick_of(value.until) + 1;
  char* to = item->value_bytes().data();
  std::memcpy(to, &head, sizeof head);
  to = wire::write_bytes(to + sizeof head, kValueWord);
  to = wire::write_bytes(to, key.key);
  to = wire::write_bytes(to, behind_key);
  to = wire::write_bytes(to, value.value);
  wire::write_bytes(to, kCrLf);
  store_.link(*item, place);
}

}  // namespace tokenring
