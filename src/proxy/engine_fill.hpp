// EngineFill: an engine's part that has what no node holds asked for elsewhere, and gives the
// answer to those that wait for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/access.hpp"
#include "proxy/slot.hpp"
#include "tokenring/reply.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

class Engine;

// What a worker waits for.
struct Fill {
  // Of each worker. Beyond that a key that is not there is a miss, and nobody is asked.
  static constexpr std::size_t kMax = 1024;
  // Whoever is asked knows its own limit of time; this much later nobody waits any more.
  static constexpr std::int64_t kGraceMs = 1'000;
  // The CAS number of what was just fetched: no item has it, so a cas by it is EXISTS.
  static constexpr std::uint64_t kCas = UINT64_MAX;

  SlabId slot;              // Of ours, in no list: those that wait for the answer follow it.
  std::string key;          // Of the item.
  std::uint64_t epoch = 0;  // See Question.
  Instant deadline;
  // Who missed the key first, of the snapshot of then; null: nobody asks who it is.
  std::shared_ptr<const Identity> asker = nullptr;
  LinkId marker_link;       // By which the group's marker was asked for.
  std::int64_t life_s = 0;  // What is stored is to live; 0: it is not stored.
  bool is_joined = true;    // Whoever misses the key waits with the others.
  bool is_stored = true;    // Else somebody has written or deleted the item since.
};

class EngineFill {
 public:
  explicit EngineFill(Engine& engine) : engine_(engine) {}
  EngineFill(const EngineFill&) = delete;
  EngineFill& operator=(const EngineFill&) = delete;

  // What came of one of Outbox::questions; null: nothing. Only with `may_store` it is stored.
  void answer(SlabId id, const std::string* answer, bool may_store, Now now) noexcept;

  // -- For the engine.
  // The node's reply to `slot` is about to be shown to its client. True: it is a miss, and the slot
  // waits for what is asked elsewhere.
  [[nodiscard]] bool ask(std::uint32_t slot, const Reply& shown) noexcept;
  // What the slot's client wants is being asked already.
  [[nodiscard]] bool is_under_way(std::uint32_t slot) noexcept { return join(slot) != nullptr; }
  // A client writes the item, or deletes it: what was asked before that is for those that wait, and
  // for nobody else.
  void retract(const Slot& slot, std::string_view key, bool is_delete) noexcept;
  // Slot's client has brought about as many negative values as its identity may: one more is not
  // stored, or what would bring one is not asked.
  void refuse_negative(const Slot& slot) noexcept;
  // Gives up what nobody answered in time.
  void expire() noexcept;
  // Clients that are the engine's own.
  [[nodiscard]] std::size_t clients() const noexcept { return clients_; }
  [[nodiscard]] bool owns(ClientId id) const noexcept { return clients_ > 0 && id == client_; }

 private:
  [[nodiscard]] std::uint64_t epoch_of(const Slot& slot) const noexcept;
  [[nodiscard]] const Fill* join(std::uint32_t slot) noexcept;
  [[nodiscard]] std::uint32_t begin(std::uint32_t slot, std::uint64_t epoch) noexcept;
  void end(Fill& fill, const std::string* answer) noexcept;
  [[nodiscard]] std::int64_t store(const Fill& fill, std::string_view answer) noexcept;

  Engine& engine_;
  std::vector<Fill> fills_;  // Under way; at most Fill::kMax.
  ClientId client_;          // In whose name answers are stored; made with the first.
  std::size_t clients_ = 0;
};

}  // namespace tokenring
