// Sealing: what a request in a sealed namespace, or in one with an owner, keeps beside its slot.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/buffer.hpp"
#include "proxy/slot.hpp"
#include "tokenring/envelope.hpp"
#include "tokenring/request.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

// What a node's reply says of an item, beside its value.
struct Seen {
  std::uint32_t flags = 0;
  std::int64_t left_s = -1;  // -1: for ever.
  std::uint64_t cas = 0;
  bool has_size = false;
};

// A change that takes several steps: look, change, seal, write if it is still what was seen. See
// engine_change.cpp and engine_store.cpp.
struct Change {
  enum class Kind : std::uint8_t {
    kNumber,  // incr, decr, ma.
    kJoin,    // append, prepend.
    kStore,   // set, add, replace, cas, where a look at what is there has to come first.
  };
  enum class State : std::uint8_t {
    kNone,
    kAsking,   // For the group's marker alone.
    kReading,  // The value, and the marker where there is one.
    kMarking,  // Making a marker.
    kWriting,
  };
  static constexpr std::uint32_t kAttemptsMax = 64;

  State state = State::kNone;
  Kind kind = Kind::kNumber;
  StoreMode mode = StoreMode::kSet;  // Of kJoin and kStore.
  bool decrements = false;
  bool wants_number = false;  // The client does.
  bool wants_size = false;
  bool creates = false;  // Nothing is there to be changed, and the client wants it made.
  std::optional<Expiry> vivify = std::nullopt;
  std::optional<Expiry> ttl = std::nullopt;
  Cas cas;  // Of the item that the client means; 0: any.
  std::uint64_t delta = 0;
  std::uint64_t initial = 0;
  std::uint64_t number = 0;        // What became of it.
  std::int64_t life_s = -1;        // What is left of it; -1: it never ends.
  std::int64_t found_life_s = -1;  // What was left before.
  std::uint32_t attempts = 0;      // That lost against somebody else's write.
  bool looks = true;               // kStore: at what is there; else only the marker is needed.
  bool invalidates = false;        // kStore: ms with I.
  // The client read the key a moment ago, and learned no generation: what was revoked since this
  // Unix time must not come back.
  std::optional<std::int64_t> not_revoked_since_s = std::nullopt;
  bool is_lost = false;            // The node may have lost a marker since then.
  std::uint32_t client_flags = 0;  // kStore.
  std::optional<std::uint64_t> generation = std::nullopt;  // That a ticket has; else the marker's.
  Buffer operand;                                          // What is appended, prepended or stored.
};

struct Sealing {
  // A request of ours beside a client's, which stands in no client's order. Its reply is for
  // others.
  enum class Aside : std::uint8_t {
    kNone,
    kMarker,   // Asks for `marker`; those that follow the slot wait for it.
    kRemoval,  // Takes away what the one that follows it has read: who does that has it.
    kLook,     // Tells `looks_for` whether there was anything.
    kFill,     // Is put to no node: those that follow it wait for what is asked elsewhere.
  };

  // What became of the request against its client's wish, or a promise, for the audit log.
  enum class Oddity : std::uint8_t {
    kNone,
    kRevoked,    // What was read.
    kLostRace,   // Somebody else took away what may be read once.
    kStaleFill,  // It was not stored.
    kForgotten,  // It was stored, though it had been before: what was to refuse it is lost.
    // What was asked elsewhere, as no node had it:
    kIntrospected,
    kInactive,    // The token is not good.
    kUnanswered,  // There is no answer.
  };

  std::array<char, kKeyBytesMax> node_key_text;
  std::size_t node_key_size = 0;  // 0: the node sees the key as the client sent it.
  bool seals = true;              // Else only the key is another one.
  bool keeps_base64 = false;      // The node's key is base64, as the client's is.
  bool wants_value = false;       // mg: v was the client's own wish,
  bool wants_flags = false;       // and f.
  bool drops_value = false;       // The token is over already: what is stored is empty.
  std::uint32_t value_bytes = 0;  // Of what was sealed, before it was packed.
  std::uint32_t exp = 0;          // Of what was opened last; see EnvelopeHeader.
  SealOptions options;
  Change change;

  // Where tokens have rules (engine_marker.cpp, engine_token.cpp).
  Aside aside = Aside::kNone;
  bool hides_cas = false;  // mg: c was our own wish.
  bool consumes = false;   // The value is the client's if it is this request that takes it away.
  bool revokes = false;    // It replaces the group's marker.
  std::uint16_t tickets_before = 0;  // revokes: of its client.
  bool buries = false;               // It leaves a tombstone.
  bool found = false;                // buries: there was something.
  bool sends_as_is = false;          // The value is an envelope already.
  Oddity oddity = Oddity::kNone;
  UnixTime known_until;  // Where replays are guarded: what is added is to be known so long; 0: not.
  std::uint32_t looks_for = kNoSlot;
  std::uint32_t marker = kNoSlot;  // Of the engine's Markers.
  std::uint32_t marker_link = 0;   // Index of the link to the marker's node.
  LinkId link;                     // To the key's node.
  Instant herd_until;  // Until then it waits for another one's fetch; 0: it did not yet.
  std::int64_t herd_pause_ms = 0;  // Before it asks again.
  Buffer held;                     // The node's reply, which waits for what else is needed.

  Sealing() noexcept {}  // `node_key_text` stays uninitialised on purpose.
  // The same item at the same node, under the same marker.
  void be_of_key(const Sealing& other) noexcept {
    std::copy_n(other.node_key_text.begin(), other.node_key_size, node_key_text.begin());
    node_key_size = other.node_key_size;
    keeps_base64 = other.keeps_base64;
    link = other.link;
    marker = other.marker;
    marker_link = other.marker_link;
  }
  [[nodiscard]] std::string_view node_key() const noexcept {
    return {node_key_text.data(), node_key_size};
  }
};

}  // namespace tokenring
