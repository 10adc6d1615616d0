// The engine's outside: clients and links come, hand in bytes, take bytes, and go.
#include "proxy/engine.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"
#include "seal/secret.hpp"

namespace tokenring {

Engine::Engine(std::shared_ptr<const Snapshot> snapshot, EngineOptions options, Now now)
    : snapshot_(std::move(snapshot)),
      options_(options),
      now_(now),
      random_state_(options.seed),
      scratch_(std::make_unique_for_overwrite<char[]>(kScratchBytes)) {
  adopt(snapshot_, now);
}

Engine::~Engine() = default;

// All slabs together take a quarter of the addresses; threads and buffers need theirs.
std::uint32_t EngineOptions::requests_allowed(std::size_t workers) noexcept {
  constexpr std::size_t kBytes = Slab<Slot>::object_bytes() + Slab<Beside>::object_bytes() +
                                 Slab<Client>::object_bytes() + Slab<Sealing>::object_bytes() +
                                 Slab<Marker>::object_bytes() + Slab<Gather>::object_bytes();
  constexpr std::size_t kLeast = 256;
  const std::size_t slots = AddressSpace::allowed() / 4 / workers / kBytes;
  const std::size_t share = slots > kSlotsAtOnce ? (slots - kSlotsAtOnce) / kSlotsPerRequest : 0;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(share, kLeast, kRequestsMax));
}

