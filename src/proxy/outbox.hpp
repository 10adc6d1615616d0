// Outbox: what an engine's owner has to do after it handed something in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "proxy/slot.hpp"
#include "seal/blind.hpp"
#include "tokenring/command.hpp"
#include "tokenring/envelope.hpp"

namespace tokenring {

// What became of a node's connection, for the log.
struct NodeEvent {
  enum class Kind : std::uint8_t { kUp, kDown, kFlushed };
  Kind kind = Kind::kUp;
  std::uint32_t backend = 0;
  WireError why = WireError::kError;  // kDown.
  std::string detail = {};            // kDown: what is known beyond that; empty: nothing.
};

// A value that is not genuine, for the log. What only expired is none.
struct SealEvent {
  static constexpr std::uint32_t kNoBackend = UINT32_MAX;
  std::uint32_t backend = kNoBackend;  // Whose value it is; kNoBackend: of a node that is leaving.
  std::uint16_t space = 0;             // Of its key: index into NamespaceTable::all().
  OpenOutcome outcome = OpenOutcome::kMalformed;
  std::array<char, kAuditCharacters> reference;  // Stands for its key.
};

// What the engine's owner has to do. Cleared by the owner; each id stands in a list at most once.
struct Outbox {
  std::vector<LinkId> open_links;  // Connect to link_address().
  std::vector<LinkId> close_links;
  std::vector<LinkId> flush_links;      // link_output() has bytes.
  std::vector<ClientId> flush_clients;  // client_output() has bytes, or a close is due behind them.
  std::vector<ClientId> read_clients;   // Are read again after a stall.
  std::vector<ClientId> close_clients;  // Were too slow or idle too long: close, client_lost().
  std::vector<NodeEvent> node_events;   // To be told, if anybody wants to know.
  std::vector<SealEvent> seal_events;   // Likewise; the first kSealEventsMax of a turn.

  static constexpr std::size_t kSealEventsMax = 8;

  static auto lists(auto& of) noexcept {
    return std::tie(of.open_links, of.close_links, of.flush_links, of.flush_clients,
                    of.read_clients, of.close_clients, of.node_events, of.seal_events);
  }
  [[nodiscard]] bool empty() const noexcept {
    return std::apply([](const auto&... list) { return (list.empty() && ...); }, lists(*this));
  }
  void clear() noexcept {
    std::apply([](auto&... list) { (list.clear(), ...); }, lists(*this));
  }
  void swap(Outbox& other) noexcept {
    auto theirs = lists(other);
    lists(*this).swap(theirs);
  }
};

}  // namespace tokenring
