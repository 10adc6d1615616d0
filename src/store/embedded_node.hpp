// The embedded node: a memcached node as a function from bytes to bytes.
//
// It serves the meta commands of memcached 1.6.18, byte for byte, and the flags added up to 1.6.40,
// over a bounded store; besides, the text reads (get, gets, gat, gats, touch), `version`,
// `flush_all`, `stats` and `verbosity`. It does no I/O, reads no clock and draws no randomness. One
// thread.
//
// Where it differs from memcached on purpose:
// - `l` and `la` count from the latest read without `u`, not from memcached's lazy mark; `me` has
//   the sign of `exp` that newer versions have;
// - an item made by mg N, ma N or md x, or rewritten by append or ma, under a base64 key answers
// `k`
//   in base64 (memcached forgets that the key is binary and sends its raw bytes);
// - ma T holds also where the number grows by a digit (memcached touches the item it just
// replaced);
// - `t` of an item that mg T or ma T has just expired is 0, not a wrapped number;
// - md x keeps the item's TTL unless T is given (memcached makes it immortal) and changes its CAS;
// - flush_all drops what is there at that second and nothing that is stored later;
// - an over-long opaque is refused before anything is done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/buffer.hpp"
#include "store/node_state.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

class EmbeddedNode {
 public:
  // A longer command line is refused and skipped. memcached closes the connection instead.
  static constexpr std::size_t kLineBytesMax = 2048;

  // What one connection to the node has half done. Starts afresh with a new connection.
  struct Link {
    std::uint64_t bytes_to_swallow = 0;  // Of a value that was refused.
    bool in_long_line = false;
  };

  // Throws std::bad_alloc.
  explicit EmbeddedNode(const StoreOptions& options);

  // Serves the whole requests at the front of `in`, appends their replies to `out` and returns how
  // many bytes are done with. What is left is the beginning of a request, to be presented again
  // with more bytes behind it, or, when `out` is full (reply_bytes_max), requests for a later call:
  // send and call again until it returns 0. A request is never longer than request_bytes_max().
  [[nodiscard]] std::size_t serve(Link& link, std::string_view in, UnixTime now, OutQueue& out,
                                  BufferPool& pool) noexcept;
  // The same for a node that has one connection for all its life.
  [[nodiscard]] std::size_t serve(std::string_view in, UnixTime now, OutQueue& out,
                                  BufferPool& pool) noexcept {
    return serve(only_link_, in, now, out, pool);
  }

  [[nodiscard]] std::size_t request_bytes_max() const noexcept {
    return kLineBytesMax + state_.options.item_bytes_max + 2;
  }
  [[nodiscard]] NodeStats stats() const noexcept;
  // Whether the store's parts agree. Slow: for tests.
  [[nodiscard]] bool consistent() const noexcept { return state_.store.consistent(); }

 private:
  NodeState state_;
  Link only_link_;
};

}  // namespace tokenring
