// What an engine is made with, and small things that it keeps.
#pragma once

#include <cstdint>
#include <string>

#include "base/slab.hpp"
#include "policy/snapshot.hpp"
#include "proxy/counters.hpp"
#include "proxy/engine_audit.hpp"
#include "proxy/engine_fill.hpp"
#include "proxy/engine_near.hpp"
#include "proxy/latency.hpp"
#include "proxy/slot.hpp"
#include "proxy/stats_sum.hpp"
#include "seal/password.hpp"
#include "tokenring/command.hpp"
#include "tokenring/envelope.hpp"
#include "tokenring/parse.hpp"
#include "tokenring/reply.hpp"
#include "tokenring/request.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

// A get with more bytes of keys than this is served key by key, as its client has room.
inline constexpr std::size_t kKeysAtOnceBytes = 4096;

struct EngineOptions {
  std::uint64_t seed = 1;  // For jitter; differs between workers.
  std::uint32_t worker = 0;
  CounterBoard* board = nullptr;     // For stats; must outlive the engine.
  Counters* counters = nullptr;      // This worker's own; must outlive the engine.
  Entropy* entropy = nullptr;        // Null: the operating system's. Must outlive the engine.
  LatencyBook* latencies = nullptr;  // Likewise; null: none are kept.
  std::int64_t started_s = 0;        // Unix time of the process's start.
  // With so many slots out a client that has some waits; with twice as many, all is refused.
  std::uint32_t requests_max = kRequestsMax;

  static constexpr std::uint32_t kRequestsMax = 1U << 20;
  // For one of `workers` engines in a process that may have only so many addresses (RLIMIT_AS).
  [[nodiscard]] static std::uint32_t requests_allowed(std::size_t workers) noexcept;
  // What is refused takes slots too, and so does what requests lead to: their asides. One get may
  // take two thousand at once, before any of them is answered.
  static constexpr std::size_t kSlotsPerRequest = 4;
  static constexpr std::size_t kSlotsAtOnce = 4096;
  [[nodiscard]] std::size_t slots_max() const noexcept {
    return requests_max * kSlotsPerRequest + kSlotsAtOnce;
  }
};

// Where a key goes.
struct Target {
  const Namespace* space = nullptr;
  const Pool* pool = nullptr;
  // What the ring is asked for: the item's key, or what stands for it.
  std::string_view route = {};
  std::uint32_t backend = 0;
};

// A get that others may share.
struct Leader {
  std::uint32_t slot = kNoSlot;
  std::uint32_t departures = 0;  // Of requests to nodes, before its own.
};

// The answers of all nodes to one `stats`, on their way to be one.
struct Gather {
  SlabId slot;  // The client's.
  std::string group;
  StatsSum sum;
  std::uint32_t waiting = 0;
  std::uint32_t missing = 0;  // Nodes that are down, failed or refused.
};

// Replies of this turn: `since` their requests were read, in which turn.
struct Served {
  Instant since;
  std::uint32_t turn = 0;
  std::uint16_t space = Slot::kNoSpace;
  LatencyKind kind = LatencyKind::kOther;
  std::uint32_t count = 0;
};

// Where a reply is written: at `to`, in `out`, or else among what waits in its client.
struct Place {
  OutQueue* out = nullptr;
  char* to = nullptr;
};

// A backend's links: `count` of them from `first` on, in Engine::link_table_.
struct BackendLinks {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// A get that waits for another one's fetch.
struct Waiting {
  SlabId slot;
  Instant at;
};

// Passwords that fitted a salted hash, so that it need not be computed again.
struct Remembered {
  Mac mac;
  std::string user;
  PasswordHash hash;
};

// Whether mg's reply says that a node's own stub, or a stale item, is what came.
[[nodiscard]] inline bool has_lease_flag(std::string_view flags) noexcept {
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags))
    if (flag == "W" || flag == "X" || flag == "Z") return true;
  return false;
}

// Whether what is written depends on what is there.
[[nodiscard]] inline bool changes_value(const Request& request) noexcept {
  return request.verb() == Verb::kArithmetic ||
         (request.verb() == Verb::kSet && request.store_mode >= StoreMode::kAppend);
}

// Whether a delete left it a moment ago.
[[nodiscard]] inline bool is_tombstone(const OpenResult& opened) noexcept {
  return opened.outcome == OpenOutcome::kExpired && opened.header.control;
}

// What a node says of an item that is not there, in the words that fit the request.
[[nodiscard]] inline Reply miss_of(Command command) noexcept {
  if (command == Command::kTouch)
    return {.code = ReplyCode::kTextNotFound, .line = "NOT_FOUND\r\n"};
  if (row_of(command).dialect == Dialect::kText)
    return {.code = ReplyCode::kEnd, .line = "END\r\n"};
  return {.code = ReplyCode::kMiss, .line = "EN\r\n"};
}

}  // namespace tokenring
