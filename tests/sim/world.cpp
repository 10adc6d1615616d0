#include "world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "who.hpp"

namespace tokenring::sim {

namespace {

constexpr std::uint32_t kFewRequests = 24;

}  // namespace

World::World(const Options& options)
    : options_(options),
      random_(options.seed),
      entropy_(options.seed),
      snapshot_(first_snapshot(options)) {
  now_ = {.unix_time = {1'790'000'000}, .instant = {1'000'000'000}};
  StoreOptions store;
  store.bytes_max = std::size_t{8} << 20;
  for (std::uint32_t i = 0; i < options.nodes + kGutterNodes; ++i)
    nodes_.push_back({.store = std::make_unique<EmbeddedNode>(store)});
  const std::uint32_t requests_max = options.tight ? kFewRequests : EngineOptions::kRequestsMax;
  engine_ = std::make_unique<Engine>(snapshot_,
                                     EngineOptions{.seed = options.seed,
                                                   .board = &board_,
                                                   .counters = board_.of_worker.data(),
                                                   .entropy = &entropy_,
                                                   .latencies = board_.latencies.data(),
                                                   .requests_max = requests_max},
                                     now_);
  const Rules rules{.faults = options.faults,
                    .loses = options.faults || options.node_changes,
                    .expires = options.flush || options.time_limits,
                    .lies = options.lies,
                    .get_errors = !options.failure_is_miss || options.reloads,
                    .limits = options.tight,
                    .asks = options.asks,
                    .value_bytes_max = kValueBytesMax,
                    .clients = options.clients};
  const auto facts = std::make_shared<Facts>();
  for (std::uint32_t i = 0; i < options.clients; ++i) {
    Peer& peer = peers_.emplace_back();
    peer.number = i;
    peer.client = std::make_unique<Client>(i, random_.next(), rules, facts);
    come(peer);
  }
}

World::~World() = default;

void World::come(Peer& peer) {
  peer.id = engine_->open_client(0, peer_of(peer.number));
  peer.to_proxy = peer.client->log_in();
}

void World::check_login() {
  if (logins_.empty() || !random_.one_in(8)) return;
  LoginJob job = std::move(logins_.front());
  logins_.erase(logins_.begin());
  job.check();
  engine_->login_checked(std::move(job), now_);
}

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
    std::vector<LoginJob>& logins = work.access_work().logins;
    std::move(logins.begin(), logins.end(), std::back_inserter(logins_));
    for (const ClientId id : work.close_clients) kick(id);
    for (const LinkId id : work.open_links) open(id);
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

std::uint32_t World::node_at(std::string_view address) const {
  std::uint32_t node = 0;
  while (address_of(node) != address) ++node;
  return node;
}

void World::open(LinkId id) {
  if (id.index >= pipes_.size()) pipes_.resize(id.index + 1);
  pipes_[id.index] = Pipe{.id = id};
  if (!engine_->wants_link(id)) return;
  const std::uint32_t backend = engine_->link_backend(id);
  for (const Pool& pool : snapshot_->pools)
    if (backend >= pool.first_backend && backend - pool.first_backend < pool.nodes.size())
      pipes_[id.index].node = node_at(pool.nodes[backend - pool.first_backend].address);
  pipes_[id.index].open = pipes_[id.index].connecting = true;
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
    if (engine_->client_is_done(*peer.id)) leave_or_come_again(peer);
    return;
  }
  const std::string bytes(pieces[0].substr(0, some(pieces[0].size())));
  engine_->client_sent(*peer.id, bytes.size());
  const std::string wrong = peer.client->receive(bytes);
  if (!wrong.empty() && failure_.empty()) failure_ = wrong;
}

void World::run_pipe(Pipe& pipe) {
  if (!pipe.open) return;
  Node& node = nodes_[pipe.node];
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
  Node& node = nodes_[pipe.node];
  const std::size_t all = pipe.to_node.size();
  const std::size_t visible = random_.one_in(4) ? all : std::min(all, some(all + 1));
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

void World::step() {
  const std::uint64_t what = random_.below(100);
  if (what < 45) {
    run_client(peers_[random_.below(peers_.size())]);
  } else if (what < 95) {
    if (!pipes_.empty()) run_pipe(pipes_[random_.below(pipes_.size())]);
  } else if (what < 98) {
    advance(static_cast<std::int64_t>(random_.below(options_.faults ? 20 : 2)));
  } else if (healing_) {
    advance(1);
  } else if (what == 98) {
    if (options_.faults) break_something();
  } else {
    change_something();
  }
  check_login();
  engine_->end_turn(now_);
  carry_out();
}

bool World::settled() const {
  return std::all_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return !peer.id || (peer.to_proxy.empty() && peer.client->outstanding() == 0);
  });
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
