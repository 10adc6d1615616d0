#include "world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tokenring::sim {

namespace {

constexpr std::size_t kValueBytesMax = 4096;
constexpr std::uint32_t kStepsMax = 400'000;  // Far beyond what any seed takes.

std::shared_ptr<const Snapshot> make_snapshot(const Options& options) {
  std::vector<NodeSpec> nodes;
  for (std::uint32_t i = 0; i < options.nodes; ++i)
    nodes.push_back({.address = fmt::format("node{}:11211", i)});
  auto snapshot = std::make_shared<Snapshot>();
  PoolOptions pool;
  pool.links_per_node = options.links_per_node;
  if (!options.faults) pool.request_timeout_ms = 1'000'000;  // Chance alone can be slow.
  pool.on_failure = options.failure_is_miss ? OnFailure::kMiss : OnFailure::kError;
  if (options.failover) pool.on_node_down = OnNodeDown::kFailover;
  snapshot->pools.push_back({"default", nodes, Ring::make(nodes, {}).value(), pool, 0});
  Namespace everything;
  Namespace capped;
  capped.prefix = kCappedPrefix;
  capped.life.ttl_cap_s = kCapS;
  capped.life.ttl_jitter = 0.1;
  everything.coalesce = capped.coalesce = options.coalesce;
  snapshot->namespaces = NamespaceTable({everything, capped});
  snapshot->limits.value_bytes_max = kValueBytesMax;
  snapshot->limits.requests_per_client_max = 200;
  snapshot->limits.output_bytes_per_client_max = std::size_t{64} << 10;
  return snapshot;
}

}  // namespace

Options Options::of(std::uint64_t seed) {
  Random random(seed ^ 0x51);
  Options options;
  options.seed = seed;
  options.nodes = 1 + static_cast<std::uint32_t>(random.below(4));
  options.clients = 1 + static_cast<std::uint32_t>(random.below(8));
  options.links_per_node = random.one_in(4) ? 2 : 1;
  options.faults = random.one_in(2);
  options.lies = options.faults && random.one_in(2);
  options.failure_is_miss = !random.one_in(3);
  options.coalesce = random.one_in(2);
  options.failover = random.one_in(3);
  options.requests = 20 + static_cast<std::uint32_t>(random.below(80));
  return options;
}

std::string Options::text() const {
  return fmt::format(
      "seed {} (nodes {}, clients {}, links {}, faults {}, lies {}, on_failure {}, coalesce {}, "
      "failover {})",
      seed, nodes, clients, links_per_node, faults, lies, failure_is_miss ? "miss" : "error",
      coalesce, failover);
}

World::World(const Options& options)
    : options_(options), random_(options.seed), snapshot_(make_snapshot(options)) {
  now_ = {.unix_time = {1'790'000'000}, .instant = {1'000'000'000}};
  StoreOptions store;
  store.bytes_max = std::size_t{8} << 20;
  for (std::uint32_t i = 0; i < options.nodes; ++i)
    nodes_.push_back({.store = std::make_unique<EmbeddedNode>(store)});
  engine_ = std::make_unique<Engine>(
      snapshot_,
      EngineOptions{.seed = options.seed, .board = &board_, .counters = board_.of_worker.data()},
      now_);
  const Rules rules{.faults = options.faults,
                    .failure_is_miss = options.failure_is_miss,
                    .value_bytes_max = kValueBytesMax,
                    .clients = options.clients};
  const auto written = std::make_shared<Written>();
  for (std::uint32_t i = 0; i < options.clients; ++i) {
    Peer& peer = peers_.emplace_back();
    peer.client = std::make_unique<Client>(i, random_.next(), rules, written);
    peer.id = engine_->open_client();
  }
}

World::~World() = default;

void World::advance(std::int64_t ms) {
  const std::int64_t seconds_before = now_.instant.ns / 1'000'000'000;
  now_.instant = now_.instant.plus_ms(ms);
  now_.unix_time.seconds += now_.instant.ns / 1'000'000'000 - seconds_before;
  engine_->tick(now_);
}

// What the engine's owner owes it, done at once or left for a later step by marks.
void World::carry_out() {
  engine_->resume(now_);
  while (!engine_->outbox().empty()) {
    Outbox work;
    std::swap(work, engine_->outbox());
    for (const LinkId id : work.close_links)
      if (id.index < pipes_.size() && pipes_[id.index].id == id) pipes_[id.index].open = false;
    for (const LinkId id : work.open_links) {
      if (id.index >= pipes_.size()) pipes_.resize(id.index + 1);
      pipes_[id.index] = Pipe{.id = id, .open = true, .connecting = true};
    }
    for (const LinkId id : work.flush_links)
      if (id.index < pipes_.size() && pipes_[id.index].id == id) pipes_[id.index].flush = true;
    for (Peer& peer : peers_) {
      if (!peer.id) continue;
      const auto listed = [&](const std::vector<ClientId>& ids) {
        return std::find(ids.begin(), ids.end(), *peer.id) != ids.end();
      };
      peer.flush |= listed(work.flush_clients);
      peer.unread &= !listed(work.read_clients);
    }
    engine_->resume(now_);
  }
}

