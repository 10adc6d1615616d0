#include "rig.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <map>
#include <stdexcept>

namespace tokenring::test {

namespace {

// Copies share their table, which takes long to make.
const Ring& ring_of(const std::vector<NodeSpec>& specs) {
  static std::map<std::string, Ring> rings;
  const std::string name = specs.front().address + " to " + specs.back().address;
  const auto known = rings.find(name);
  if (known != rings.end()) return known->second;
  auto ring = Ring::make(specs, {});
  if (!ring) throw std::runtime_error(ring.error());
  return rings.emplace(name, std::move(ring).value()).first->second;
}

std::vector<NodeSpec> specs_of(const std::string& net, unsigned first, unsigned count) {
  std::vector<NodeSpec> specs(count);
  for (unsigned i = 0; i < count; ++i)
    specs[i].address = net + std::to_string(first + i + 1) + ":11211";
  return specs;
}

std::shared_ptr<Snapshot> snapshot_of(const RigOptions& options) {
  const std::vector<NodeSpec> specs = specs_of("10.0.0.", options.first_node, options.nodes);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->pools.push_back(Pool{"default", specs, ring_of(specs), options.pool, 0});
  if (options.gutter_nodes > 0) {
    const std::vector<NodeSpec> others = specs_of("10.0.1.", 0, options.gutter_nodes);
    snapshot->pools.push_back(Pool{"gutter", others, ring_of(others), {}, options.nodes});
    snapshot->pools[0].options.gutter = 1;
  }
  snapshot->namespaces = NamespaceTable(
      {Namespace{.prefix = "", .pool = 0, .life = options.life, .coalesce = options.coalesce}});
  snapshot->limits = options.limits;
  if (options.adjust) options.adjust(*snapshot);
  return snapshot;
}

}  // namespace

Rig::Rig(const RigOptions& options)
    : snapshot_(snapshot_of(options)),
      engine_(std::make_unique<Engine>(snapshot_,
                                       EngineOptions{.board = &board_,
                                                     .counters = &board_.of_worker[0],
                                                     .entropy = options.entropy,
                                                     .latencies = &board_.latencies[0],
                                                     .requests_max = options.requests_max},
                                       now_)),
      nodes_(options.nodes * options.pool.links_per_node + options.gutter_nodes),
      who_comes_(options.peer) {
  turn();
}

void Rig::adopt(const RigOptions& options) {
  turn();
  snapshot_ = snapshot_of(options);
  engine_->adopt(snapshot_, now_);
  turn();
}

ClientPeer& Rig::client(unsigned index) {
  if (clients_.size() <= index) clients_.resize(index + 1);
  ClientPeer& peer = clients_[index];
  if (!peer.open) {
    peer.open = true;
    peer.id = engine_->open_client(0, who_comes_ ? who_comes_(index) : Peer());
  }
  return peer;
}

std::string Rig::key_on(std::string_view stem, unsigned owner) const {
  for (unsigned i = 1000; i < 2000; ++i) {
    std::string key = std::string(stem) + std::to_string(i).substr(1);
    if (snapshot_->pools[0].ring.owner_of(key) == owner) return key;
  }
  throw std::runtime_error("no key for this node");
}

void Rig::client_send(unsigned index, std::string_view bytes) {
  ClientPeer& peer = client(index);
  peer.unread += bytes;
  feed(peer);
}

void Rig::feed(ClientPeer& peer) {
  std::size_t done = 0;
  while (!peer.gone && done < peer.unread.size()) {
    const std::span<char> space = engine_->client_space(peer.id);
    if (space.empty()) break;
    std::size_t n = std::min(space.size(), peer.unread.size() - done);
    if (client_pieces_) n = std::min(n, client_pieces_(done));
    std::memcpy(space.data(), peer.unread.data() + done, n);
    engine_->client_received(peer.id, n, now_);
    done += n;
  }
  peer.sent.append(peer.unread, 0, done);
  peer.unread.erase(0, done);
}

void Rig::client_close(unsigned index) {
  ClientPeer& peer = client(index);
  if (!peer.gone) engine_->client_lost(peer.id);
  peer.gone = true;
}

void Rig::client_end(unsigned index) {
  ClientPeer& peer = client(index);
  if (!peer.gone) engine_->client_ended(peer.id);
}

void Rig::node_send(unsigned link, std::string_view bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const std::span<char> space = engine_->link_space(nodes_.at(link).link);
    if (space.empty() || !nodes_[link].connected) return;
    std::size_t n = std::min(space.size(), bytes.size() - done);
    if (node_pieces_) n = std::min(n, node_pieces_(done));
    std::memcpy(space.data(), bytes.data() + done, n);
    engine_->link_received(nodes_[link].link, n, now_);
    done += n;
  }
}

