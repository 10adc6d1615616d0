// What has to hold in the world at any time, and at its end.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "seal/blind.hpp"
#include "who.hpp"
#include "wire/drained.hpp"
#include "world.hpp"

namespace tokenring::sim {

// What clients may have out bounds slots and buffers: requests upstream, replies back.
std::string World::check_bounds() {
  const Limits& limits = snapshot_->limits;
  static constexpr std::size_t kAround = 2048;  // A request or reply without its value.
  const std::size_t requests = peers_.size() * limits.requests_per_client_max;
  const std::size_t slots = engine_->slot_count();
  // A text get goes beyond the limit with its last line; a batch has an mn.
  const std::size_t slots_max = 2 * requests + peers_.size() * kAround;
  if (slots > slots_max) return fmt::format("{} slots", slots);
  const std::size_t bytes = engine_->pool().bytes_lent();
  const std::size_t bytes_max = (requests + pipes_.size()) * (kValueBytesMax + kAround) +
                                peers_.size() * 2 * limits.output_bytes_per_client_max;
  return bytes > bytes_max ? fmt::format("{} bytes of buffers", bytes) : std::string();
}

// What nodes hold in the capped namespace ends within its cap.
std::string World::check_lives() {
  for (Node& node : nodes_) {
    for (const Peer& peer : peers_) {
      for (const std::string& key : peer.client->keys()) {
        for (const std::string_view tail : {"", "#"}) {
          if (!key.starts_with(kCappedPrefix)) continue;
          const std::string item = node_key(key + std::string(tail));
          std::string seen = node_says(node, fmt::format("me {}\r\n", item));
          const std::size_t exp = seen.find(" exp=");
          if (exp == std::string::npos) continue;
          const std::int64_t left = -std::stol(seen.substr(exp + 5));
          const bool may_be_endless = left == 1;  // A second, or no end at all: mg tells.
          if (may_be_endless) seen += node_says(node, fmt::format("mg {} t\r\n", item));
          const bool is_endless = may_be_endless && seen.find(" t-1") != std::string::npos;
          if (is_endless || left < 0 || left > kCapS) return "beyond its cap: " + seen;
        }
      }
    }
  }
  return {};
}

// The key as nodes know it.
std::string World::node_key(const std::string& key) const {
  const std::string mark = options_.asks ? mark_of(writer_of(key)) : std::string();
  if (!options_.blinded) return mark + key;
  const std::string_view tag_ends = snapshot_->pools[0].ring.hash_tag();
  const std::string_view tag = hashed_part(key, tag_ends);
  const std::string space = mark + std::string(kCappedPrefix);
  std::string hidden(kKeyBytesMax, ' ');
  const BlindedKey blinded = snapshot_->keyring->blinder().blind(
      {.space = space, .key = key, .tag = tag.size() == key.size() ? "" : tag}, tag_ends,
      hidden.data());
  hidden.resize(blinded.size);
  return hidden;
}

std::string World::node_says(Node& node, std::string_view line) {
  EmbeddedNode::Link link;
  OutQueue replies;
  static_cast<void>(node.store->serve(link, line, now_.unix_time, replies, node_pool_));
  return drained(replies);
}

// Everybody has been answered, and all that nodes owe has come: nothing is pending.
std::string World::check_quiet() {
  for (std::uint32_t i = 0; i < kStepsMax && engine_->in_flight() > 0; ++i) step();
  if (engine_->in_flight() != 0) return fmt::format("quiet, {} in flight", engine_->in_flight());
  if (engine_->slot_count() != 0) return fmt::format("quiet, {} slots", engine_->slot_count());
  for (const Peer& peer : peers_)
    if (peer.id && engine_->client_sendable(*peer.id) > 0) return "quiet, and replies unsent";
  std::size_t links = 0;
  for (const Pool& pool : snapshot_->pools)
    links += pool.nodes.size() * pool.options.links_per_node;
  const auto open = static_cast<std::size_t>(
      std::count_if(pipes_.begin(), pipes_.end(), [](const Pipe& pipe) { return pipe.open; }));
  if (open > links) return fmt::format("quiet, and {} connections for {} links", open, links);
  return {};
}

// After all have left, nothing is.
std::string World::check_end() {
  for (Peer& peer : peers_) {
    if (peer.id) engine_->client_lost(*peer.id);
    peer.id.reset();
  }
  for (std::uint32_t i = 0; i < kStepsMax && engine_->in_flight() > 0; ++i) step();
  carry_out();
  if (engine_->in_flight() != 0) return fmt::format("{} requests in flight", engine_->in_flight());
  if (engine_->slot_count() != 0) return fmt::format("{} slots left", engine_->slot_count());
  if (engine_->sealing_count() != 0)
    return fmt::format("{} sealings left", engine_->sealing_count());
  if (engine_->client_count() != 0) return "clients left";
  for (const Pipe& pipe : pipes_) engine_->link_lost(pipe.id, now_);
  engine_->outbox().clear();
  if (engine_->pool().bytes_lent() != 0)
    return fmt::format("{} bytes of buffers left", engine_->pool().bytes_lent());
  return {};
}

}  // namespace tokenring::sim
