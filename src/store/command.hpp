// The node's commands: one handler each, found by name in embedded_node.cpp's table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/buffer.hpp"
#include "store/meta_line.hpp"
#include "store/node_state.hpp"
#include "store/reply_line.hpp"

namespace tokenring::store {

// One request on its way through its handler.
struct Call {
  Tokens tokens;
  std::string_view behind;  // All bytes behind the line: where a value would be.
  std::uint32_t now;        // Unix seconds, at least 1.
  OutQueue& out;
  BufferPool& pool;

  // What the handler found.
  bool incomplete = false;             // The value is not all there yet, and nothing was done.
  std::size_t value_bytes = 0;         // Of `behind`, done with.
  std::uint64_t bytes_to_swallow = 0;  // From the start of `behind`: a refused value.

  // Sends a line that lacks its end.
  void answer(std::string_view line) noexcept;
};

using Handler = void (*)(NodeState&, Call&) noexcept;

// serve_get.cpp
void serve_mg(NodeState& node, Call& call) noexcept;
void serve_me(NodeState& node, Call& call) noexcept;
// serve_set.cpp
void serve_ms(NodeState& node, Call& call) noexcept;
// serve_change.cpp
void serve_md(NodeState& node, Call& call) noexcept;
void serve_ma(NodeState& node, Call& call) noexcept;
// serve_admin.cpp
void serve_mn(NodeState& node, Call& call) noexcept;
void serve_version(NodeState& node, Call& call) noexcept;
void serve_verbosity(NodeState& node, Call& call) noexcept;
void serve_flush_all(NodeState& node, Call& call) noexcept;
void serve_stats(NodeState& node, Call& call) noexcept;

// Shared by the meta handlers. What a request is refused for by its shape alone, in 1.6.18's order.
[[nodiscard]] Refusal refusal_of_shape(const Tokens& tokens, Refusal too_many_flags) noexcept;
[[nodiscard]] Refusal refusal_of_opaque(const MetaRequest& request) noexcept;
// What memcached counts for an item (its ITEM_ntotal): header, CAS, key, NUL, flags where there are
// any, value, line end. The limits of 1.6.18 are in terms of this.
[[nodiscard]] constexpr std::size_t memcached_bytes(std::size_t key_size, std::size_t value_size,
                                                    std::uint32_t client_flags) noexcept {
  return 48 + 8 + key_size + 1 + (client_flags != 0 ? 4U : 0U) + value_size + 2;
}
// The E flag's CAS number, else the next one.
[[nodiscard]] std::uint64_t new_cas(NodeState& node, const MetaRequest& request) noexcept;
[[nodiscard]] Echo echo_of(const Item& item, const MetaRequest& request,
                           std::uint32_t now) noexcept;
// Puts `value` where there is no item, without a TTL: N and T take effect in the order they were
// sent. Null when there is no room.
[[nodiscard]] Item* vivify(NodeState& node, const HashedKey& key, const MetaRequest& request,
                           std::string_view value, std::uint32_t now) noexcept;

}  // namespace tokenring::store
