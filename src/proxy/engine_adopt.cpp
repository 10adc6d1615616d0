// Changes of the configuration, and the way out of clients when the process drains.
//
// A link is known across snapshots by its identity: pool, node, place and number. Those of the new
// snapshot that are here already stay as they are, with all that is in flight. Those that it does
// not have take no more requests and end with their last reply.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "proxy/engine.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kMissedNodesMax = 1024;

// All but what follows the last line's end is the node's.
std::string link_identity(const Pool& pool, std::uint32_t node, std::uint32_t number) {
  const NodeSpec& spec = pool.nodes[node];
  return fmt::format("{}\n{}\n{}\n{}\n{} {}", pool.name, spec.name, spec.address,
                     pool.place_of(node), number, pool.tls);
}

}  // namespace

void Engine::adopt(std::shared_ptr<const Snapshot> snapshot, Now now) {
  TR_ASSERT(outbox_.open_links.empty());
  TR_ASSERT(outbox_.node_events.empty() && outbox_.seal_events.empty());
  TR_ASSERT(outbox_.access == nullptr);
  TR_ASSERT(outbox_.questions.empty());
  now_ = now;
  const bool is_reload = snapshot != snapshot_;
  if (is_reload) {
    rename_spaces(*snapshot_, *snapshot);
    publish();  // Links that go count no more.
  }
  const auto before = std::exchange(snapshot_, std::move(snapshot));  // Clients name parts of it.
  audit_.adopt();
  adopt_tallies();
  adopt_keys();
  adopt_identities();
  near_.adopt();
  leaders_.clear();  // What was not told apart until now may be from now on.
  gets_may_fail_ = snapshot_->namespaces.find({}) == nullptr;
  link_table_.clear();
  backend_links_.clear();
  for (const Pool& pool : snapshot_->pools) {
    gets_may_fail_ |= pool.options.on_failure == OnFailure::kError ||
                      pool.options.on_node_down == OnNodeDown::kError;
    for (std::uint32_t n = 0; n < pool.nodes.size(); ++n) {
      backend_links_.push_back(
          {static_cast<std::uint32_t>(link_table_.size()), pool.options.links_per_node});
      for (std::uint32_t number = 0; number < pool.options.links_per_node; ++number)
        link_table_.push_back(adopt_link(pool, pool.first_backend + n, number, is_reload));
    }
  }
  std::vector<bool> listed(links_.size());
  for (const std::uint32_t index : link_table_) {
    listed[index] = true;
    std::erase_if(missed_nodes_, [&](const std::string& node) {
      return links_[index].identity.starts_with(node);
    });
  }
  for (std::uint32_t i = 0; i < links_.size(); ++i)
    if (!listed[i] && links_[i].state != Link::State::kUnused) retire(links_[i]);
}

void Engine::adopt_tallies() {
  space_tallies_.clear();
  space_latencies_.clear();
  space_times_.clear();
  if (options_.board != nullptr &&
      std::any_of(snapshot_->namespaces.all().begin(), snapshot_->namespaces.all().end(),
                  [](const Namespace& space) { return space.tokens.replay_guard; }))
    options_.board->replays.prepare(random());
  if (snapshot_->tallies == nullptr) return;
  SpaceTallies& spaces = snapshot_->tallies->spaces;
  LatencyTallies& latencies = snapshot_->tallies->latencies;
  for (std::size_t n = 0; n < spaces.columns() && spaces.has(options_.worker, n); ++n) {
    space_tallies_.push_back(&spaces.at(options_.worker, n));
    space_latencies_.push_back(&latencies.at(options_.worker, n));
    if (const auto& columns = snapshot_->tallies->time_columns; n < columns.size())
      space_times_.push_back(&snapshot_->tallies->times.at(options_.worker, columns[n]));
  }
}

// What is in flight is counted where it belongs from now on.
void Engine::rename_spaces(const Snapshot& from, const Snapshot& to) {
  std::vector<std::uint16_t> names;
  const auto spaces = to.namespaces.all();
  for (const Namespace& old : from.namespaces.all()) {
    const auto same = std::find_if(spaces.begin(), spaces.end(), [&](const Namespace& other) {
      return other.prefix == old.prefix;
    });
    names.push_back(same == spaces.end() ? Slot::kNoSpace
                                         : static_cast<std::uint16_t>(same - spaces.begin()));
  }
  const auto rename = [&](std::uint16_t& space) {
    if (space != Slot::kNoSpace) space = names[space];
  };
  slots_.for_each([&](std::uint32_t, Slot& slot) { rename(slot.space); });
  for (Served& served : served_) rename(served.space);
}

