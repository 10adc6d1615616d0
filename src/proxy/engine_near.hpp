// EngineNear: an engine's part that gives out values which it keeps, where their namespace has
// `near`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "policy/snapshot.hpp"
#include "proxy/near_cache.hpp"
#include "proxy/slot.hpp"
#include "tokenring/reply.hpp"
#include "tokenring/request.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

class Engine;

class EngineNear {
 public:
  explicit EngineNear(Engine& engine) : engine_(engine) {}
  EngineNear(const EngineNear&) = delete;
  EngineNear& operator=(const EngineNear&) = delete;

  // -- For the engine.
  // The engine has another snapshot. What was kept goes.
  void adopt();
  // A request that its client may make, before it is sent. True: the slot is filled, and nothing is
  // to be sent. REQUIRES: space.near.is_on().
  [[nodiscard]] bool serve(const Request& request, const Namespace& space, std::string_view key,
                           std::uint32_t slot) noexcept;
  // What the slot's client is about to be shown of its node's reply. REQUIRES: near_reads.
  void learn(std::uint32_t slot, const Reply& shown) noexcept;
  // A write is about to be sent by the slot; it ends with the slot.
  void begin_write(Slot& slot, const Namespace& space, std::string_view key) noexcept;
  void begin_write_to_all(Slot& slot) noexcept;
  // REQUIRES: near_writes.
  void end_write(const Slot& slot) noexcept { epochs_->end(slot.near_place); }
  // Each tick: within a second nothing is left of what is over.
  void sweep() noexcept;
  void publish() noexcept;

 private:
  // By namespace.
  struct Space {
    std::uint64_t seed = 0;      // Of its keys' hashes.
    NearCache* cache = nullptr;  // Of caches_; null: nothing is kept.
    bool tells = false;  // Of those that share the cache, the one that says how large it is.
  };

  [[nodiscard]] std::uint64_t hash_of(const Slot& slot, std::string_view key) const noexcept;
  [[nodiscard]] std::uint16_t place_of(const Slot& slot, const Namespace& space,
                                       std::string_view key, std::uint64_t hash) const noexcept;
  void make_caches();
  [[nodiscard]] Now shared_now() noexcept;
  void show(const NearCache::Hit& hit, const Request& request, std::uint32_t slot) noexcept;

  Engine& engine_;
  // Of the engine's snapshot; null: no namespace has `near`.
  std::shared_ptr<NearEpochs> epochs_;
  std::vector<std::unique_ptr<NearCache>> caches_;  // By NearRules::cache.
  std::vector<Space> spaces_;
  std::int64_t lag_ns_ = 0;  // As last seen.
  Instant stood_still_;      // Until then the engine's time was not everybody's.
};

}  // namespace tokenring
