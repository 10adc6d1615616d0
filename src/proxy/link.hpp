// Link: one connection to one node, with the FIFO of what the node still owes. All state, no I/O.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "base/buffer.hpp"
#include "policy/tallies.hpp"
#include "proxy/slot.hpp"
#include "tokenring/command.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

struct Link {
  enum class State : std::uint8_t {
    kUnused,      // Leads nowhere: its node is no longer in the configuration.
    kDown,        // Not connected; a new try is due at `retry_at`. Requests fail at once.
    kConnecting,  // First try, after a working connection ended, or flushing: requests queue.
    kProbing,     // A try after a failed one: requests still fail at once.
    kUp,
  };

  State state = State::kUnused;
  bool retiring = false;     // Takes no more requests; ends when all are answered.
  bool greeted = false;      // Connected, and asked for its version.
  bool dirty = false;        // In the outbox.
  bool too_old = false;      // Last seen with a version that does not speak meta.
  bool bare_misses = false;  // A node whose misses carry no opaque (before 1.6.18).
  bool unchecked = false;    // The last request sent was one whose reply carries no opaque.
  // The text get line at the end of `out`, still open for further keys, and its size; 0: none.
  Command line_command = Command::kGet;
  std::int32_t line_exptime = 0;
  std::size_t line_bytes = 0;
  std::uint32_t line_slots = 0;  // Of that line: the last ones in the FIFO.
  std::uint64_t last_read = 0;   // The piece of client input that last put a request into `out`.
  std::uint32_t backend = 0;     // REQUIRES for use: not retiring.
  std::string identity;          // Pool, node, place and number: what it is across snapshots.
  std::int64_t connect_timeout_ms = 0;
  std::int64_t request_timeout_ms = 0;
  std::uint32_t generation = 0;  // Counts connections: events of an earlier one are ignored.
  std::uint32_t next_opaque = 0;
  std::uint32_t failures = 0;  // Consecutive failed tries, and connections that did not last.
  std::uint32_t timeouts = 0;  // Requests timed out since the node last said anything.
  std::uint32_t timeouts_to_down = 3;
  std::int64_t retry_max_ms = 500;
  bool told_down = false;  // The log has its end, and waits for it to be up.
  std::string trouble;     // Of this connection, for the log: what is known beyond the error.
  bool flush_on_rejoin = false;
  bool missed_writes = false;  // Since it was last flushed or new, a write or delete went past it.
  bool flushing = false;       // Connected, and told to flush before anything else.
  std::int64_t readmitted_s = 0;  // Unix time at which a reload brought its node in; 0: at start.
  Instant up_since;
  Instant retry_at;
  Instant connect_deadline;

  std::uint32_t first_slot = kNoSlot;  // Oldest request without an answer.
  std::uint32_t last_slot = kNoSlot;
  std::uint32_t first_live = kNoSlot;  // Oldest that has not timed out.
  std::uint32_t slots = 0;

  std::array<std::uint64_t, kNodeTallyNames.size()> counts{};  // That were not told yet.
  std::int64_t response_ns = 0;  // How long the node took lately, on average.
  void count(NodeTally which) noexcept { ++counts[static_cast<std::size_t>(which)]; }
  // Adds its state of the moment, and what it counted since the last time, to `sums`.
  void tell(std::array<std::uint64_t, kNodeTallyNames.size()>& sums) noexcept {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += std::exchange(counts[i], 0);
    const auto add = [&](NodeTally which, std::uint64_t n) {
      sums[static_cast<std::size_t>(which)] += n;
    };
    add(NodeTally::kUpLinks, state == State::kUp ? 1 : 0);
    add(NodeTally::kInFlight, slots);
    add(NodeTally::kQueuedBytes, out.size());
    add(NodeTally::kResponseUs, static_cast<std::uint64_t>(response_ns / 1000));
  }

  std::size_t needed = 0;
  std::size_t large_bytes = 0;  // Of the reply with the last value, read or begun; 0: a small one.
  Buffer in;
  OutQueue out;
  OutQueue greeting;

  [[nodiscard]] bool takes_requests() const noexcept {
    return state == State::kUp || state == State::kConnecting;
  }
  [[nodiscard]] bool is_connected() const noexcept { return state > State::kDown; }
};

// Bounds of a link's ways. Times in milliseconds.
inline constexpr std::int64_t kRetryFirstMs = 50;
// A connection that ends sooner than this after it was made counts as a failed try.
inline constexpr std::int64_t kSteadyMs = 1000;
// A get line sent upstream grows to this many bytes: below what makes memcached set memory aside.
inline constexpr std::size_t kGetLineBytesMax = 1800;
// What is read of the replies behind a large value, and then copied out of its buffer.
inline constexpr std::size_t kTailBytesMax = 256;
// A buffer for a value from a node is made whole up to this size.
inline constexpr std::size_t kWholeBytesMax = std::size_t{1} << 20;

}  // namespace tokenring