// The link of that identity, or a new one; its index.
std::uint32_t Engine::adopt_link(const Pool& pool, std::uint32_t backend, std::uint32_t number,
                                 bool is_reload) {
  const std::string identity = link_identity(pool, backend - pool.first_backend, number);
  auto found = std::find_if(links_.begin(), links_.end(), [&](const Link& link) {
    return link.state != Link::State::kUnused && !link.retiring && link.identity == identity;
  });
  const bool is_new = found == links_.end();
  if (is_new) {
    found = std::find_if(links_.begin(), links_.end(),
                         [](const Link& link) { return link.state == Link::State::kUnused; });
    if (found == links_.end()) found = links_.emplace(links_.end());
    const std::uint32_t generation = found->generation;
    *found = Link();
    found->generation = generation;
    found->identity = identity;
    found->missed_writes =
        std::any_of(missed_nodes_.begin(), missed_nodes_.end(),
                    [&](const std::string& node) { return identity.starts_with(node); });
    found->next_opaque = static_cast<std::uint32_t>(random());
    if (is_reload) found->readmitted_s = now_.unix_time.seconds;
  }
  found->backend = backend;
  found->connect_timeout_ms = pool.options.connect_timeout_ms;
  found->request_timeout_ms = pool.options.request_timeout_ms;
  found->timeouts_to_down = pool.options.timeouts_to_down;
  found->retry_max_ms = pool.options.retry_max_ms;
  found->flush_on_rejoin = pool.options.on_rejoin == OnRejoin::kFlush;
  if (is_new) open(*found);
  return static_cast<std::uint32_t>(found - links_.begin());
}

// What waits for a connection that is still being made is served by it yet.
void Engine::retire(Link& link) noexcept {
  link.retiring = true;
  remember_missed(link);
  end_if_retired(link);
}

// A node that left with a mark has it again when it comes back; so do those of its links that are
// there already. REQUIRES: the link retires.
void Engine::remember_missed(const Link& link) {
  if (!link.missed_writes) return;
  const std::string node = link.identity.substr(0, link.identity.rfind('\n') + 1);
  bool is_here = false;
  for (Link& other : links_) {
    if (other.state == Link::State::kUnused || other.retiring) continue;
    if (!other.identity.starts_with(node)) continue;
    other.missed_writes = is_here = true;
  }
  if (is_here || std::find(missed_nodes_.begin(), missed_nodes_.end(), node) != missed_nodes_.end())
    return;
  if (missed_nodes_.size() == kMissedNodesMax) missed_nodes_.erase(missed_nodes_.begin());
  missed_nodes_.push_back(node);
}

void Engine::end_if_retired(Link& link) noexcept {
  if (link.slots > 0 || link.state == Link::State::kUnused) return;
  if (link.is_connected()) outbox_.close_links.push_back(id_of(link));
  link.in.reset();
  link.out.clear();
  link.greeting.clear();
  link.dirty = false;
  link.needed = 0;
  link.state = Link::State::kUnused;
  ++link.generation;
}

void Engine::drain_clients(bool at_once, Now now) noexcept {
  now_ = now;
  const std::int64_t quiet_ns = at_once ? 0 : kDrainQuietMs * 1'000'000;
  clients_.for_each([&](std::uint32_t index, Client& client) {
    const bool idle =
        client.slots == 0 && client.in.empty() && client.out.empty() &&
        (client.mode == Client::Mode::kRequests || client.mode == Client::Mode::kLogin);
    if (!idle || now.instant.ns - client.last_heard.ns < quiet_ns) return;
    client.closing = true;
    mark_dirty(client, clients_.id_of(index));
  });
}

void Engine::end_clients() noexcept {
  clients_.for_each([&](std::uint32_t index, Client& client) {
    client.closing = true;
    mark_dirty(client, clients_.id_of(index));
  });
}

}  // namespace tokenring