void Rig::node_close(unsigned link) {
  if (!nodes_.at(link).connected) return;
  nodes_[link].connected = false;
  engine_->link_lost(nodes_[link].link, now_);
}

ClientPeer* Rig::peer_of(ClientId id) {
  for (ClientPeer& peer : clients_)
    if (peer.open && !peer.gone && peer.id == id) return &peer;
  return nullptr;
}

void Rig::flush_client(ClientId id) {
  ClientPeer* peer = peer_of(id);
  if (peer == nullptr || !peer->reads) return;
  std::array<std::string_view, 64> pieces;
  while (const std::size_t count = engine_->client_output(id, pieces)) {
    std::size_t sent = 0;
    for (std::size_t i = 0; i < count; ++i) {
      peer->inbox += pieces[i];
      peer->all_inbox += pieces[i];
      sent += pieces[i].size();
    }
    engine_->client_sent(id, sent);
  }
  if (!engine_->client_is_done(id)) return;
  peer->gone = true;
  engine_->client_lost(id);
}

void Rig::open_link(LinkId id) {
  if (nodes_.size() <= id.index) nodes_.resize(id.index + 1);
  NodePeer& node = nodes_[id.index];
  node.link = id;
  node.inbox.clear();
  node.greeted = false;
  node.connected = !node.refuses;
  if (node.refuses) return engine_->link_lost(id, now_);
  node.connections.emplace_back();
  engine_->link_connected(id, now_);
}

void Rig::flush_link(LinkId id) {
  NodePeer& node = nodes_[id.index];
  if (node.link != id || !node.connected) return;
  std::array<std::string_view, 64> pieces;
  while (OutQueue* out = engine_->link_output(id)) {
    const std::size_t count = out->front(pieces);
    std::size_t sent = 0;
    for (std::size_t i = 0; i < count; ++i) {
      node.inbox += pieces[i];
      node.connections.back() += pieces[i];
      sent += pieces[i].size();
    }
    out->consume(sent);
    if (!node.greeted && node.inbox.ends_with("version\r\n")) {
      node.greeted = true;
      node.inbox.resize(node.inbox.size() - 9);
      node_send(id.index, "VERSION " + node.version + "\r\n");
    }
  }
}

void Rig::turn() {
  engine_->resume(now_);
  while (!engine_->outbox().empty()) {
    Outbox work;
    std::swap(work, engine_->outbox());
    std::move(work.questions.begin(), work.questions.end(), std::back_inserter(questions_));
    for (const LinkId id : work.close_links)
      if (nodes_[id.index].link == id) nodes_[id.index].connected = false;
    AccessWork& access = work.access_work();
    std::move(access.events.begin(), access.events.end(), std::back_inserter(access_events_));
    std::move(access.logins.begin(), access.logins.end(), std::back_inserter(logins_));
    for (const ClientId id : work.close_clients)
      if (ClientPeer* peer = peer_of(id))
        client_close(static_cast<unsigned>(peer - clients_.data()));
    for (const LinkId id : work.open_links) open_link(id);
    for (const LinkId id : work.flush_links) flush_link(id);
    for (const ClientId id : work.flush_clients) flush_client(id);
    for (const ClientId id : work.read_clients)
      if (ClientPeer* peer = peer_of(id)) feed(*peer);
    engine_->resume(now_);
  }
}

void Rig::advance(std::int64_t ms) {
  turn();
  for (std::int64_t passed = 0; passed < ms; passed += Engine::kTickMs) {
    now_.instant = now_.instant.plus_ms(Engine::kTickMs);
    engine_->tick(now_);
    turn();
  }
  passed_ms_ += ms;
  now_.unix_time.seconds = kTranscriptNow + passed_ms_ / 1000;
}

void Rig::adopt(std::shared_ptr<Snapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  engine_->adopt(snapshot_, now_);
  turn();
}

void Rig::leave() {
  for (NodePeer& node : nodes_) node.refuses = true;
  for (unsigned i = 0; i < clients_.size(); ++i)
    if (clients_[i].open) client_close(i);
  for (unsigned i = 0; i < nodes_.size(); ++i) node_close(i);
  turn();
}

}  // namespace tokenring::test
