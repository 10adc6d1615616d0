// Slot: a place in a client's order of replies, and (while a node owes an answer) in a link's FIFO.
//
// A slot lives as long as it stands in either list, or follows another. A client that left, or a
// request that timed out, leaves its slot in the link's FIFO, so that the late answer is matched
// with it and goes nowhere.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/buffer.hpp"
#include "base/slab.hpp"
#include "tokenring/encode.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

using ClientId = SlabId;
inline constexpr std::uint32_t kNoSlot = UINT32_MAX;

// Names a connection to a node: its place, and which of the connections made from there.
struct LinkId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  friend constexpr bool operator==(LinkId, LinkId) = default;
};

// Aligned so that with what a Slab adds it takes 256 bytes: there are many, and each is looked up
// by its number a dozen times.
struct alignas(32) Slot {
  // How the replies of several slots become one.
  enum class Group : std::uint8_t {
    kNone,
    kGet,     // A get of several keys of which one may fail: then all is one SERVER_ERROR.
    kFanOut,  // A command for every node: one answer or one SERVER_ERROR.
  };

  static constexpr std::uint16_t kNoSpace = UINT16_MAX;

  ClientId client;
  std::uint32_t next_in_client = kNoSlot;
  std::uint32_t next_in_link = kNoSlot;
  Instant sent;
  std::uint32_t turn = 0;          // Of the engine, in which it was sent.
  std::uint16_t space = kNoSpace;  // Of its key: index into NamespaceTable::all().
  std::uint16_t near_place = 0;    // Where its namespace has `near`: of its key in NearEpochs,
  std::uint32_t near_epoch = 0;    // and what a read found there when it was sent.
  std::uint32_t opaque = 0;

  bool in_client = false;
  bool in_link = false;
  bool follows = false;  // Waits for what another slot, its leader, is answered.
  bool leads = false;    // Others may still follow it.
  bool filled = false;
  bool miss_on_failure = false;  // A read of a pool that turns failures into misses.
  bool swallows_reply = false;   // The client gets nothing, whatever the node says.
  bool touches = false;          // See Request::touches().
  bool refuses_value = false;    // An md in place of a value that was too large.
  bool plain_reply = false;      // The node answers without an opaque (text reads, flush_all, me).
  bool in_get_line = false;      // One key of a text get line upstream, which one END ends.
  bool last_of_line = false;
  bool answered = false;      // Its VALUE was there; the line's END is still to come.
  bool closes_batch = false;  // An mn of ours; see Engine::link_output().
  bool failed = false;        // Filled by a failure that its group has to tell.
  bool near_reads = false;    // What it is answered may be kept; see EngineNear.
  bool near_writes = false;   // Counted as a write under way at `near_place`.
  bool gathers = false;       // A node's part of `stats`, which is in no client's order.
  WireError error = WireError::kError;

  Group group = Group::kNone;
  bool first_of_group = false;
  bool last_of_group = false;
  // Not kNoSlot: a probe, which stands in no client's order. Its reply tells the slot named here,
  // the next in the same FIFO, whether the item was there before.
  std::uint32_t informs = kNoSlot;
  std::uint32_t sealing = kNoSlot;  // Of the engine's Sealings, in a sealed namespace.
  std::uint32_t beside = kNoSlot;   // Of the engine's Besides, where it has one.
  std::uint32_t first_follower = kNoSlot;
  std::uint32_t link = 0;  // Index of the link it leads on.
  std::uint32_t next_follower = kNoSlot;
  // Rendered, waiting for those in front of it, in Client::aside. What is not small, or comes when
  // that is full, waits in Beside::reply.
  std::uint32_t aside_from = 0;
  std::uint32_t aside_bytes = 0;

  // Of the request: all that rendering its reply needs.
  ReplyContext context;  // Its views point into `text` or Beside::long_text.
  std::array<char, 80> text;

  // Whether it changes what is stored.
  [[nodiscard]] bool writes() const noexcept {
    const Verb verb = row_of(context.command).verb;
    return verb == Verb::kSet || verb == Verb::kDelete || verb == Verb::kArithmetic ||
           context.command == Command::kFlushAll;
  }

  // Whether a VALUE is for its client alone, as the node sent it, which is what most replies are.
  [[nodiscard]] bool passes_through() const noexcept {
    return in_client && !filled && !near_reads && sealing == kNoSlot && first_follower == kNoSlot;
  }

  Slot() noexcept {}  // `text` stays uninitialised on purpose.
};

// What few slots have, so that all of them stay small: a get of many keys has as many slots.
struct Beside {
  Buffer long_text;  // A key and flags that Slot::text has no room for.
  OutQueue reply;
  SlabId gather;  // Of a part of `stats`: the whole, and nothing once this part has failed.
};

}  // namespace tokenring