// splitmix64 (Steele, Lea, Flood 2014): good enough for jitter, and the same in every run of a
// seed.
std::uint64_t Engine::random() noexcept {
  std::uint64_t z = (random_state_ += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

ClientId Engine::open_client(std::uint16_t address, Peer peer) {
  count(Counter::kCurrConnections);
  count(Counter::kTotalConnections);
  const ClientId id = clients_.insert();
  clients_.find(id)->last_heard = now_.instant;
  clients_.find(id)->address = address;
  if (audit_.is_on()) audit_.keep_peer(id, peer);
  const bool is_inside = peer.kind == Peer::Kind::kInside;
  if (is_inside || snapshot_->asks_who(address)) {
    Client& client = *clients_.find(id);
    client.session = std::make_unique<Session>();
    client.session->peer = std::move(peer);
    if (!is_inside) {
      recognise(client, id);
    } else {
      client.session->inside = std::make_unique<Identity>();
      client.session->who = client.session->inside.get();
    }
  }
  return id;
}

std::span<char> Engine::client_space(ClientId id) noexcept {
  Client* client = clients_.find(id);
  if (client == nullptr || client->closing || client->stalled) return {};
  if (client->in.empty()) {
    client->in.reset();
    return {scratch_.get(), kScratchBytes};
  }
  // A large value is read to its end and no further, so that its buffer can be handed on whole.
  // What is set aside grows with what has come, not with what was announced.
  const std::size_t held = client->in.size();
  std::size_t want = kScratchBytes;
  if (client->needed > kMoveBytes && client->needed > held)
    want = std::min(client->needed - held, std::max(held, kScratchBytes));
  else if (client->needed > held)
    want = std::min(want, std::max<std::size_t>(client->needed - held, 4096));
  client->in.reserve(pool_, want);
  return client->in.space().first(want);
}

void Engine::client_received(ClientId id, std::size_t n, Now now) noexcept {
  now_ = now;
  Client* client = clients_.find(id);
  if (client == nullptr) return;
  count(Counter::kBytesRead, n);
  client->last_heard = now.instant;
  ++reads_;
  std::string_view in(scratch_.get(), n);
  const bool is_in_scratch = !client->in.owns();
  if (!is_in_scratch) {
    client->in.commit(n);
    in = client->in.view();
  }
  if (in.size() >= client->needed) {
    keep_rest(*client, in, serve_input(*client, id, in));
    // A group of requests may have ended the client's wish to be served.
    if (client->closing) mark_dirty(*client, id);
  }
  if (client->session != nullptr) charge_bytes(*client, n);
  if (is_in_scratch && sealer_ != nullptr) wipe(scratch_.get(), n);
}

// What was received and not served stays with the client.
void Engine::keep_rest(Client& client, std::string_view in, std::size_t used) noexcept {
  const std::string_view rest = in.substr(used);
  if (client.in.owns()) {
    // The buffer may have been handed on whole; then nothing is left.
    client.in.consume(std::min(used, client.in.size()));
    if (client.in.empty()) client.in.reset();
  } else if (!rest.empty()) {
    client.in = pool_.take(rest.size());
    client.in.append(rest);
  }
}

void Engine::client_ended(ClientId id) noexcept {
  Client* client = clients_.find(id);
  if (client == nullptr) return;
  client->ended = true;
  client->closing |= !client->stalled;
  mark_dirty(*client, id);
}

void Engine::client_lost(ClientId id) noexcept {
  Client* client = clients_.find(id);
  if (client == nullptr) return;
  for (std::uint32_t slot = client->first_slot; slot != kNoSlot;) {
    const std::uint32_t next = slots_[slot].next_in_client;
    slots_[slot].in_client = false;
    release_if_unlisted(slot);
    slot = next;
  }
  if (client->session != nullptr) leave_identity(*client->session);
  clients_.erase(id.index);
  options_.counters->subtract(Counter::kCurrConnections);
}

std::size_t Engine::client_output(ClientId id, std::span<std::string_view> pieces) noexcept {
  Client* client = clients_.find(id);
  if (client == nullptr) return 0;
  client->dirty = false;
  std::size_t left = client->sendable();
  std::size_t filled = client->out.front(pieces);
  for (std::size_t i = 0; i < filled; ++i) {
    pieces[i] = pieces[i].substr(0, left);
    left -= pieces[i].size();
    if (pieces[i].empty()) filled = i;
  }
  return filled;
}

bool Engine::client_sent(ClientId id, std::size_t n) noexcept {
  Client* client = clients_.find(id);
  if (client == nullptr) return false;
  count(Counter::kBytesWritten, n);
  if (client->session != nullptr) charge_bytes(*client, n);
  client->bytes_sent += static_cast<std::uint32_t>(n);
  client->out.consume(n);
  if (client->hold_from != Client::kNoHold) client->hold_from -= n;
  if (client->stalled) queue_resume(*client, id);
  return !client->out.empty() || client->closing;
}

std::size_t Engine::client_sendable(ClientId id) noexcept {
  const Client* client = clients_.find(id);
  return client == nullptr ? 0 : client->sendable();
}

bool Engine::client_is_settled(ClientId id) noexcept {
  const Client* client = clients_.find(id);
  return client == nullptr || client->slots == 0;
}

bool Engine::client_is_done(ClientId id) noexcept {
  const Client* client = clients_.find(id);
  // A get that has no end, served as it came, has held back what nobody will be sent.
  return client != nullptr && client->closing && client->slots == 0 && client->sendable() == 0;
}

void Engine::resume(Now now) noexcept {
  now_ = now;
  // Serving may queue more; those wait for the next turn, so that no client starves the others.
  std::vector<ClientId> due;
  due.swap(resumes_);
  for (const ClientId id : due) {
    Client* client = clients_.find(id);
    if (client == nullptr) continue;
    client->resuming = false;
    if (!has_room(*client)) continue;
    client->stalled = false;
    if (!client->in.empty()) {
      const std::string_view in = client->in.view();
      keep_rest(*client, in, serve_input(*client, id, in));
    }
    client->closing |= client->ended && !client->stalled;
    if (client->closing) mark_dirty(*client, id);
    if (!client->stalled && !client->closing) outbox_.read_clients.push_back(id);
  }
  due.clear();
  if (resumes_.empty()) resumes_.swap(due);  // Keeps its memory.
}

void Engine::tick(Now now) noexcept {
  now_ = now;
  for (Link& link : links_) {
    if (link.state == Link::State::kUnused) continue;
    if (link.state == Link::State::kDown) {
      if (now.instant >= link.retry_at) open(link);
    } else if (link.state != Link::State::kUp && now.instant >= link.connect_deadline) {
      link.trouble = fmt::format("{} within {} ms", link.greeted ? "no version" : "no connection",
                                 link.connect_timeout_ms);
      fail_link(link, WireError::kNodeTimeout);
    }
    expire_requests(link);
  }
  if (!herd_.empty()) wake_herd();
  fills_.expire();
  near_.sweep();
  if (now.instant >= next_publish_) {
    next_publish_ = now.instant.plus_ms(kPublishMs);
    publish();
  }
  if (now.instant < next_sweep_) return;
  next_sweep_ = now.instant.plus_ms(kSweepMs);
  sweep();
}

}  // namespace tokenring
