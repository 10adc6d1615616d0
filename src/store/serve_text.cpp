// get, gets, gat, gats and touch: the text reads, which proxies send as they are because mg would
// take the recache win of a stale item.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "store/command.hpp"
#include "store/text.hpp"

namespace tokenring::store {

namespace {

// The next blank-separated word, which `text` is advanced behind; empty at the end.
std::string_view next_word(std::string_view& text) noexcept {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  const std::size_t end = std::min(text.find(' ', begin), text.size());
  const std::string_view word = text.substr(begin, end - begin);
  text.remove_prefix(end);
  return word;
}

bool keys_fit(std::string_view keys) noexcept {
  for (std::string_view key = next_word(keys); !key.empty(); key = next_word(keys))
    if (key.size() > kKeyBytesMax) return false;
  return true;
}

void put_value(Call& call, const Item& item, bool with_cas) noexcept {
  constexpr std::size_t kNumbersMax = 3 * 21 + 16;
  const std::string_view key = item.key();
  char* const begin = call.out.prepare(call.pool, key.size() + item.value_size + kNumbersMax);
  char* at = begin;
  const auto put = [&at](std::string_view bytes) {
    std::memcpy(at, bytes.data(), bytes.size());
    at += bytes.size();
  };
  put("VALUE ");
  put(key);
  *at++ = ' ';
  at = std::to_chars(at, at + 20, item.client_flags).ptr;
  *at++ = ' ';
  at = std::to_chars(at, at + 20, item.value_size).ptr;
  if (with_cas) {
    *at++ = ' ';
    at = std::to_chars(at, at + 20, item.cas).ptr;
  }
  put("\r\n");
  put(item.value());
  put("\r\n");
  call.out.commit(static_cast<std::size_t>(at - begin));
}

void touch(Item& item, std::int32_t exptime, std::uint32_t now) noexcept {
  item.deadline = deadline_of(Expiry::from_exptime(exptime), now);
}

}  // namespace

void serve_text_get(NodeState& node, Call& call) noexcept {
  std::string_view rest = call.whole_line;
  const std::string_view name = next_word(rest);
  if (call.tokens.size() < 2) return call.answer("ERROR");
  const bool touches = name.starts_with("gat");
  const std::optional<std::int32_t> exptime = touches ? read_i32(next_word(rest)) : 0;
  if (!exptime) return call.answer("CLIENT_ERROR invalid exptime argument");
  if (!keys_fit(rest)) return call.answer(kBadFormat);
  for (std::string_view key = next_word(rest); !key.empty(); key = next_word(rest)) {
    Item* item = node.store.find(node.store.hashed(key), call.now);
    ++(touches ? node.stats.cmd_touch : node.stats.cmd_get);
    if (item == nullptr) {
      ++node.stats.get_misses;
      continue;
    }
    if (touches) touch(*item, *exptime, call.now);
    Store::hit(*item, call.now);
    ++(touches ? node.stats.touch_hits : node.stats.get_hits);
    put_value(call, *item, name.ends_with('s'));
  }
  call.answer("END");
}

void serve_text_touch(NodeState& node, Call& call) noexcept {
  if (call.tokens.size() != 3 && call.tokens.size() != 4) return call.answer("ERROR");
  if (call.tokens[1].size() > kKeyBytesMax) return call.answer(kBadFormat);
  const std::optional<std::int32_t> exptime = read_i32(call.tokens[2]);
  if (!exptime) return call.answer("CLIENT_ERROR invalid exptime argument");
  ++node.stats.cmd_touch;
  Item* item = node.store.find(node.store.hashed(call.tokens[1]), call.now);
  if (item == nullptr) return call.answer("NOT_FOUND");
  touch(*item, *exptime, call.now);
  Store::hit(*item, call.now);
  ++node.stats.touch_hits;
  call.answer("TOUCHED");
}

}  // namespace tokenring::store
