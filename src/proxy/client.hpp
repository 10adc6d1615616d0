// Client: one connection of an application, as the engine sees it. All state, no I/O.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/buffer.hpp"
#include "proxy/session.hpp"
#include "proxy/slot.hpp"
#include "tokenring/command.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

struct Client {
  enum class Mode : std::uint8_t {
    kRequests,   // At the start of a request, or within one that is not whole yet.
    kSwallow,    // Dropping `swallow` bytes of a value that was refused.
    kKeyStream,  // Within a get whose line is longer than what is buffered.
    kSkipLine,   // Dropping the rest of such a line.
    kLogin,      // Has to say who it is, and may say nothing else.
  };

  // Of `aside`; what is more waits beside its slot.
  static constexpr std::size_t kAsideBytesFirst = 4096;
  static constexpr std::size_t kAsideBytesMax = std::size_t{64} << 10;

  // Of a new client, of whose replies' size nothing is known yet.
  static constexpr std::uint32_t kFirstWindow = 64;

  Mode mode = Mode::kRequests;
  bool closing = false;             // No more requests; close when all replies are out.
  bool ended = false;               // Sends no more; what it sent is still served.
  bool stalled = false;             // Not being read, for it has too much out.
  bool dirty = false;               // In the outbox.
  bool resuming = false;            // In the list of those whose input waits to be served.
  std::uint16_t tickets = 0;        // The series of its tickets that is good; see marker.hpp.
  std::uint16_t ticket_series = 0;  // The last one that was begun.
  std::uint16_t address = 0;        // Which of those in `listen` it came to.
  Instant last_heard;
  std::unique_ptr<Session> session;  // Null: nobody asks who it is.
  std::uint32_t served = 0;          // Requests, or pieces of them; wraps.
  std::uint32_t bytes_sent = 0;      // Wraps.
  // As last seen by sweep(), and for how many sweeps in a row nothing moved.
  std::uint32_t served_then = 0;
  std::uint32_t bytes_sent_then = 0;
  std::uint32_t slow_reads = 0;
  std::uint32_t slow_writes = 0;
  std::uint32_t first_slot = kNoSlot;
  std::uint32_t last_slot = kNoSlot;
  std::uint32_t slots = 0;
  std::uint32_t changes = 0;  // Of sealed values, on their way; then it is not served.
  // Requests it may have out: one more with each reply, up to requests_per_client_max.
  std::uint32_t window = kFirstWindow;
  std::uint32_t reply_bytes = 0;  // Estimate of a reply's size, from those lately seen.
  std::size_t needed = 0;         // Bytes of `in` below which serving it again is useless.
  std::uint64_t swallow = 0;
  Buffer in;  // Bytes received and not served.
  OutQueue out;
  // Small replies that came before their turn, in the order in which they came; each slot knows its
  // own. It begins anew when none waits, and goes with the last slot.
  Buffer aside;
  std::uint32_t aside_slots = 0;

  // Bytes of `out` from here on wait for the end of a group of slots (see Slot::Group).
  std::size_t hold_from = kNoHold;
  std::optional<WireError> group_error;

  // Mode::kKeyStream.
  Command stream_command = Command::kGet;
  std::int32_t stream_exptime = 0;
  bool stream_began = false;

  static constexpr std::size_t kNoHold = SIZE_MAX;
  [[nodiscard]] std::size_t sendable() const noexcept { return std::min(out.size(), hold_from); }
  // The value of a request that is refused by its line is no request, whatever it says.
  void swallow_value_of(const Request& request) noexcept {
    if (request.verb() != Verb::kSet) return;
    mode = Mode::kSwallow;
    swallow = std::uint64_t{request.value_bytes} + 2;  // And its CR LF.
  }
};

}  // namespace tokenring