void World::run_client(Peer& peer) {
  if (!peer.id) return;
  switch (random_.below(4)) {
    case 0:
      if (!healing_ && peer.sent < options_.requests && peer.client->outstanding() < 40) {
        const std::size_t before = peer.client->outstanding();
        peer.to_proxy += peer.client->more_requests();
        peer.sent += 1 + static_cast<std::uint32_t>(peer.client->outstanding() - before);
      }
      return;
    case 1:
      return deliver_to_engine(peer);
    default:
      return deliver_to_client(peer);
  }
}

void World::deliver_to_engine(Peer& peer) {
  if (peer.to_proxy.empty() || peer.unread) return;
  const std::span<char> space = engine_->client_space(*peer.id);
  if (space.empty()) {
    peer.unread = true;
    return;
  }
  const std::size_t n = std::min(
      {space.size(), peer.to_proxy.size(), some(random_.one_in(3) ? 7 : peer.to_proxy.size())});
  peer.to_proxy.copy(space.data(), n);
  peer.to_proxy.erase(0, n);
  engine_->client_received(*peer.id, n, now_);
}

void World::deliver_to_client(Peer& peer) {
  if (!peer.flush) return;
  std::array<std::string_view, 4> pieces;
  const std::size_t count = engine_->client_output(*peer.id, pieces);
  if (count == 0) {
    peer.flush = false;
    return;
  }
  const std::string bytes(pieces[0].substr(0, some(pieces[0].size())));
  engine_->client_sent(*peer.id, bytes.size());
  const std::string wrong = peer.client->receive(bytes);
  if (!wrong.empty() && failure_.empty()) failure_ = wrong;
}

void World::run_pipe(Pipe& pipe) {
  if (!pipe.open) return;
  Node& node = nodes_[engine_->link_backend(pipe.id)];
  if (pipe.connecting) {
    if (node.dead) return engine_->link_lost(pipe.id, now_);
    pipe.connecting = false;  // A frozen node's kernel accepts for it.
    return engine_->link_connected(pipe.id, now_);
  }
  if (node.dead) return engine_->link_lost(pipe.id, now_);
  switch (random_.below(3)) {
    case 0:
      if (OutQueue* out = pipe.flush ? engine_->link_output(pipe.id) : nullptr) {
        std::array<std::string_view, 1> piece;
        static_cast<void>(out->front(piece));
        const std::size_t n = some(piece[0].size());
        pipe.to_node += piece[0].substr(0, n);
        out->consume(n);
      } else {
        pipe.flush = false;
      }
      return;
    case 1:
      return node.frozen ? void() : serve_node(pipe);
    default:
      return answer_proxy(pipe);
  }
}

void World::serve_node(Pipe& pipe) {
  Node& node = nodes_[engine_->link_backend(pipe.id)];
  const std::size_t visible = std::min(pipe.to_node.size(), some(pipe.to_node.size() + 1));
  OutQueue replies;
  const std::size_t done =
      node.store->serve(pipe.state, std::string_view(pipe.to_node).substr(0, visible),
                        now_.unix_time, replies, node_pool_);
  pipe.to_node.erase(0, done);
  pipe.at_boundary |= pipe.to_proxy.empty();
  std::array<std::string_view, 1> piece;
  while (!replies.empty()) {
    static_cast<void>(replies.front(piece));
    pipe.to_proxy += piece[0];
    replies.consume(piece[0].size());
  }
}

void World::answer_proxy(Pipe& pipe) {
  if (pipe.to_proxy.empty()) return;
  // Within a value a lie would be a change of the value, which nobody could tell.
  if (options_.lies && !healing_ && pipe.at_boundary && random_.one_in(20)) tell_a_lie(pipe);
  pipe.at_boundary = false;
  const std::span<char> space = engine_->link_space(pipe.id);
  const std::size_t n =
      std::min({space.size(), pipe.to_proxy.size(), some(pipe.to_proxy.size() + 1)});
  if (n == 0) return;
  pipe.to_proxy.copy(space.data(), n);
  pipe.to_proxy.erase(0, n);
  engine_->link_received(pipe.id, n, now_);
}

