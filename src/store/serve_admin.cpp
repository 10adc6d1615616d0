// mn, version, verbosity, flush_all and stats.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "store/command.hpp"
#include "store/text.hpp"

namespace tokenring::store {

namespace {

// Proxies read the three numbers and then use what that version of memcached can do.
constexpr std::string_view kVersion = "1.6.40-tokenring";

bool is_noreply(const Tokens& tokens) noexcept {
  return tokens.last() == "noreply";
}

void put_stat(Call& call, std::string_view name, std::string_view value) noexcept {
  call.out.append(call.pool, "STAT ");
  call.out.append(call.pool, name);
  call.out.append(call.pool, " ");
  call.answer(value);
}

void put_stat(Call& call, std::string_view name, std::uint64_t value) noexcept {
  std::array<char, 20> digits;
  const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  put_stat(call, name,
           std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
}

struct NodeCounter {
  std::string_view name;
  std::uint64_t NodeStats::*value;
};

constexpr std::array kNodeCounters = {
    NodeCounter{"cmd_get", &NodeStats::cmd_get},
    NodeCounter{"cmd_set", &NodeStats::cmd_set},
    NodeCounter{"cmd_flush", &NodeStats::cmd_flush},
    NodeCounter{"cmd_touch", &NodeStats::cmd_touch},
    NodeCounter{"cmd_meta", &NodeStats::cmd_meta},
    NodeCounter{"get_hits", &NodeStats::get_hits},
    NodeCounter{"get_misses", &NodeStats::get_misses},
    NodeCounter{"delete_misses", &NodeStats::delete_misses},
    NodeCounter{"delete_hits", &NodeStats::delete_hits},
    NodeCounter{"incr_misses", &NodeStats::incr_misses},
    NodeCounter{"incr_hits", &NodeStats::incr_hits},
    NodeCounter{"decr_misses", &NodeStats::decr_misses},
    NodeCounter{"decr_hits", &NodeStats::decr_hits},
    NodeCounter{"cas_misses", &NodeStats::cas_misses},
    NodeCounter{"cas_hits", &NodeStats::cas_hits},
    NodeCounter{"cas_badval", &NodeStats::cas_badval},
    NodeCounter{"touch_hits", &NodeStats::touch_hits},
    NodeCounter{"store_too_large", &NodeStats::store_too_large},
    NodeCounter{"store_no_memory", &NodeStats::store_no_memory},
};

struct StoreCounter {
  std::string_view name;
  std::uint64_t StoreStats::*value;
};

constexpr std::array kStoreCounters = {
    StoreCounter{"get_expired", &StoreStats::expired_on_read},
    StoreCounter{"bytes", &StoreStats::bytes},
    StoreCounter{"curr_items", &StoreStats::items},
    StoreCounter{"total_items", &StoreStats::items_linked},
    StoreCounter{"evictions", &StoreStats::evictions},
    StoreCounter{"evicted_unfetched", &StoreStats::evicted_unfetched},
    StoreCounter{"reclaimed", &StoreStats::reclaimed},
    StoreCounter{"expired_unfetched", &StoreStats::expired_unfetched},
};

}  // namespace

void serve_mn(NodeState&, Call& call) noexcept {
  call.answer("MN");
}

void serve_version(NodeState&, Call& call) noexcept {
  call.out.append(call.pool, "VERSION ");
  call.answer(kVersion);
}

// There is no log to make more verbose.
void serve_verbosity(NodeState&, Call& call) noexcept {
  if (call.tokens.size() < 2 || call.tokens.size() > 3) return call.answer("ERROR");
  if (is_noreply(call.tokens)) return;
  call.answer(read_u32(call.tokens[1]) ? "OK" : kBadFormat);
}

void serve_flush_all(NodeState& node, Call& call) noexcept {
  if (call.tokens.size() > 3) return call.answer("ERROR");
  const bool noreply = is_noreply(call.tokens);
  ++node.stats.cmd_flush;
  std::int32_t delay = 0;
  if (call.tokens.size() != (noreply ? 2 : 1)) {
    const auto given = read_i32(call.tokens[1]);
    if (!given) {
      if (!noreply) call.answer("CLIENT_ERROR invalid exptime argument");
      return;
    }
    delay = *given;
  }
  // A later flush_all takes the place of one that is still pending.
  node.flush_at = delay > 0 ? deadline_of(Expiry::from_exptime(delay), call.now) : 0;
  if (node.flush_at <= call.now) {
    node.flush_at = 0;
    node.store.clear();
  }
  if (!noreply) call.answer("OK");
}

void serve_stats(NodeState& node, Call& call) noexcept {
  if (call.tokens.size() > 1) {
    // What these would list, slab classes and connections, does not exist here.
    constexpr std::array kEmpty = {"items", "slabs", "sizes", "settings", "conns"};
    if (std::find(kEmpty.begin(), kEmpty.end(), call.tokens[1]) != kEmpty.end())
      return call.answer("END");
    if (call.tokens[1] != "reset") return call.answer("ERROR");
    node.stats = {};
    node.store.reset_stats();
    return call.answer("RESET");
  }
  put_stat(call, "time", call.now);
  put_stat(call, "version", kVersion);
  put_stat(call, "pointer_size", 64);
  for (const NodeCounter& counter : kNodeCounters)
    put_stat(call, counter.name, node.stats.*counter.value);
  const StoreStats store = node.store.stats();
  for (const StoreCounter& counter : kStoreCounters)
    put_stat(call, counter.name, store.*counter.value);
  put_stat(call, "limit_maxbytes", node.store.bytes_max());
  put_stat(call, "hash_bytes", node.store.table_bytes());
  put_stat(call, "threads", 1);
  call.answer("END");
}

}  // namespace tokenring::store
