// Marker: what one request learns of its group's generation; and Tickets: what a connection learned
// so, for the write that follows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "proxy/slot.hpp"
#include "tokenring/envelope.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

struct Pool;

// What names a key's group: its hash tag, else the whole key.
[[nodiscard]] std::string_view group_of(std::string_view key, const Pool& pool) noexcept;

// A marker's envelope: a generation and one byte.
inline constexpr std::size_t kMarkerBytes = sealed_size(1, true);
inline constexpr char kMarkerCreated = 'c';
inline constexpr char kMarkerRevoked = 'r';

// Shared by the slots that ask for it and those that wait for it; ends with the last of them.
struct Marker {
  enum class State : std::uint8_t {
    kUnasked,
    kAsked,
    kFound,
    kAbsent,      // The node has none.
    kUnreadable,  // What the node has is none that this proxy can believe.
    kFailed,      // No answer came.
  };

  State state = State::kUnasked;
  bool by_revocation = false;
  std::uint64_t generation = 0;
  std::int64_t written_s = 0;  // Unix time.
  Cas cas;                     // 0: it was not asked for.
  std::uint32_t users = 0;
  std::uint32_t slot = kNoSlot;  // kAsked: of the request for it.
  std::array<char, kKeyBytesMax> name_text;
  std::size_t name_size = 0;

  Marker() noexcept {}  // `name_text` stays uninitialised on purpose.
  [[nodiscard]] std::string_view name() const noexcept { return {name_text.data(), name_size}; }
};

// A value that is written in answer to a miss belongs to the generation of that miss: what was
// revoked meanwhile must not come back. Of a fixed size, direct-mapped; what is not kept costs the
// write another round trip.
class Tickets {
 public:
  static constexpr std::size_t kPlaces = 4096;  // 192 KiB.
  static constexpr std::int64_t kLifeMs = 10'000;

  struct Ticket {
    std::uint64_t whose = 0;  // A hash of connection and key; 0: none.
    Instant until;
    std::uint64_t generation = 0;
    std::int64_t read_s = 0;  // Unix time of the read.
    LinkId link;              // By which the marker was asked for.
    bool found = false;       // There was a marker, and that is its generation.
    bool absent = false;      // There was none to be believed. Neither: the read failed.
  };

  // Not 0.
  [[nodiscard]] static std::uint64_t whose(ClientId client, std::uint16_t series,
                                           std::string_view key) noexcept;

  // `marker`: what was learned; null: nothing.
  void keep(std::uint64_t whose, const Marker* marker, LinkId link, Now now) noexcept {
    Ticket& ticket = place(whose) = {.whose = whose,
                                     .until = now.instant.plus_ms(kLifeMs),
                                     .read_s = now.unix_time.seconds,
                                     .link = link};
    if (marker == nullptr) return;
    ticket.generation = marker->generation;
    ticket.found = marker->state == Marker::State::kFound;
    ticket.absent =
        marker->state == Marker::State::kAbsent || marker->state == Marker::State::kUnreadable;
  }
  // A ticket is good for one write.
  [[nodiscard]] std::optional<Ticket> take(std::uint64_t whose, Instant now) noexcept {
    Ticket& ticket = place(whose);
    if (ticket.whose != whose) return std::nullopt;
    const Ticket taken = ticket;
    ticket = {};
    if (taken.until < now) return std::nullopt;
    return taken;
  }

 private:
  [[nodiscard]] Ticket& place(std::uint64_t whose) noexcept { return places_[whose % kPlaces]; }

  std::vector<Ticket> places_{kPlaces};
};

}  // namespace tokenring