// The node at the other end gives an answer that is none.
void World::tell_a_lie(Pipe& pipe) {
  static constexpr std::string_view kLies[] = {"HD\r\n",
                                               "END\r\n",
                                               "MN\r\n",
                                               "VALUE c0:k0 0 3\r\nboo\r\nEND\r\n",
                                               "VA 3 f0 O0000\r\nboo\r\n",
                                               "garbage\r\n",
                                               "VA 99999999999\r\n",
                                               "EN\r\n",
                                               "\r\n",
                                               "STORED\r\n",
                                               "SERVER_ERROR lie\r\n"};
  switch (random_.below(3)) {
    case 0:
      pipe.to_proxy.clear();
      break;  // All that was on its way is lost.
    case 1:
      pipe.to_proxy.insert(0, kLies[random_.below(std::size(kLies))]);
      break;
    default:
      pipe.to_proxy += pipe.to_proxy;
      break;
  }
}

void World::break_something() {
  Node& node = nodes_[random_.below(nodes_.size())];
  switch (random_.below(6)) {
    case 0:
      node.dead = true;
      break;
    case 1:
      node.frozen = true;
      break;
    case 2:
      if (!pipes_.empty()) engine_->link_lost(pipes_[random_.below(pipes_.size())].id, now_);
      break;
    case 3:
      close(peers_[random_.below(peers_.size())]);
      break;
    default:
      node.dead = node.frozen = false;
      break;
  }
}

void World::heal() {
  healing_ = true;
  for (Node& node : nodes_) node.dead = node.frozen = false;
}

// The client goes away, perhaps in the middle of a request, and does not come back.
void World::close(Peer& peer) {
  if (!peer.id || !random_.one_in(8)) return;
  engine_->client_lost(*peer.id);
  peer.id.reset();
}

void World::step() {
  const std::uint64_t what = random_.below(100);
  if (what < 45) {
    run_client(peers_[random_.below(peers_.size())]);
  } else if (what < 95) {
    if (!pipes_.empty()) run_pipe(pipes_[random_.below(pipes_.size())]);
  } else if (what < 99 || !options_.faults || healing_) {
    advance(static_cast<std::int64_t>(random_.below(options_.faults ? 20 : 2)));
  } else {
    break_something();
  }
  carry_out();
}

bool World::settled() const {
  return std::all_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return !peer.id || (peer.to_proxy.empty() && peer.client->outstanding() == 0);
  });
}

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
          const std::string seen = node_says(node, fmt::format("me {}{}\r\n", key, tail));
          const std::size_t exp = seen.find(" exp=");
          if (exp == std::string::npos) continue;
          const std::int64_t left = std::stol(seen.substr(exp + 5));
          if (left < 0 || left > kCapS) return "beyond its cap: " + seen;
        }
      }
    }
  }
  return {};
}

std::string World::node_says(Node& node, std::string_view line) {
  EmbeddedNode::Link link;
  OutQueue replies;
  static_cast<void>(node.store->serve(link, line, now_.unix_time, replies, node_pool_));
  std::string said;
  std::array<std::string_view, 1> piece;
  while (!replies.empty()) {
    static_cast<void>(replies.front(piece));
    said += piece[0];
    replies.consume(piece[0].size());
  }
  return said;
}

// Everybody has been answered, and all that nodes owe has come: nothing is pending.
std::string World::check_quiet() {
  for (std::uint32_t i = 0; i < kStepsMax && engine_->in_flight() > 0; ++i) step();
  if (engine_->in_flight() != 0) return fmt::format("quiet, {} in flight", engine_->in_flight());
  if (engine_->slot_count() != 0) return fmt::format("quiet, {} slots", engine_->slot_count());
  for (const Peer& peer : peers_)
    if (peer.id && engine_->client_sendable(*peer.id) > 0) return "quiet, and replies unsent";
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
  if (engine_->client_count() != 0) return "clients left";
  for (const Pipe& pipe : pipes_) engine_->link_lost(pipe.id, now_);
  engine_->outbox().clear();
  if (engine_->pool().bytes_lent() != 0)
    return fmt::format("{} bytes of buffers left", engine_->pool().bytes_lent());
  return {};
}

std::string World::run() {
  carry_out();
  const auto busy = [&] {
    return std::any_of(peers_.begin(), peers_.end(),
                       [&](const Peer& peer) { return peer.id && peer.sent < options_.requests; });
  };
  for (std::uint32_t i = 0; i < kStepsMax && busy() && failure_.empty(); ++i) {
    step();
    if (std::string wrong = check_bounds(); !wrong.empty()) return wrong;
    if (i % 256 == 0)
      if (std::string wrong = check_lives(); !wrong.empty()) return wrong;
  }
  heal();
  for (std::uint32_t i = 0; i < kStepsMax && !settled() && failure_.empty(); ++i) step();
  if (!failure_.empty()) return failure_;
  for (const Peer& peer : peers_)
    if (peer.id && peer.client->outstanding() > 0)
      return "never answered: " + peer.client->first_outstanding();
  if (std::string wrong = check_lives(); !wrong.empty()) return wrong;
  if (std::string wrong = check_quiet(); !wrong.empty()) return wrong;
  return check_end();
}

}  // namespace tokenring::sim
