// Outbox: what an engine's owner has to do, and what it may tell the log.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "proxy/session.hpp"
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

// A value that is not genuine, or one that was lost before its time, for the log. What only expired
// is neither.
struct SealEvent {
  static constexpr std::uint32_t kNoBackend = UINT32_MAX;
  std::uint32_t backend = kNoBackend;  // Whose value it is; kNoBackend: of a node that is leaving.
  std::uint16_t space = 0;             // Of its key: index into NamespaceTable::all().
  OpenOutcome outcome = OpenOutcome::kMalformed;
  bool is_lost = false;                          // It was added again, and `outcome` means nothing.
  std::array<char, kAuditCharacters> reference;  // Stands for its key.
};

// What clients that are asked who they are lead to, beside their requests.
struct AccessWork {
  static constexpr std::size_t kEventsMax = 8;

  std::vector<AccessEvent> events;  // To be told; the first kEventsMax of a turn.
  std::vector<LoginJob> logins;     // To be checked, then Engine::login_checked().
};

// What is to be asked of an authorization server, as no node has the answer; or, where it
// `forgets`, that what was asked earlier of the token is to be answered to nobody who asks later.
struct Question {
  SlabId id = {};           // For EngineFill::answer().
  std::uint16_t space = 0;  // Index into NamespaceTable::all().
  bool forgets = false;
  std::uint64_t epoch = 0;  // Of its group: only what is asked in the same one has the same answer.
  std::string token = {};   // `forgets`: empty for all tokens of all namespaces.
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
  std::unique_ptr<AccessWork> access;   // Null: there is none.
  std::vector<Question> questions;      // To be asked in this order, before links are flushed.

  static constexpr std::size_t kSealEventsMax = 8;

  static auto lists(auto& of) noexcept {
    return std::tie(of.open_links, of.close_links, of.flush_links, of.flush_clients,
                    of.read_clients, of.close_clients, of.node_events, of.seal_events,
                    of.questions);
  }
  [[nodiscard]] AccessWork& access_work() {
    if (access == nullptr) access = std::make_unique<AccessWork>();
    return *access;
  }
  [[nodiscard]] bool empty() const noexcept {
    return access == nullptr &&
           std::apply([](const auto&... list) { return (list.empty() && ...); }, lists(*this));
  }
  void clear() noexcept {
    std::apply([](auto&... list) { (list.clear(), ...); }, lists(*this));
    access.reset();
  }
  void swap(Outbox& other) noexcept {
    auto theirs = lists(other);
    lists(*this).swap(theirs);
    access.swap(other.access);
  }
};

}  // namespace tokenring
