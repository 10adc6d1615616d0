// Sealing: what a request in a sealed namespace keeps beside its slot.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/buffer.hpp"
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

// A change that needs the value: read it, open it, change it, seal it, write it back if it is still
// the one that was read. See engine_change.cpp.
struct Change {
  enum class State : std::uint8_t { kNone, kReading, kWriting };
  static constexpr std::uint32_t kAttemptsMax = 64;

  State state = State::kNone;
  StoreMode mode = StoreMode::kSet;  // kAppend, kPrepend; else arithmetic.
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
  Buffer operand;                  // What is appended or prepended.
};

struct Sealing {
  std::array<char, kKeyBytesMax> node_key_text;
  std::size_t node_key_size = 0;  // 0: the node sees the key as the client sent it.
  bool wants_value = false;       // mg: v was the client's own wish,
  bool wants_flags = false;       // and f.
  bool drops_value = false;       // The token is over already: what is stored is empty.
  std::uint32_t value_bytes = 0;  // Of what was sealed, before it was packed.
  SealOptions options;
  Change change;

  Sealing() noexcept {}  // `node_key_text` stays uninitialised on purpose.
  [[nodiscard]] std::string_view node_key() const noexcept {
    return {node_key_text.data(), node_key_size};
  }
};

}  // namespace tokenring
