// What goes wrong in the world, and what changes in it.
#include "world.hpp"

namespace tokenring::sim {

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

// What happens to a proxy that is well: its configuration, its clients and the time change.
void World::change_something() {
  if (options_.reloads && random_.one_in(3)) reload();
  if (options_.drains && random_.one_in(3)) engine_->drain_clients(random_.one_in(2), now_);
  if (options_.time_limits && random_.one_in(3))
    advance(static_cast<std::int64_t>(random_.below(1500)));
}

void World::reload() {
  snapshot_ = next_snapshot(options_, random_);
  engine_->adopt(snapshot_, now_);
}

// The proxy closes it for being idle or slow: never when it is the client that waits.
void World::kick(ClientId id) {
  for (Peer& peer : peers_) {
    if (peer.id != id) continue;
    const bool waits = peer.client->outstanding() > 0 && peer.to_proxy.empty() &&
                       engine_->client_sendable(id) == 0;
    if ((!options_.time_limits || waits) && failure_.empty())
      failure_ = "closed while it waited for " + peer.client->first_outstanding();
    engine_->client_lost(id);
    peer.id.reset();
  }
}

// The proxy let it go when all it had asked for was answered. One that had more to ask stays away.
void World::leave_or_come_again(Peer& peer) {
  if (!options_.drains && failure_.empty()) failure_ = "closed by the proxy";
  if (peer.to_proxy.empty() && peer.client->outstanding() > 0 && failure_.empty())
    failure_ = "drained before the answer to " + peer.client->first_outstanding();
  engine_->client_lost(*peer.id);
  peer.id.reset();
  if (peer.client->outstanding() == 0 && peer.to_proxy.empty()) come(peer);
}

void World::heal() {
  healing_ = true;
  for (Node& node : nodes_) node.dead = node.frozen = false;
  // An answer that a lie swallowed never comes; no connection loses bytes and lives.
  if (options_.lies)
    for (const Pipe& pipe : pipes_) engine_->link_lost(pipe.id, now_);
  carry_out();
}

// The client goes away, perhaps in the middle of a request, and does not come back.
void World::close(Peer& peer) {
  if (!peer.id || !random_.one_in(8)) return;
  engine_->client_lost(*peer.id);
  peer.id.reset();
}

}  // namespace tokenring::sim
